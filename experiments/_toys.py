"""Two perceptrons on a toy data set: the game, what is measured while it is played, and what became of many runs.

`toy_gan.py` and the scripts in `reproductions/` share it.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from _methods import METHODS, Method
from _options import check_whole
from _results import counted
from _stores import swept
from jax.flatten_util import ravel_pytree
from scipy.stats import binomtest

from slantgan_jax import (
    Distribution,
    Game,
    Network,
    Objective,
    Players,
    Rule,
    fields,
    games,
    losses,
    metrics,
    networks,
    rules,
    train,
)
from slantgan_jax.sweeps import RunFn

EVALUATED_POINTS = 2500
"""Generated points for each measurement, as in VEEGAN and PacGAN."""

KEPT_POINTS = 256
"""The number of these points that are kept for drawings."""

RECORDS = 50
"""How often a run is measured."""

DIRECTIONS = 16
EVALUATION_SEED = 1
CONFIDENCE = 0.95
MOST_UNROLLED = 1000

DESCENTS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "adam": partial(optax.adam, b1=0.5),
    "rmsprop": partial(optax.rmsprop, decay=0.9, eps=1e-10, initial_scale=1.0),
    "sgd": optax.sgd,
}
"""Optimizers of the plain method. RMSProp is TensorFlow's: ε is inside the root, the second moment starts at 1."""


def unrolled_steps(strength: float) -> int:
    """The strength of the "unrolled optimizer", which is a number of steps. Refuses what is none."""
    steps: Any = int(strength) if float(strength).is_integer() else strength
    check_whole("--strength", steps, 0, MOST_UNROLLED)
    return steps


TOY_METHODS: dict[str, Method] = METHODS | {
    "Adam": METHODS["Adam"]._replace(optimizer=lambda rate, b1, _: optax.adam(rate, b1=b1)),  # not a tenth of the rate
    "unrolled optimizer": Method(
        (5.0,), whole_rule=lambda optimizer, _, steps, __: rules.unrolled(optimizer, unrolled_steps(steps))
    ),
    "opponent penalty": Method((0.5,), field=lambda _, eta: fields.opponent_penalty(Players(eta, 0))),
    "penalty on G's slope": Method((0.07,), field=lambda _, lam: fields.opponent_penalty(Players(0, lam))),
}


class Toy(NamedTuple):
    """A data set, the networks of both players, latents, the size of a minibatch, and what the players minimize.

    `reading` makes of an image, or of `packing` images, what D reads.
    """

    data: Distribution
    generator: Network
    discriminator: Network
    latent: Distribution
    batch: int
    objective: Objective = losses.non_saturating
    reading: Callable[[jax.Array], jax.Array] = jnp.ravel
    packing: int = 1

    def init(self, key: jax.Array) -> Players:
        """Starting parameters of both players."""
        return Players(*(net.init(own) for net, own in zip(self[1:3], jax.random.split(key), strict=True)))

    def logit(self, discriminator: Any, image: jax.Array) -> jax.Array:
        """D's logit."""
        return self.discriminator.apply(discriminator, self.reading(image))[0]

    def game(self, method: Method = METHODS["plain"], strength: Any = 0.0, **options: Any) -> Game:
        """The game of minibatches, as a method plays it; `options` are those of `games.gan`."""
        whole = method.game(
            self.objective, strength, partial(games.gan, self.init, self.generator.apply), self.logit,
            data=self.data, latent=self.latent, packing=self.packing, **options,
        )  # fmt: skip
        return games.minibatch(whole, self.batch)

    def points(self, generator: Any, key: jax.Array, count: int = EVALUATED_POINTS) -> jax.Array:
        """`[count, d]` generated points, as one batch."""
        latents = jax.vmap(lambda number: self.latent.sample(key, number, 0))(jnp.arange(count))
        return jax.vmap(partial(self.generator.apply, generator), axis_name=networks.BATCH)(latents)

    def measures(self, players: Players) -> dict[str, jax.Array]:
        """The metrics of `EVALUATED_POINTS` points of G, always of the same latents, and `KEPT_POINTS` of them."""
        key = jax.random.key(EVALUATION_SEED, impl="threefry2x32")
        points = self.points(players.generator, key)
        real = jax.vmap(lambda number: self.data.sample(key, number, 1))(jnp.arange(EVALUATED_POINTS))
        angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
        directions = np.stack([np.cos(angles), np.sin(angles)], -1) if points.shape[1] == 2 else np.ones((1, 1))
        found = {
            "points": points[:KEPT_POINTS],
            "sliced_wasserstein": metrics.sliced_wasserstein(points, real, directions),
        }
        if self.data.modes is not None:
            coverage = metrics.mode_coverage(points, self.data.modes())
            found |= {
                "histogram": coverage.all.histogram / EVALUATED_POINTS,
                "modes": coverage.ball.modes,
                "quality": coverage.ball.share,
                "box_quality": coverage.box.share,
                "quality_reverse_kl": coverage.ball.reverse_kl,
                "reverse_kl": coverage.all.reverse_kl,
            }
        return found

    def run(self, key: jax.Array, game: Game, rule: Rule, steps: int) -> dict[str, jax.Array]:
        """One run: its measures after each of `RECORDS` parts, the final players `[n]`, and whether all is finite."""
        result = train(
            key, game, rule, steps, record=lambda info: self.measures(info.players), record_every=steps // RECORDS
        )
        return result.history | {"players": ravel_pytree(result.players)[0], "finite": result.finite}

    def swept(self, run: RunFn, seeds: int, steps: int, store: Path) -> xr.Dataset:
        """What `run`, a function of a key that returns what `Toy.run` does, finds for so many seeds."""
        names = [name for name in DIMS if self.data.modes or name not in ATTRS or name == "sliced_wasserstein"]
        return swept(
            run,
            {"seed": np.arange(seeds)},
            store,
            dims={name: DIMS[name] for name in names},
            coords={"record": steps // RECORDS * np.arange(1, RECORDS + 1)},
            attrs={name: ATTRS[name] for name in names if name in ATTRS} | {"record": {"long_name": "step"}},
        )

    def real_and_modes(self) -> dict[str, np.ndarray | None]:
        """A thousand `real` points, and the centers of the `modes` if they are known."""
        real = jax.vmap(lambda number: self.data.sample(jax.random.key(0), number, 0))(np.arange(1000))
        return {"real": np.asarray(real), "modes": self.data.modes and np.asarray(self.data.modes().centers)}

    def players_of(self, numbers: np.ndarray) -> Players:
        """The players of which a run kept the `numbers` `[n]`."""
        return ravel_pytree(self.init(jax.random.key(0)))[1](jnp.asarray(numbers))


DIMS = {
    "points": ("record", "point", "coordinate"),
    "histogram": ("record", "mode"),
    "modes": ("record",),
    "quality": ("record",),
    "box_quality": ("record",),
    "quality_reverse_kl": ("record",),
    "reverse_kl": ("record",),
    "sliced_wasserstein": ("record",),
    "players": ("parameter",),
}
"""The dimensions of the results of `Toy.run`, for a sweep."""

ATTRS = {
    "histogram": {"long_name": "share of all points that are nearest to a mode"},
    "modes": {"long_name": "modes captured"},
    "quality": {"long_name": "share of points within 3 σ of a mode"},
    "box_quality": {"long_name": "share of points with each coordinate within 3 σ of a mode"},
    "quality_reverse_kl": {"long_name": "reverse KL of high-quality points", "units": "nats"},
    "reverse_kl": {"long_name": "reverse KL of all points", "units": "nats"},
    "sliced_wasserstein": {"long_name": "sliced Wasserstein-2 distance"},
}


def perceptron(
    sizes: tuple[int, ...], activation: str = "relu", init: str = "Xavier uniform", **options: Any
) -> Network:
    """`networks.mlp` with an activation of `jax.nn` and an initializer of `networks.INITIALIZERS` by name."""
    return networks.mlp(*sizes, activation=getattr(jax.nn, activation), init=networks.INITIALIZERS[init], **options)


FATES = ("covers", "collapsed", "cycles", "between", "diverged")
"""What can become of a run, see `fate`."""

COVERING_SHARE, FEW_MODES, CHANGING_SHARE = 0.9, 0.5, 0.25


def fate(modes: np.ndarray, histogram: np.ndarray, finite: np.ndarray) -> np.ndarray:
    """What became of each run in the second half of its records: an index of `FATES`.

    A run that ends with parameters that are not finite has diverged. Of the others, one covers if at least nine of ten
    records have captured all modes. Otherwise it has collapsed if at most half of the modes are captured at the median
    record, and cycles if, besides, the mode with most points changes in at least a quarter of the records. The rest is
    in between.

    Args:
      modes: modes captured, `[runs, records]`.
      histogram: the share of points at each mode, `[runs, records, k]`.
      finite: as in `TrainResult`, `[runs]`.
    """
    count, half = histogram.shape[-1], modes.shape[1] // 2
    late, dominant = modes[:, half:], histogram[:, half:].argmax(-1)
    covers = (late == count).mean(1) >= COVERING_SHARE
    few = np.median(late, axis=1) <= FEW_MODES * count
    moving = (np.diff(dominant, axis=1) != 0).mean(1) >= CHANGING_SHARE
    return np.select([~finite, covers, few & moving, few], [4, 0, 2, 1], 3)


def share(hits: np.ndarray) -> tuple[float, float, float]:
    """The share of true values, and its Wilson interval at `CONFIDENCE`."""
    interval = binomtest(int(hits.sum()), hits.size).proportion_ci(CONFIDENCE, "wilson")
    return float(hits.mean()), float(interval.low), float(interval.high)


def quantiles(values: np.ndarray, finite: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Quantiles `[shares, ...]` of a measure over runs, from its `values` `[runs, ...]` and which runs are `finite`.

    Where a run that has diverged has NaN, it counts as infinite. NaN of other runs, such as the divergence of no points
    of high quality, is left out; the quantiles are NaN if nothing is left.
    """
    diverged = np.isnan(values) & ~np.reshape(finite, (-1, *[1] * (values.ndim - 1)))
    largest = np.finfo(np.result_type(values, np.float32)).max  # for infinity, between which NumPy interpolates NaN
    known = np.where(diverged, largest, values)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
        between, above = (np.nanquantile(known, shares, axis=0, method=method) for method in ("linear", "higher"))
    return np.where(above == largest, np.inf, between)


def summary(ds: xr.Dataset) -> dict[str, Any]:
    """Quartiles over seeds of each measure at the last record; shares of seeds of each fate and of finite runs."""
    last = ds.isel(record=-1)
    found: dict[str, Any] = {
        name: quantiles(last[name].values, ds["finite"].values, (0.25, 0.5, 0.75)).tolist()
        for name in ATTRS
        if name in ds and name != "histogram"
    }
    if "modes" in ds:
        became = fate(ds["modes"].values, ds["histogram"].values, ds["finite"].values)
        found |= {"fates": {name: share(became == i) for i, name in enumerate(FATES)}}
        found |= {"all modes at the end": share(last["modes"].values == ds.sizes["mode"])}
    return found | {"finite": share(ds["finite"].values), "seeds": int(ds.sizes["seed"])}


def shown(found: Mapping[str, Any]) -> str:
    """A summary in a line: modes, quality and fates, or the distance from data without modes."""
    seeds = found["seeds"]
    diverged = seeds - round(found["finite"][0] * seeds)
    if diverged == seeds:
        return f"all {seeds} runs diverged" if seeds > 1 else "the run diverged"
    also = f"; {diverged} of {seeds} runs diverged" if diverged else ""
    if "modes" not in found:
        low, middle, high = (f"{one:.3g}" if np.isfinite(one) else "infinite" for one in found["sliced_wasserstein"])
        return f"sliced Wasserstein distance {middle} (quartiles {low} to {high}){also}"
    (low, middle, high), (least, quality, most) = found["modes"], found["quality"]
    all_modes, below, above = found["all modes at the end"]
    return (
        f"{counted(middle, 'mode')} at the median seed (quartiles {low:g} to {high:g}), all of them for "
        f"{all_modes:.0%} of {counted(seeds, 'seed')} ({below:.0%} to {above:.0%}); {quality:.0%} of points within 3 σ "
        f"(quartiles {least:.0%} to {most:.0%}){also}"
    )
