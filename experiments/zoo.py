"""Which training methods reach the equilibrium of slanted land? Every objective × rule × adjustment, rates, seeds.

Protocol. The game is slanted land with its expected losses, so there is no sampling noise and converging means
converging. Runs start at standard-normal parameters. The distance to equilibrium is

    d = √(‖E G(z) - mean face‖² + ‖u‖²),

0 exactly where the mean image is the mean face and D is undecided (what an affine logit can reach: see analysis). A
run is recorded every so many steps, and called

    diverged     a parameter infinite, NaN or beyond 1e4
    converged    d below 0.01 from some record to the last; the first of them is its steps to 1 %
    approaching  else, if the largest d of the last quarter is below half of that of the second quarter
    circling     else: it circles, or rests at another point

A method is judged at its best rate: the one with most runs converged, then the fewest steps in the median.
"""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import results
import xarray as xr

from slantgan_jax import Players, Rule, faces, fields, games, lab_plots, losses, penalties, rules, slanted_land, sweep
from slantgan_jax import train as train_run
from slantgan_jax.analysis import distances
from slantgan_jax.devices import use_every_core

CLOSE = 0.01
RECORDS = 100
NODES = 8  # of the latent: E σ(w z + b) to 1e-6 for |w| up to 5, far below CLOSE
STRENGTH = 10.0
"""Of consensus, sga, lola, sos and unrolled: where the field turns with about 0.06, they add 10 · 0.06² of damping."""
GAMMA = 0.1
"""Of R1 and WGAN-GP: for R1 near the critical strength, twice the rotation."""

OBJECTIVES = {
    "non-saturating": losses.non_saturating,
    "saturating": losses.saturating,
    "KL-type": losses.kl,
    "Wasserstein": losses.wasserstein,
    "least squares": losses.least_squares(),
    "hinge": losses.hinge,
    "relativistic": losses.relativistic,
}
RULES = {"tutorial": rules.tutorial, "simultaneous": rules.simultaneous, "alternating": rules.alternating}


class Method(NamedTuple):
    """How a rule is adjusted for a learning rate: `field`, `optimizer`, a `wrap` around it, penalties `added`."""

    field: Callable[[jax.Array], fields.Adjustment] = lambda rate: fields.gradients
    optimizer: Callable[[jax.Array], optax.GradientTransformation] = optax.sgd
    wrap: Callable[[Rule], Rule] = lambda rule: rule
    added: tuple[penalties.Penalty, ...] = ()


METHODS = {
    "plain": Method(),
    "R1": Method(added=(penalties.r1(GAMMA),)),
    "WGAN-GP": Method(added=(penalties.wgan_gp(GAMMA),)),
    "negative momentum": Method(optimizer=partial(optax.sgd, momentum=-0.5)),
    "momentum": Method(optimizer=partial(optax.sgd, momentum=0.5)),
    "Adam": Method(optimizer=lambda rate: optax.adam(rate / 10, b1=0.5)),
    "optimistic": Method(optimizer=optax.optimistic_gradient_descent),
    "lookahead": Method(wrap=lambda rule: rules.lookahead(rule, period=5, fraction=0.5)),
    "averaging": Method(wrap=lambda rule: rules.averaged(rule, optax.ema(0.99))),
    "extragradient": Method(field=fields.extragradient),
    "heun": Method(field=fields.heun),
    "rk4": Method(field=fields.rk4),
    "consensus": Method(field=lambda rate: fields.consensus(STRENGTH)),
    "sga": Method(field=lambda rate: fields.sga(STRENGTH)),
    "lola": Method(field=lambda rate: fields.lola(STRENGTH)),
    "sos": Method(field=lambda rate: fields.sos(STRENGTH)),
    "unrolled": Method(field=lambda rate: fields.unrolled(5, STRENGTH / 5)),
    "cgd": Method(field=fields.cgd),
}
VERDICTS = ("converged", "approaching", "circling", "diverged")


def zoo(
    seeds: int = 200,
    rates: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0),
    steps: int = 5000,
    objectives: tuple[str, ...] = tuple(OBJECTIVES),
    methods: tuple[str, ...] = tuple(METHODS),
    out: Path = Path("results/zoo"),
) -> None:
    """Run every objective with every rule and adjustment; rank them, draw the table, write zoo.json.

    Args:
        seeds: runs for each method and rate.
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
    if steps < RECORDS or steps % RECORDS:
        raise ValueError(f"--steps is {steps}: give a positive multiple of {RECORDS}")
    for rate in rates:
        results.check_positive("--rates", rate)
    use_every_core()
    entries = []
    with results.complete_folder(out, ("zoo.json", "zoo.png")) as folder:
        for objective, rule, method in itertools.product(objectives, RULES, methods):
            if rule == "tutorial" and len(OBJECTIVES[objective].discriminator) < 2:
                continue  # the tutorial's order refuses a loss that does not split
            ds = sweep(
                partial(run, objective=objective, rule=rule, method=method, steps=steps),
                {"seed": np.arange(seeds), "learning_rate": list(rates)},
                store=out / "sweeps" / f"{objective}-{rule}-{method}.zarr".replace(" ", "_"),
            )
            entries.append({"objective": objective, "rule": rule, "method": method, **judged(ds)})
            print(line_of(entries[-1]), flush=True)
        ranking = sorted(entries, key=lambda entry: (-entry["converged"], entry["steps"][1]))
        print("\nThe ranking:")
        for entry in ranking[:20]:
            print(line_of(entry))
        settings = {
            "seeds": seeds,
            "rates": rates,
            "steps": steps,
            "close": CLOSE,
            "strength": STRENGTH,
            "gamma": GAMMA,
        }
        data = {"settings": settings | {"command": results.command()}, "ranking": ranking, "versions": results.record()}
        results.write_json(folder / "zoo.json", data)
        columns = list(dict.fromkeys((entry["objective"], entry["rule"]) for entry in entries))
        width, height = 2.5 + 0.62 * len(columns), 2.2 + 0.34 * len(methods)
        results.save_figure(folder / "zoo.png", lab_plots.zoo, width, height, entries, methods, columns, steps)
    print(f"Written to {out}/.")


def run(
    key: jax.Array, learning_rate: jax.Array, objective: str, rule: str, method: str, steps: int
) -> dict[str, jax.Array]:
    """One run: how far it is from equilibrium, when it was within `CLOSE`, which verdict (an index of `VERDICTS`)."""
    chosen = METHODS[method]
    game = games.expected(games.penalized(slanted_land(objective=OBJECTIVES[objective], nodes=NODES), *chosen.added))
    optimizers = Players(chosen.optimizer(learning_rate), chosen.optimizer(learning_rate))
    played = chosen.wrap(RULES[rule](optimizers, chosen.field(learning_rate)))
    every = steps // RECORDS
    outcome = train_run(key, game, played, steps, record=distance, every=every)
    history = outcome.history  # [RECORDS]
    close = jnp.flip(jnp.cumprod(jnp.flip((history < CLOSE).astype(int)))).astype(bool)  # from there to the last
    quarter = RECORDS // 4
    approaching = history[-quarter:].max() < history[quarter : 2 * quarter].max() / 2
    verdict = jnp.where(outcome.finite, jnp.where(close[-1], 0, jnp.where(approaching, 1, 2)), 3)
    return {
        "distance": history[-1],
        "steps_to_close": jnp.where(close[-1], (jnp.argmax(close) + 1) * every, jnp.inf).astype(jnp.float32),
        "verdict": verdict,
        "finite": outcome.finite,
    }


def distance(players: Players) -> jax.Array:
    """√(‖E G(z) - mean face‖² + ‖u‖²)."""
    gap = distances.mean_gap(players.generator, faces.pixels(faces.FACES))
    return jnp.sqrt(gap**2 + penalties.squared_norm(players.discriminator.weights))


def judged(ds: xr.Dataset) -> dict:
    """The verdicts' shares for each rate; at the best rate the quartiles over seeds of the steps (inf: not close)."""
    ds = ds.transpose("learning_rate", "seed")
    verdict = ds.verdict.values
    shares = np.array([[np.mean(row == i) for i in range(len(VERDICTS))] for row in verdict])
    to_close = ds.steps_to_close.values
    # method "lower": between a number and infinity there is no interpolating.
    quartiles = np.quantile(to_close, [0.25, 0.5, 0.75], axis=1, method="lower").T
    best = min(range(len(shares)), key=lambda i: (-shares[i, 0], quartiles[i, 1], -shares[i, 1], -shares[i, 2]))
    return {
        "rate": float(ds.learning_rate.values[best]),
        "converged": float(shares[best, 0]),
        "steps": quartiles[best].tolist(),
        "verdict": VERDICTS[int(np.argmax(shares[best]))],
        "distance": float(np.median(ds.distance.values[best])),
        "verdicts": VERDICTS,
        "shares": {f"{rate:g}": row for rate, row in zip(ds.learning_rate.values, shares.tolist(), strict=True)},
    }


def line_of(entry: dict) -> str:
    low, middle, high = entry["steps"]
    return (
        f"{entry['objective']:15} {entry['rule']:13} {entry['method']:18} rate {entry['rate']:<6g} "
        f"converged {entry['converged']:4.0%}  steps {middle:6g} [{low:g}, {high:g}]  mostly {entry['verdict']}"
    )


if __name__ == "__main__":
    results.command_line(zoo)
