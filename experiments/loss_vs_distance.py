"""What do loss curves tell of how good a GAN is? Thousands of runs, their losses against their true distances.

How well does an indicator (a loss or a gap) order runs as a truth (a distance) does? Rank correlations answer it. See
docs/results/loss_vs_distance.md.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import figures.loss_vs_distance as figures
import jax
import jax.numpy as jnp
import numpy as np
from _experiment import Experiment, Figure, Quick
from _measured_runs import curves, measured, trained
from _options import check_whole
from _ranks import kendall, rank_correlations
from _results import Data

from slantgan_jax import faces, generate
from slantgan_jax.networks import from_vector

TRUTHS = ("wasserstein_1", "wasserstein_2", "energy_distance", "mean_gap")
INDICATORS = tuple(figures.INDICATORS)
RELATIVE_DIFFERENCE = 0.01
"""Losses, and distances, count as the same up to this relative difference."""

RESAMPLES = 200
RANKED = 10
"""Fewer runs have no rank correlation here."""

LATENTS = (0.1, 0.3, 0.5, 0.7, 0.9)
QUANTILES = (0, 0.05, 0.5, 0.95, 1)


@dataclass(frozen=True)
class Settings:
    """Train with four methods at six rates; rank runs by loss and by distance; draw and write what that shows."""

    seeds: Annotated[int, partial(check_whole, least=2, most=100_000)] = 176
    """The number of runs for each method and rate."""
    transported: Annotated[int, partial(check_whole, least=RANKED, most=10_000_000)] = 1056
    """The number of runs whose W1, W2 and energy distance are found, 10 or more. Each takes 35 ms at each look."""


def compute(settings: Settings, out: Path) -> Data:
    data = measured(trained(settings.seeds), settings.transported)
    data |= {"close": RELATIVE_DIFFERENCE, "latents": LATENTS}
    return data | summary(data) | telling_pairs(data)


def summary(data: Data) -> Data:
    """The rank correlations, and what the runs are that have an equilibrium's losses."""
    known = np.isfinite(data["wasserstein_1"])  # [method, rate, seed, look]
    mean_face = float(np.linalg.norm(faces.FACES - faces.FACES.mean(0), axis=1).mean())
    looks = [(str(epochs), i) for i, epochs in enumerate(data["epochs"])]
    by_method = {
        name: known[..., -1] & (np.arange(len(known)) == i)[:, None, None] for i, name in enumerate(data["methods"])
    }
    return {
        "finite_share": float(data["finite"].mean()),
        "runs": int(data["finite"][..., 0].size),
        "transported": int(known[..., -1].sum()),
        "mean_face_wasserstein_1": mean_face,
        "spearman": {epochs: ranked(data, i, known[..., i]) for epochs, i in looks},
        "undecided": {epochs: undecided(data, i, mean_face) for epochs, i in looks},
        "kendall": ranked(data, -1, known[..., -1], correlation=kendall),
        "spearman_of_each_method": {name: ranked(data, -1, mine, resamples=0) for name, mine in by_method.items()},
    }


def ranked(data: Data, look: int, chosen: np.ndarray, **options: Any) -> Data | None:
    """The rank correlations over the `chosen` `[method, rate, seed]`; None for fewer than `RANKED` runs."""
    if chosen.sum() < RANKED:
        return None
    truths, indicators = ({name: data[name][..., look][chosen] for name in names} for names in (TRUTHS, INDICATORS))
    options = {"resamples": RESAMPLES} | options
    return rank_correlations(truths, indicators, np.nonzero(chosen)[2], chosen.shape[2], **options)


def undecided(data: Data, look: int, mean_face: float) -> Data:
    """How far the runs are from the faces that have the losses of an equilibrium; `mean_face` is W1 of that image."""
    alike = data["off_undecided"][..., look] < RELATIVE_DIFFERENCE  # false for NaN
    w1, known = data["wasserstein_1"][..., look], np.isfinite(data["wasserstein_1"][..., look])
    of_alike, of_better, means = w1[known & alike], alike[known & (w1 < mean_face)], data["mean_gap"][..., look][alike]
    return {
        "share": float(alike.mean()),
        "share_of_each_method": alike.mean((1, 2)),
        "wasserstein_1_quantiles": np.quantile(of_alike, QUANTILES) if of_alike.size else None,
        "mean_gap_quantiles": np.quantile(means, QUANTILES) if means.size else None,
        "share_worse_than_mean_face": float(np.mean(of_alike > mean_face)) if of_alike.size else None,
        "share_of_better_than_mean_face_that_is_off": float((~of_better).mean()) if of_better.size else None,
        "spearman": ranked(data, look, known & alike),
    }


def telling_pairs(data: Data) -> Data:
    """Two runs with the same losses and the most different W1, and two with the same W1 and the most different L_D.

    There are none, and the list is empty, if no two runs have the same.
    """
    known = np.isfinite(data["wasserstein_1"][..., -1])
    w1, g, d = (data[name][..., -1][known] for name in ("wasserstein_1", "generator_loss", "discriminator_loss"))
    g_apart, d_apart, w1_apart, d_apart_in_nats = (
        np.abs(values[:, None] - values[None]) for values in (np.log(g), np.log(d), np.log(w1), d)
    )
    same_loss = np.where(np.maximum(g_apart, d_apart) < RELATIVE_DIFFERENCE, w1_apart, -1)
    same_distance = np.where(w1_apart < RELATIVE_DIFFERENCE, d_apart_in_nats, -1)
    pairs = {}
    for name, score, order in (("same_loss", same_loss, w1), ("same_distance", same_distance, d)):
        np.fill_diagonal(score, -1)  # a run is no pair with itself
        pair = np.unravel_index(np.argmax(score), score.shape) if score.max() >= 0 else ()
        pairs[name] = [example(data, np.argwhere(known)[i]) for i in sorted(pair, key=lambda i: order[i])]
    return pairs


def example(data: Data, index: np.ndarray) -> Data:
    """One run by its index `[method, rate, seed]`: what it is and ends with, its images, and its curves."""
    method, rate, seed = data["methods"][index[0]], data["rates"][index[1]], int(index[2])
    with jax.enable_x64(True):
        generator = from_vector(jnp.asarray(data["players"][*index, -1], float)).generator
        images = np.array([faces.stack(generate(generator, jnp.asarray(z))) for z in LATENTS])
    numbers = {name: float(data[name][*index, -1]) for name in (*TRUTHS, *INDICATORS)}
    about = {"method": method, "learning_rate": rate, "seed": seed, "images": images}
    return about | numbers | {"curves": np.asarray(curves(jax.random.key(seed), rate, method))}


def answer(data: Data) -> str:
    last = str(data["epochs"][-1])
    alike, found = data["undecided"][last], data["spearman"][last]
    if found is None:
        known = f"{data['transported']} of {data['runs']} runs"
        first = f"W1 was found at the end of {known}, too few for a rank correlation.\n"
    else:
        rho = of_indicators(found)
        first = (
            f"Rank correlation with W1, over the {data['transported']} of {data['runs']} runs at the end of which it "
            f"was found: {rho['generator_loss']:.2f} for G's final loss, {rho['discriminator_loss']:.2f} for D's, "
            f"{rho['off_undecided']:.2f} for how far both are from equilibrium's, {rho['duality_gap_ridge']:.2f} for "
            "the duality gap with a ridge.\n"
        )
    if alike["wasserstein_1_quantiles"] is None:
        those = ", and the W1 of none of these was found" if alike["share"] else ""
        return first + f"{alike['share']:.0%} end with equilibrium's losses to 1 %{those}."
    ordered = "too few to be ordered"
    if alike["spearman"] is not None:
        within = of_indicators(alike["spearman"])
        of_losses = max(abs(r) for name, r in within.items() if name.endswith("_loss") or name == "off_undecided")
        of_gaps = max(abs(r) for name, r in within.items() if name.startswith(("duality_gap", "nikaido_isoda_gap")))
        ordered = f"ordered by losses with |ρ| ≤ {of_losses:.2f}, by gaps ≤ {of_gaps:.2f}"
    nearest, *_, farthest = alike["wasserstein_1_quantiles"]
    twins = "no two have the same losses"
    if data["same_loss"]:
        one, other = (run["wasserstein_1"] for run in data["same_loss"])
        twins = f"two with the same losses have {one:.2f}, {other:.2f}"
    return first + (
        f"{alike['share']:.0%} end with equilibrium's losses to 1 % and W1 from {nearest:.3f} to {farthest:.3f} "
        f"(only the mean face: {data['mean_face_wasserstein_1']:.3f}), {ordered}; "
        f"{twins}."
    )


def of_indicators(ranks: Data) -> dict[str, float]:
    """The rank correlation of each indicator with W1."""
    return {name: ranks["wasserstein_1"][name][0] for name in INDICATORS}


FIGURES = {"loss_vs_distance.png": Figure(figures.draw, 16, 10.5)}
EXPERIMENT = Experiment(
    "loss_vs_distance",
    Settings,
    compute,
    answer,
    FIGURES,
    x64=False,
    devices=None,
    time="about 3 minutes",
    quick=Quick({"seeds": 24, "transported": 96}, "40 seconds"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
