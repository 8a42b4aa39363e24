"""What do loss curves tell of how good a GAN is? Thousands of runs, their losses against their true distances.

Everybody plots the losses of G and D; nobody knows the distance of the generator's distribution from the data. Here it
is known exactly. Each of thousands of runs (methods × rates × seeds) is looked at after 100, 1000 and 10,000 epochs:

    indicators   the losses as they are plotted (of the samples that training drew, averaged over the last epoch), the
                 exact expected losses, how far these are from their values at equilibrium (ln 2 and 2 ln 2), and what
                 a best reply shows: duality gap, Nikaido-Isoda gap, the best discriminator's loss
    truths       Wasserstein-1 and -2, energy distance, and the distance of the mean images

Asked is by how much an indicator orders runs as a truth does (rank correlation; intervals by resampling the seeds, as
the runs of one seed share their start), which runs have the same loss and another distance, and how many look like
equilibria and are far away. With an affine logit D comes to rest wherever the mean images agree: there every indicator
has the same value, whatever the distance. Away from there gaps see more than the distance of means, D's own state for
one: in 4224 runs the gap with a ridge has a rank correlation with W1 of 0.76 after 10,000 epochs, the distance of means
0.68; after 100 epochs 0.50 and 0.99.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results
import xarray as xr
from scipy import stats

from slantgan_jax import (
    Discriminator,
    Game,
    Generator,
    Players,
    distributions,
    faces,
    games,
    landscape_plots,
    networks,
    penalties,
    rules,
    slanted_land,
    sweep,
    train,
)
from slantgan_jax.analysis import best_response, distances, transport
from slantgan_jax.cpu import use_every_core
from slantgan_jax.rules import Rule
from slantgan_jax.training import StepInfo

EPOCHS = (100, 1000, 10_000)
STEPS = len(faces.FACES)
"""Of an epoch."""
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
RIDGE = 0.01
NODES = 50  # of the latent, for losses and gaps: 1e-6 for weights up to 10
CLOSE = 0.01
BATCH = 64
RESAMPLES = 200
RANKED = 10
"""Fewer runs have no rank correlation here."""
LATENTS = (0.1, 0.3, 0.5, 0.7, 0.9)
UNDECIDED = {"generator_loss": np.log(2), "discriminator_loss": 2 * np.log(2)}
"""Both losses at every equilibrium."""


def _played(game: Game, rule: Callable[..., Rule], optimizer: Callable[..., Any], rate: Any) -> tuple[Game, Rule]:
    return game, rule(optimizer(rate))


METHODS = {
    "tutorial": partial(_played, slanted_land(), rules.tutorial, optax.sgd),
    "R1": partial(_played, games.penalized(slanted_land(), penalties.r1(0.1)), rules.alternating, optax.sgd),
    "optimistic": partial(_played, slanted_land(), rules.alternating, optax.optimistic_gradient_descent),
    "Adam": partial(_played, slanted_land(), rules.alternating, lambda rate: optax.adam(rate / 10, b1=0.5)),
}
"""`rate -> (game, rule)`."""

TRUTHS = ("wasserstein_1", "wasserstein_2", "energy_distance", "mean_gap")
INDICATORS = {
    "plotted_generator_loss": "G's loss, as plotted",
    "plotted_discriminator_loss": "D's loss, as plotted",
    "generator_loss": "G's loss, exact",
    "discriminator_loss": "D's loss, exact",
    "off_undecided": "both losses' distance from equilibrium's",
    "duality_gap": "duality gap",
    "nikaido_isoda_gap": "Nikaido-Isoda gap",
    "duality_gap_ridge": "duality gap, ridge 0.01",
    "nikaido_isoda_gap_ridge": "Nikaido-Isoda gap, ridge 0.01",
    "best_discriminator_ridge": "best D's gain, ridge 0.01",
    "mean_gap": "distance of the mean images",
}


def loss_curves_lie(
    seeds: int = 176, transported: int = 1056, out: Path = Path("results/loss_curves_lie"), plot_only: bool = False
) -> None:
    """Train with four methods at six rates; rank runs by loss and by distance; draw and write what that shows.

    Args:
        seeds: runs for each method and rate.
        transported: of how many runs, 10 or more, W1, W2 and the energy distance are found, which takes
            some 35 ms at each look.
        out: folder for the data and the figure.
        plot_only: summarize and draw again the runs that the folder has.
    """
    if plot_only and not (out / "data.npz").exists():
        raise ValueError(f"{out} has no data.npz to plot: run without --plot-only first")
    if seeds < 2:
        raise ValueError(f"--seeds is {seeds}: give at least 2, to compare")
    if transported < RANKED:
        raise ValueError(f"--transported is {transported}: give at least {RANKED}, to rank")
    with results.complete_folder(out, ("data.json", "data.npz", "loss_curves_lie.png")) as folder:
        data = dict(np.load(out / "data.npz")) if plot_only else measured(trained(seeds), transported)
        summary = summarized(data)
        examples = {name: [example(data, index) for index in summary[name]] for name in ("same_loss", "same_distance")}
        np.savez_compressed(folder / "data.npz", allow_pickle=False, **data)
        settings = {"seeds": data["finite"].shape[2], "rates": RATES, "epochs": EPOCHS, "methods": list(METHODS)}
        settings |= {"ridge": RIDGE, "close": CLOSE, "command": results.command()}
        numbers = {
            name: [{key: value for key, value in one.items() if key != "curves"} for one in pair]
            for name, pair in examples.items()
        }
        title = answer(summary, examples)
        everything = {"answer": title, "settings": settings} | summary | numbers | {"versions": results.record()}
        results.write_json(folder / "data.json", everything)
        results.save_figure(
            folder / "loss_curves_lie.png", landscape_plots.loss_curves_lie, 16, 10.5, data, summary, examples,
            {"methods": list(METHODS), "epochs": EPOCHS, "indicators": INDICATORS, "undecided": UNDECIDED,
             "latents": LATENTS}, title,
        )  # fmt: skip
    print(title)
    print(f"Written to {out}/.")


def trained(seeds: int) -> xr.Dataset:
    """Every method at every rate from every seed: `players`, `plotted` losses, `finite`, at each of `EPOCHS`."""
    dims = {"players": ("epochs", "parameter"), "plotted": ("epochs", "player"), "finite": ("epochs",)}
    axes = {"seed": np.arange(seeds), "learning_rate": RATES}
    runs = [sweep(partial(run, method=name), axes, dims=dims) for name in METHODS]
    return xr.concat(runs, "method").transpose("method", "learning_rate", "seed", "epochs", ...)


def run(key: jax.Array, learning_rate: jax.Array, method: str) -> dict[str, jax.Array]:
    """One run, looked at after each of `EPOCHS`: players `[looks, 13]`, mean losses of the last epoch `[looks, 2]`."""
    game, rule = METHODS[method](learning_rate)
    result, looks, done = None, [], 0
    for epochs in EPOCHS:
        state = result and result.state
        if epochs > done + 1:  # up to the last epoch, which is recorded
            state = train(key, game, rule, (epochs - 1 - done) * STEPS, state=state).state
        result, done = train(key, game, rule, STEPS, state=state, record=partial(plotted, rule)), epochs
        w, b, u, c = *result.players.generator, *result.players.discriminator
        mean = jnp.mean(result.history, axis=0)
        looks.append({"players": jnp.stack([*w, *b, *u, c]), "plotted": mean, "finite": result.finite})
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *looks)


@partial(jax.jit, static_argnames="method")
def curves(key: jax.Array, learning_rate: jax.Array | float, method: str) -> jax.Array:
    """The losses of G and D as they are plotted, means over each epoch: `[epochs, 2]`; the run is that of `run`."""
    game, rule = METHODS[method](learning_rate)
    history = train(key, game, rule, EPOCHS[-1] * STEPS, record=partial(plotted, rule)).history
    return jnp.mean(history.reshape(-1, STEPS, 2), axis=1)


def plotted(rule: Rule, info: StepInfo) -> jax.Array:
    """The losses on what a step sees, before it moves: `[2]`. Without penalties, so that methods can be compared."""
    return jnp.stack([*games.total_losses(slanted_land(), rule.players(info.before), info.sample)])


def measured(runs: xr.Dataset, transported: int) -> dict[str, np.ndarray]:
    """Every indicator and truth as an array `[method, rate, seed, look]`; NaN after divergence, and for the truths that
    are not the distance of means where they were not asked for."""
    players, finite = runs.players.values, runs.finite.values
    data = {"players": players, "finite": finite}
    for i, name in enumerate(UNDECIDED):
        data[f"plotted_{name}"] = np.where(finite, runs.plotted.values[..., i], np.nan)
    chosen = np.zeros(finite[..., 0].size, bool)
    chosen[np.random.default_rng(0).permutation(chosen.size)[:transported]] = True
    chosen = finite & chosen.reshape(finite.shape[:-1])[..., None]
    with jax.enable_x64(True):
        for where, function in ((finite, measures), (chosen, transports)):
            for name, values in _batched(function, players[where]).items():
                data[name] = np.full(finite.shape, np.nan)
                data[name][where] = values
    return data | {"off_undecided": np.maximum(*(np.abs(data[name] / at - 1) for name, at in UNDECIDED.items()))}


def measures(flat: jax.Array) -> dict[str, jax.Array]:
    """The losses, the gaps and the distance of means of players `[13]`."""
    players, images = players_of(flat), faces.unstack(faces.FACES)
    expected = games.expected_losses(slanted_land(latent=distributions.uniform(nodes=NODES)), players)
    best = best_response.best_discriminator(players.generator, images, RIDGE, nodes=NODES)
    ridges = jnp.array([0, RIDGE])
    duality = jax.vmap(lambda ridge: best_response.duality_gap(players, images, ridge, nodes=NODES))(ridges)
    nikaido_isoda = jax.vmap(lambda ridge: best_response.nikaido_isoda_gap(players, images, ridge, nodes=NODES))(ridges)
    return {
        "generator_loss": expected.generator,
        "discriminator_loss": expected.discriminator,
        "duality_gap": duality[0],
        "nikaido_isoda_gap": nikaido_isoda[0],
        "duality_gap_ridge": duality[1],
        "nikaido_isoda_gap_ridge": nikaido_isoda[1],
        "best_discriminator_ridge": 2 * jnp.log(2.0) - best.loss,
        "mean_gap": distances.mean_gap(players.generator, images),
    }


def transports(flat: jax.Array) -> dict[str, jax.Array]:
    """The true distances of players `[13]` that take long."""
    generator, images = players_of(flat).generator, faces.unstack(faces.FACES)
    found = {f"wasserstein_{order}": transport.wasserstein(generator, images, order) for order in (1, 2)}
    return found | {"energy_distance": distances.energy_distance(generator, images)}


def players_of(flat: jax.Array) -> Players:
    """Players with scalar leaves from `[13]`: w, b, u, c."""
    w, b, u = (faces.unstack(part) for part in jnp.split(flat[:12], 3))
    return Players(Generator(w, b), Discriminator(u, flat[12]))


def _batched(function: Callable[[jax.Array], dict[str, jax.Array]], players: np.ndarray) -> dict[str, np.ndarray]:
    """`function` of each of `players` `[n, 13]`, some at a time: in a batch all wait for the slowest."""
    batch = jax.jit(jax.vmap(function))
    padded = np.pad(players.astype(np.float64), ((0, -len(players) % BATCH), (0, 0)), mode="edge")
    parts = [batch(padded[first : first + BATCH]) for first in range(0, len(padded), BATCH)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(players)], *parts)


def summarized(data: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Rank correlations with intervals, what runs with an equilibrium's losses are, and two telling pairs of runs."""
    summary: dict[str, Any] = {"finite": float(data["finite"].mean()), "runs": int(data["finite"][..., 0].size)}
    summary["mean_face_wasserstein_1"] = mean_face = float(
        np.linalg.norm(faces.FACES - faces.FACES.mean(0), axis=1).mean()
    )
    known = np.isfinite(data["wasserstein_1"])  # [method, rate, seed, look]
    summary["spearman"], summary["undecided"] = {}, {}
    for look, epochs in enumerate(EPOCHS):
        undecided = data["off_undecided"][..., look] < CLOSE  # never NaN: that is not below
        chosen = known[..., look]
        summary["spearman"][str(epochs)] = rank_correlations(data, look, chosen)
        alike, means = data["wasserstein_1"][..., look][chosen & undecided], data["mean_gap"][..., look][undecided]
        better, alike_ones = data["wasserstein_1"][..., look][chosen] < mean_face, undecided[chosen]
        summary["undecided"][str(epochs)] = {
            "share": float(undecided.mean()),
            "share_of_each_method": undecided.mean((1, 2)),
            "wasserstein_1_quantiles": np.quantile(alike, (0, 0.05, 0.5, 0.95, 1)) if alike.size else None,
            "mean_gap_quantiles": np.quantile(means, (0, 0.05, 0.5, 0.95, 1)) if means.size else None,
            "share_worse_than_mean_face": float(np.mean(alike > mean_face)) if alike.size else None,
            "share_of_better_than_mean_face_that_is_off": float((~alike_ones[better]).mean()) if better.any() else None,
            "spearman": rank_correlations(data, look, chosen & undecided),
        }
    last = known[..., -1]
    summary["kendall"] = rank_correlations(data, -1, last, kendall)
    summary["spearman_of_each_method"] = {
        name: rank_correlations(data, -1, last & (np.arange(len(METHODS)) == i)[:, None, None], resamples=0)
        for i, name in enumerate(METHODS)
    }
    index, w1 = np.argwhere(last), np.log(data["wasserstein_1"][..., -1][last])
    g, d = (data[name][..., -1][last] for name in UNDECIDED)
    g_apart, d_apart, d_apart_in_nats, w1_apart = (
        np.abs(values[:, None] - values[None]) for values in (np.log(g), np.log(d), d, w1)
    )
    same_loss = np.where(np.maximum(g_apart, d_apart) < CLOSE, w1_apart, -1)
    same_distance = np.where(w1_apart < CLOSE, d_apart_in_nats, -1)
    for name, score in (("same_loss", same_loss), ("same_distance", same_distance)):
        pair = np.unravel_index(np.argmax(score), score.shape)
        summary[name] = index[sorted(pair, key=lambda i: w1[i] if name == "same_loss" else d[i])].tolist()
    return summary


def rank_correlations(
    data: Mapping[str, np.ndarray],
    look: int,
    chosen: np.ndarray,
    correlation: Callable[[np.ndarray], np.ndarray] | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, list[float]]] | None:
    """For each truth and indicator the rank correlation over the `chosen` `[method, rate, seed]`, and its 95 % interval
    from resampling seeds, as runs of one seed share their start. None for fewer than `RANKED` runs."""
    correlation = spearman if correlation is None else correlation
    if chosen.sum() < RANKED:
        return None
    names = (*TRUTHS, *INDICATORS)
    table = np.stack([data[name][..., look][chosen] for name in names])
    seeds = np.argwhere(chosen)[:, 2]
    value, random = correlation(table), np.random.default_rng(1)
    again = []
    for _ in range(resamples):
        drawn = np.bincount(random.choice(chosen.shape[2], chosen.shape[2]), minlength=chosen.shape[2])
        again.append(correlation(table[:, np.repeat(np.arange(len(seeds)), drawn[seeds])]))
    low, high = np.quantile(again, (0.025, 0.975), axis=0) if again else (value * np.nan, value * np.nan)
    return {
        truth: {
            name: [float(bound[i, len(TRUTHS) + j]) for bound in (value, low, high)]
            for j, name in enumerate(INDICATORS)
        }
        for i, truth in enumerate(TRUTHS)
    }


def spearman(table: np.ndarray) -> np.ndarray:
    """Spearman's ρ of the truths with all rows of `table` `[rows, runs]`: `[truths, rows]`."""
    return np.corrcoef(stats.rankdata(table, axis=1))[: len(TRUTHS)]


def kendall(table: np.ndarray) -> np.ndarray:
    """Kendall's τ_b, likewise, of the first truth, W1, only."""
    tau = [stats.kendalltau(table[0], row)[0] for row in table]
    return np.concatenate([[tau], np.full((len(TRUTHS) - 1, len(table)), np.nan)])


def example(data: Mapping[str, np.ndarray], index: list[int]) -> dict[str, Any]:
    """One run of `data`, by its index `[method, rate, seed]`: what it is and ends with, its images, and its curves."""
    method, rate, seed = list(METHODS)[index[0]], RATES[index[1]], index[2]
    with jax.enable_x64(True):
        generator = players_of(jnp.asarray(data["players"][*index, -1], float)).generator
        images = [faces.stack(networks.generate(generator, jnp.asarray(z))) for z in LATENTS]
    numbers = {name: float(data[name][*index, -1]) for name in (*TRUTHS, *INDICATORS)}
    played = curves(jax.random.key(seed), rate, method)
    about = {"method": method, "learning_rate": rate, "seed": seed, "images": np.array(images)}
    return about | numbers | {"curves": np.asarray(played)}


def answer(summary: Mapping[str, Any], examples: Mapping[str, Any]) -> str:
    """Two lines."""
    last = str(EPOCHS[-1])
    alike = summary["undecided"][last]
    quantiles = alike["wasserstein_1_quantiles"]
    rho, within = (
        {name: found["wasserstein_1"][name][0] if found else np.nan for name in INDICATORS}
        for found in (summary["spearman"][last], alike["spearman"])
    )
    sizes = {name: abs(value) for name, value in within.items()}
    of_losses = max(size for name, size in sizes.items() if name.endswith("_loss") or name == "off_undecided")
    of_gaps = max(size for name, size in sizes.items() if name.startswith(("duality_gap", "nikaido_isoda_gap")))
    twins = [one["wasserstein_1"] for one in examples["same_loss"]]
    compared = ("generator_loss", "discriminator_loss", "off_undecided", "duality_gap_ridge")
    g, d, off, gap = (rho[name] for name in compared)
    first = (
        f"Final losses of {summary['runs']} runs say little of W1: rank correlation {g:.2f} for G's, {d:.2f} for D's, "
        f"{off:.2f} for how far both are from equilibrium's, {gap:.2f} for the duality gap with a ridge.\n"
    )
    if quantiles is None:
        return first + "None of them ends with the losses of an equilibrium."
    return first + (
        f"{alike['share']:.0%} end with equilibrium's losses to 1 % and W1 from {quantiles[0]:.3f} to "
        f"{quantiles[-1]:.3f} (only the mean face: {summary['mean_face_wasserstein_1']:.3f}), ordered by losses with "
        f"|ρ| ≤ {of_losses:.2f}, by gaps ≤ {of_gaps:.2f}; two with the same losses have {twins[0]:.2f}, {twins[1]:.2f}."
    )


if __name__ == "__main__":
    use_every_core()
    matplotlib.use("agg")
    results.command_line(loss_curves_lie)
