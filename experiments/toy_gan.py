"""Two small networks on a toy data set, by any method, over many seeds: which modes are captured, and how well?

All seeds are a sweep, whose store is kept in the folder of results: more seeds are added to it. See docs/toy_gans.md.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _experiment import Experiment, Quick
from _methods import ORDERS, Logit, Method, said, undecided
from _options import check_known, check_positive, check_whole, check_within, listing
from _results import Data
from _toys import ATTRS, DESCENTS, RECORDS, TOY_METHODS, Toy, perceptron, shown, summary
from figures import toy_gan as figures

from slantgan_jax import Distribution, Players, datasets, distributions, losses, networks

SHORT = {"ring": "ring-metz-paper", "grid": "grid25-gulrajani", "roll": "swiss-roll-gulrajani"}
"""Short names of data sets."""

DATA = (*SHORT, *datasets.DATASETS)
ACTIVATIONS = ("relu", "tanh", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid")
DEFAULT_DESCENT = "adam"
AT_LEAST_ONE = partial(check_whole, least=1)
SURFACE_POINTS = 101
"""On each axis of the grid on which D is drawn."""


@dataclass(frozen=True)
class Settings:
    """Train two small networks on a toy data set for many seeds at once, and measure what they cover."""

    data: Annotated[
        str,
        partial(check_known, known=DATA),
        listing("The data set: a published variant, or ring (that of Metz' paper), grid or roll (Gulrajani's).", DATA),
    ] = "ring"
    method: Annotated[str, partial(check_known, known=TOY_METHODS), listing("How the game is played.", TOY_METHODS)] = (
        "plain"
    )
    strength: float | None = None
    """Of the method; by default the middle one of those that comparisons try."""
    objective: Annotated[
        str, partial(check_known, known=losses.OBJECTIVES), listing("What the players minimize.", losses.OBJECTIVES)
    ] = "non-saturating"
    order: Annotated[str, partial(check_known, known=ORDERS), listing("Who moves when.", ORDERS)] = "alternating"
    optimizer: Annotated[
        str | None,
        partial(check_known, known=DESCENTS),
        listing(f"What a method that brings no optimizer descends with; by default {DEFAULT_DESCENT}.", DESCENTS),
    ] = None
    learning_rate: Annotated[float, check_positive] = 1e-3
    """Of both players."""
    seeds: Annotated[int, partial(check_whole, least=1, most=10**6)] = 64
    """The number of runs; seed S is jax.random.key(S)."""
    steps: Annotated[int, partial(check_whole, least=RECORDS, multiple=RECORDS)] = 5000
    """Steps of a run, each on a minibatch."""
    batch: Annotated[int, AT_LEAST_ONE] = 128
    """Real and generated points in a minibatch."""
    latents: Annotated[int, partial(check_whole, least=1, most=4096)] = 16
    """Standard-normal numbers that G is given."""
    generator: tuple[int, ...] = (64, 64)
    """The widths of G's hidden layers."""
    discriminator: tuple[int, ...] = (64, 64)
    """The widths of D's hidden layers."""
    activation: Annotated[
        str, partial(check_known, known=ACTIVATIONS), listing("Of the hidden layers.", ACTIVATIONS)
    ] = "relu"
    init: Annotated[
        str, partial(check_known, known=networks.INITIALIZERS), listing("How the weights start.", networks.INITIALIZERS)
    ] = "Xavier uniform"
    batch_norm: bool = False
    """Normalize G's hidden layers over the minibatch."""
    packing: Annotated[int, AT_LEAST_ONE] = 1
    """How many points D judges at once (PacGAN)."""
    independent_latents: bool = False
    """Let G's loss have latents of its own."""

    def check(self) -> None:
        method = TOY_METHODS[self.method]
        if self.strength is not None and method.strengths == Method().strengths:
            raise ValueError(f"--strength is {self.strength}, but --method {self.method} has none: leave it out")
        check_within(f"--strength of --method {self.method}", strength_of(self), *method.limits)
        brings_optimizer = not takes_descent(self)  # it makes the rule, which refuses more strengths
        if self.order != Settings.order and method.whole_rule:
            raise ValueError(f"--order is {self.order}, but --method {self.method} brings one: leave it out")
        if self.optimizer is not None and brings_optimizer:
            raise ValueError(f"--optimizer is {self.optimizer}, but --method {self.method} brings one: leave it out")
        if self.order == "tutorial" and len(losses.OBJECTIVES[self.objective].discriminator) == 1:
            raise ValueError(
                f"--order is tutorial, for which D's loss needs two terms, but that of --objective {self.objective} "
                "has one: choose another order"
            )
        if self.batch_norm and self.batch == 1:
            raise ValueError("--batch is 1, of which --batch-norm has no deviation: give at least 2")
        if self.packing > 1 and data_of(self).period > 1:
            raise ValueError(
                f"--packing is {self.packing}, but --data {self.data} shows its modes in turn, so that a pack always "
                "holds the same ones: choose another data set, or leave --packing out"
            )
        for option, widths in (("--generator", self.generator), ("--discriminator", self.discriminator)):
            for width in widths:
                check_whole(option, width, 1)


def data_of(settings: Settings) -> Distribution:
    return datasets.DATASETS[SHORT.get(settings.data, settings.data)]()


def toy_of(settings: Settings) -> Toy:
    data = data_of(settings)
    size = jax.eval_shape(data.sample, jax.random.key(0), 0, 0).size
    style = settings.activation, settings.init
    return Toy(
        data,
        perceptron((settings.latents, *settings.generator, size), *style, batch_norm=settings.batch_norm),
        perceptron((size * settings.packing, *settings.discriminator, 1), *style),
        distributions.normal((settings.latents,)),
        settings.batch,
        losses.OBJECTIVES[settings.objective],
        packing=settings.packing,
    )


def run(key: jax.Array, settings: Settings) -> dict[str, jax.Array]:
    toy, method = toy_of(settings), TOY_METHODS[settings.method]
    strength = strength_of(settings)
    descent = DESCENTS[settings.optimizer or DEFAULT_DESCENT]
    rule = method.rule(ORDERS[settings.order], settings.learning_rate, strength, descent)
    game = toy.game(method, strength, independent_latents=settings.independent_latents)
    return toy.run(key, game, rule, settings.steps)


def strength_of(settings: Settings) -> float:
    known = TOY_METHODS[settings.method].strengths
    return known[len(known) // 2] if settings.strength is None else settings.strength


def takes_descent(settings: Settings) -> bool:
    """Whether the method descends with the optimizer that is asked for, and brings none of its own."""
    asked = []
    descent = lambda rate: asked.append(rate) or optax.sgd(rate)  # noqa: E731
    method = TOY_METHODS[settings.method]
    method.rule(ORDERS[settings.order], settings.learning_rate, strength_of(settings), descent)
    return bool(asked)


def played(settings: Settings) -> Data:
    """The strength, the optimizer and the order that ran; None for what the method has not, or brings itself."""
    method = TOY_METHODS[settings.method]
    return {
        "strength": None if method.strengths == Method().strengths else strength_of(settings),
        "optimizer": settings.optimizer or DEFAULT_DESCENT if takes_descent(settings) else None,
        "order": None if method.whole_rule else settings.order,
    }


def compute(settings: Settings, out: Path) -> Data:
    values = {name: value for name, value in vars(settings).items() if name != "seeds"}
    name = f"{settings.data}-{settings.method}".replace(" ", "_").replace("'", "")
    digest = hashlib.sha256(repr(values).encode()).hexdigest()[:8]
    toy, store = toy_of(settings), out / "runs" / f"{name}-{digest}.zarr"
    ds = toy.swept(partial(run, settings=settings), settings.seeds, settings.steps, store)
    axis, scores = surface(
        toy,
        TOY_METHODS[settings.method].constrain(toy.logit),
        [toy.players_of(row) for row in ds["players"].values[: figures.DRAWN]],
        ds.sizes["coordinate"],
    )
    return toy.real_and_modes() | {
        "played": played(settings),
        "summary": summary(ds),
        "runs": {name: ds[name].values for name in ATTRS if name in ds},
        "points": ds["points"].values[: figures.DRAWN],
        "record": ds["record"].values,
        "axis": axis,
        "verdicts": np.stack([verdict(settings.objective, one) for one in scores]),
    }


def surface(toy: Toy, logit: Logit, players: list[Players], dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """D's logit on a grid around the data for each of the players: the axis `[n]`, and `[players, n]` or
    `[players, n, n]`. `logit` is that of the method."""
    reach = np.abs(np.asarray(toy.data.modes().centers)).max() if toy.data.modes else 2.0
    axis = np.linspace(-1.5 * reach, 1.5 * reach, SURFACE_POINTS)
    grid = np.stack(np.meshgrid(*[axis] * dimensions), -1).astype(np.float32)

    def score(discriminator: Any, point: jax.Array) -> jax.Array:
        return logit(discriminator, point if toy.packing == 1 else jnp.broadcast_to(point, (toy.packing, dimensions)))

    of = jax.jit(jax.vmap(score, in_axes=(None, 0)))
    found = [np.asarray(of(one.discriminator, grid.reshape(-1, dimensions))) for one in players]
    return axis, np.stack(found).reshape(-1, *grid.shape[:-1])


def verdict(objective: str, scores: np.ndarray) -> np.ndarray:
    """What D says of a grid of points, from 0 for generated to 1 for real; ½ is undecided.

    That is the probability, and with least squares the score, as far as it is between 0 and 1. Where any constant is
    undecided, it is σ of the score relative to its median over the grid.
    """
    if undecided(objective) is None:
        return np.asarray(jax.nn.sigmoid(scores - jnp.median(scores)))
    return np.asarray(jnp.clip(said(objective, scores), 0, 1))


def answer(data: Data) -> str:
    settings, strength = data["settings"], data["played"]["strength"]
    method = settings["method"] if strength is None else f"{settings['method']} of strength {strength:g}"
    return f"{method} on {settings['data']}: {shown(data['summary'])}."


EXPERIMENT = Experiment(
    "toy_gan", Settings, compute, answer, figures.of, exports={"training.gif": figures.animation},
    x64=False, devices=None, fused=False,
    time="about 2 minutes", quick=Quick({"seeds": 8, "steps": 1500}, "20 seconds"),
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
