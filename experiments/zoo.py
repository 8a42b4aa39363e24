"""Which training methods reach the equilibrium of slanted land? Every objective × rule × method at many rates.

Protocol. The game is slanted land with its expected losses, so there is no sampling noise and converging means
converging. Runs start at standard-normal parameters. The distance to equilibrium is

    d = √(‖E G(z) - mean face‖² + ‖∇ℓ‖²),   ∇ℓ = u unless D is normalized,

0 exactly where the mean image is the mean face and D is undecided (what an affine logit can reach: see analysis). A
run is recorded after every five steps, and gets one of the verdicts of `analysis.trajectories.classify`; converged is d
below 0.01 from some record to the last, the first of which is its steps to 1 %. A method is judged at the best of its
rates and strengths: where most runs converged, then by the fewest steps in the median.
"""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import results
import xarray as xr

from slantgan_jax import (
    Game,
    Players,
    Rule,
    distributions,
    faces,
    fields,
    games,
    lab_plots,
    losses,
    networks,
    penalties,
    rules,
    slanted_land,
    sweep,
    train,
)
from slantgan_jax.analysis import distances, trajectories
from slantgan_jax.cpu import use_every_core
from slantgan_jax.numerics import as_float, squared_norm
from slantgan_jax.training import StepInfo

CLOSE = 0.01
EVERY = 5  # steps from record to record; odd, as rates that are too large overshoot to and fro in every other step
NODES = 8  # of the latent: E σ(w z + b) to 1e-6 for |w| up to 5, far below CLOSE

OBJECTIVES = {
    "non-saturating": losses.non_saturating,
    "saturating": losses.saturating,
    "KL-type": losses.kl,
    "Wasserstein": losses.wasserstein,
    "least squares": losses.least_squares(),
    "hinge": losses.hinge,
    "relativistic": losses.relativistic,
    "smoothed": losses.smoothed(losses.non_saturating, 0.1),
}
RULES = {"tutorial": rules.tutorial, "simultaneous": rules.simultaneous, "alternating": rules.alternating}


def sgd(rate: jax.Array, strength: jax.Array) -> optax.GradientTransformation:
    return optax.sgd(rate)


class Method(NamedTuple):
    """What is done for a learning rate and a strength, of which some are tried.

    Attributes:
      strengths: of whatever the method has one; a single 0 where it has none.
      field, optimizers: the adjustment and the `Players` of optimizers, functions of `(rate, strength)`.
      wrap: takes the rule and the strength to the rule that is played.
      penalty: of the strength, added to D's loss; None for none.
      logit: D's.
      noise: the strength is the deviation of instance noise.
      only: the one rule that it goes with; None for all.
    """

    strengths: tuple[float, ...] = (0.0,)
    field: Callable[[jax.Array, jax.Array], fields.Transform] = lambda rate, strength: fields.gradients
    optimizers: Callable[[jax.Array, jax.Array], rules.Optimizer] = sgd
    wrap: Callable[[Rule, jax.Array], Rule] = lambda rule, strength: rule
    penalty: Callable[[jax.Array], penalties.Penalty] | None = None
    logit: Callable[..., jax.Array] = networks.logit
    noise: bool = False
    only: str | None = None


def both(optimizer: Callable[[jax.Array, jax.Array], optax.GradientTransformation]) -> Callable[..., Players]:
    """The same optimizer for both players."""
    return lambda rate, strength: Players(optimizer(rate, strength), optimizer(rate, strength))


AHEAD = (1.0, 10.0, 100.0)
"""Of what adds to the field a product with its Jacobian: where the field turns with 0.06, 10 adds 10 · 0.06² of
damping. The penalties' strengths have the critical one, twice the rotation, in their middle."""
METHODS = {
    "plain": Method(),
    "R1": Method((0.03, 0.1, 0.3), penalty=penalties.r1),
    "WGAN-GP": Method((0.01, 0.1, 1.0), penalty=penalties.wgan_gp),
    "instance noise": Method((0.3, 1.0), noise=True),
    "weight clipping": Method(
        (0.01, 0.1, 1.0),
        optimizers=lambda rate, bound: Players(optax.sgd(rate), penalties.clipped(optax.sgd(rate), bound)),
    ),
    "spectral norm": Method(logit=penalties.spectral(networks.logit)),
    "negative momentum": Method((-0.2, -0.5, -0.8), optimizers=both(lambda rate, beta: optax.sgd(rate, momentum=beta))),
    "momentum": Method((0.5, 0.9), optimizers=both(lambda rate, beta: optax.sgd(rate, momentum=beta))),
    "Adam": Method((0.0, 0.5, 0.9), optimizers=both(lambda rate, b1: optax.adam(rate / 10, b1=b1))),
    "optimistic": Method(optimizers=both(lambda rate, _: optax.optimistic_gradient_descent(rate))),
    "past extragradient": Method(only="simultaneous"),
    "lookahead": Method((0.2, 0.5, 0.8), wrap=lambda rule, fraction: rules.lookahead(rule, 5, fraction)),
    "averaging": Method((0.99, 0.999), wrap=lambda rule, decay: rules.averaged(rule, optax.ema(decay))),
    "extragradient": Method((1.0, 3.0), field=lambda rate, ahead: fields.extragradient(ahead * rate)),
    "heun": Method(field=lambda rate, _: fields.heun(rate)),
    "rk4": Method(field=lambda rate, _: fields.rk4(rate)),
    "consensus": Method(AHEAD, field=lambda rate, strength: fields.consensus(strength)),
    "sga": Method(AHEAD, field=lambda rate, strength: fields.sga(strength)),
    "lola": Method(AHEAD, field=lambda rate, ahead: fields.lola(ahead)),
    "sos": Method(AHEAD, field=lambda rate, ahead: fields.sos(ahead)),
    "unrolled": Method(AHEAD, field=lambda rate, ahead: fields.unrolled(5, ahead / 5)),
    "cgd": Method(field=lambda rate, _: fields.cgd(rate)),
}


VERDICTS = ("converged", "approaching", "circling", "resting", "drifting", "diverged")
COARSE = (0, 1, 1, 2, 2, 3, 4, 5)
"""The index of `VERDICTS` for each `trajectories.Verdict`."""


def zoo(
    seeds: int = 100,
    rates: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    steps: int = 3000,
    objectives: tuple[str, ...] = tuple(OBJECTIVES),
    methods: tuple[str, ...] = tuple(METHODS),
    out: Path = Path("results/zoo"),
) -> None:
    """Run every objective with every rule and adjustment; rank them, draw the table, write zoo.json and ranking.txt.

    Args:
        seeds: runs for each method, rate and strength.
        rates: learning rates of both players (Adam has a tenth of them).
        steps: of each run; a multiple of 100.
        objectives: which of the objectives.
        methods: which of the adjustments.
        out: folder for the data, the figure and the sweeps, which go on where they were interrupted.
    """
    for name, given, known in (("--objectives", objectives, OBJECTIVES), ("--methods", methods, METHODS)):
        if unknown := [one for one in given if one not in known]:
            raise ValueError(f"{name} has {unknown[0]!r}: choose from {', '.join(known)}")
    if seeds < 1:
        raise ValueError(f"--seeds is {seeds}: give at least 1")
    if steps < 100 or steps % 100:
        raise ValueError(f"--steps is {steps}: give a positive multiple of 100")
    for rate in rates:
        results.check_positive("--rates", rate)
    use_every_core()
    entries = []
    with results.complete_folder(out, ("zoo.json", "zoo.png", "ranking.txt")) as folder:
        for objective, rule, method in itertools.product(objectives, RULES, methods):
            if rule == "tutorial" and len(OBJECTIVES[objective].discriminator) < 2:
                continue  # the tutorial's order refuses a loss that does not split
            if METHODS[method].only not in (None, rule):
                continue
            if METHODS[method].noise and len(OBJECTIVES[objective].discriminator) < 2:
                continue  # pairs of noisy images are too many for an exact expectation
            ds = sweep(
                partial(run, objective=objective, rule=rule, method=method, steps=steps),
                {"seed": np.arange(seeds), "learning_rate": list(rates), "strength": list(METHODS[method].strengths)},
                store=out / "sweeps" / f"{objective}-{rule}-{method}.zarr".replace(" ", "_"),
            )
            entries.append({"objective": objective, "rule": rule, "method": method, **judged(ds)})
            print(line_of(entries[-1]), flush=True)
        ranking = sorted(entries, key=lambda entry: (-entry["converged"], entry["steps"][1]))
        lines = [f"{place:4}  {line_of(entry)}" for place, entry in enumerate(ranking, 1)]
        print("\nThe first of the ranking:", *lines[:20], sep="\n")
        (folder / "ranking.txt").write_text("\n".join(lines) + "\n")
        settings = {"seeds": seeds, "rates": rates, "steps": steps, "close": CLOSE}
        data = {"settings": settings | {"command": results.command()}, "ranking": ranking, "versions": results.record()}
        results.write_json(folder / "zoo.json", data)
        columns = list(dict.fromkeys((entry["objective"], entry["rule"]) for entry in entries))
        width, height = 2.5 + 0.62 * len(columns), 2.2 + 0.34 * len(methods)
        results.save_figure(folder / "zoo.png", lab_plots.zoo, width, height, entries, methods, columns, steps)
    print(f"Written to {out}/.")


def run(
    key: jax.Array, learning_rate: jax.Array, strength: jax.Array, objective: str, rule: str, method: str, steps: int
) -> dict[str, jax.Array]:
    """One run: how far it is from equilibrium, when it was within `CLOSE`, which verdict (an index of `VERDICTS`)."""
    chosen = METHODS[method]
    game = slanted_land(
        objective=OBJECTIVES[objective],
        logit=chosen.logit,
        noise=strength if chosen.noise else 0.0,
        latent=distributions.uniform(nodes=NODES),
    )
    if chosen.penalty is not None:
        game = games.penalized(game, chosen.penalty(strength))
    if chosen.noise:
        game = coarsely_noisy(game)
    optimizers = chosen.optimizers(learning_rate, strength)
    if chosen is METHODS["past extragradient"]:
        played = rules.past_extragradient(optimizers, learning_rate)
    else:
        played = chosen.wrap(RULES[rule](optimizers, chosen.field(learning_rate, strength)), strength)
    record = partial(recorded, chosen.logit)
    outcome = train(key, games.expected(game), played, steps, record=record, record_every=EVERY)
    far, players = outcome.history
    settled = trajectories.first_settled_record(far, CLOSE)
    verdict = jnp.asarray(COARSE)[trajectories.classify(far, players, outcome.finite, close=CLOSE)]
    converged = verdict == VERDICTS.index("converged")
    return {
        "distance": far[-1],
        "steps_to_close": jnp.where(converged, (settled + 1) * EVERY, jnp.inf).astype(jnp.float32),
        "verdict": verdict,
        "finite": outcome.finite,
    }


def recorded(logit: Callable[..., jax.Array], info: StepInfo) -> tuple[jax.Array, Players]:
    return distance(info.players, logit), info.players


def distance(players: Players, logit: Callable[..., jax.Array] = networks.logit) -> jax.Array:
    """√(‖E G(z) - mean face‖² + ‖∇ℓ‖²)."""
    gap = distances.mean_gap(players.generator, faces.unstack(faces.FACES))
    slope = jax.grad(partial(logit, players.discriminator))(players.generator.biases)  # the same at every image
    return jnp.sqrt(gap**2 + squared_norm(slope))


def coarsely_noisy(game: Game) -> Game:
    """`game` with instance noise of 2 n values, ±√n in one of the n pixels, instead of 8ⁿ nodes of a quadrature.

    It has the first three moments of normal noise; where D is nearly undecided the second is all that counts.
    """
    pixels = faces.FACES.shape[1]
    points = faces.unstack(np.sqrt(pixels) * np.concatenate([np.eye(pixels), -np.eye(pixels)]))

    def nodes() -> tuple[Any, jax.Array]:
        return jax.tree.map(as_float, points), jnp.full(2 * pixels, 1 / (2 * pixels))

    noise = game.draws.real_noise._replace(nodes=nodes)
    return game._replace(draws=game.draws._replace(real_noise=noise, fake_noise=noise))


def judged(ds: xr.Dataset) -> dict:
    """The verdicts' shares for each rate and strength; at the best, quartiles over seeds of the steps (inf: not
    close)."""
    ds = ds.transpose("learning_rate", "strength", "seed")
    cells = list(itertools.product(ds.learning_rate.values.tolist(), ds.strength.values.tolist()))
    verdict, to_close, far = (
        ds[name].values.reshape(len(cells), -1) for name in ("verdict", "steps_to_close", "distance")
    )
    shares = np.stack([np.mean(verdict == i, axis=1) for i in range(len(VERDICTS))], axis=1)
    # method "lower": between a number and infinity there is no interpolating.
    quartiles = np.quantile(to_close, [0.25, 0.5, 0.75], axis=1, method="lower").T
    best = min(range(len(cells)), key=lambda i: (-shares[i, 0], quartiles[i, 1], *-shares[i, 1:]))
    return {
        "rate": cells[best][0],
        "strength": cells[best][1],
        "converged": float(shares[best, 0]),
        "steps": quartiles[best].tolist(),
        "verdict": VERDICTS[int(np.argmax(shares[best]))],
        "distance": float(np.median(far[best])),
        "verdicts": VERDICTS,
        "shares": [
            {"rate": rate, "strength": strength, "shares": row}
            for (rate, strength), row in zip(cells, shares.tolist(), strict=True)
        ],
    }


def line_of(entry: dict) -> str:
    low, middle, high = entry["steps"]
    return (
        f"{entry['objective']:15} {entry['rule']:13} {entry['method']:18} rate {entry['rate']:<6g} "
        f"strength {entry['strength']:<5g} converged {entry['converged']:4.0%}  steps {middle:6g} [{low:g}, {high:g}]  "
        f"mostly {entry['verdict']}"
    )


if __name__ == "__main__":
    results.command_line(zoo)
