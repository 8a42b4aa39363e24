"""Berard et al. 2020, "A closer look at the optimization landscapes of generative adversarial networks" (1906.04848).

Settings: their published train_mixture_gan.py with its option --deterministic, without which it has batches of 100.
Two normal distributions at -2 and 2 on a line; one hidden layer of 100 ReLU in both networks, PyTorch's start; 100
normal latents; 10,000 fixed pairs of point and latent, all in each batch; gradient descent with 0.1 for D and 0.01 for
G; 100,000 simultaneous steps, or 50,000 steps of extragradient or of alternating moves, of which the published loop
counts both halves.

Code is not paper: the code saves what extragradient reaches in the middle of a step, the point ahead. That point is
nearly stationary. The players stay one step of size 0.1 away from it, where D's loss is about 3.7: a point ahead can be
stationary where the players are not, as the curvature of D's loss passes 1 / 0.1. The landscape is that of the point
ahead.

Simultaneous steps and the first half of extragradient are not simultaneous in the code: it moves D in place before it
takes the gradient of G's loss, by `p.data -= ...`, which PyTorch does not notice. So that gradient goes backward
through D's new weights, but with the values that D's units had with the old ones. Here both players move from the same
place, as in the paper.

By default this runs at a reduced size, 1,000 pairs and 10,000 steps. `--full` has the published 10,000 pairs, and
100,000 steps in each order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _claims import Data, Figure, Seeds, SizedSettings, Steps, Way, played, toy_experiment
from _options import check_known
from _toys import Toy, perceptron
from figures import reproductions as figures

from slantgan_jax import Players, Rule, datasets, distributions, fields, games, losses, numerics, penalties, rules
from slantgan_jax.analysis import matrix_free, path_angle

CLAIM = "Training rotates around the point that it reaches, where G is at a saddle of its own loss."
RATES = Players(0.01, 0.1)
DESCENT = Players(optax.sgd(0.01), optax.sgd(0.1))
OBJECTIVES = {"nsgan": losses.non_saturating, "gan": losses.saturating, "wgan": losses.wasserstein}
Projection = Callable[[Any], Any]
"""From players to players within their constraints."""

RULES: dict[str, Callable[[Players, Projection | None], Rule]] = {
    "extra": lambda optimizers, project: rules.simultaneous(optimizers, fields.extragradient(RATES, project=project)),
    "alt": lambda optimizers, project: rules.alternating(optimizers),
    "sim": lambda optimizers, project: rules.simultaneous(optimizers),
}
CLIP = 1.0
"""The largest parameter of D's with the loss wgan."""
FULL_PAIRS, REDUCED_PAIRS = 10_000, 1_000
EIGENVALUES = 20
STATIONARY_SHARE = 0.05
"""At a point that counts as stationary, the norm of the field is at most this share of its norm at the start."""

ROUNDING = 1e-9
"""An eigenvalue of this size, relative to the largest one, may be 0."""

TOY = Toy(
    datasets.mixture([[-2.0], [2.0]], 1.0),
    perceptron((100, 100, 1), init="PyTorch"),
    perceptron((1, 100, 1), init="PyTorch"),
    distributions.normal((100,)),
    batch=REDUCED_PAIRS,
)


@dataclass(frozen=True)
class Settings(SizedSettings):
    """Does training rotate around the point that it reaches, and is that point a saddle for G?"""

    losses: Annotated[tuple[str, ...], partial(check_known, known=OBJECTIVES)] = ("nsgan", "gan")
    """What the players minimize; wgan clips D's parameters to 1."""
    methods: Annotated[tuple[str, ...], partial(check_known, known=RULES)] = ("extra",)
    """Who moves when."""
    seeds: Seeds = 4
    steps: Steps = 10_000


def ways(settings: Settings) -> dict[str, Way]:
    pairs = FULL_PAIRS if settings.full else REDUCED_PAIRS
    found = {}
    for loss in settings.losses:
        toy = TOY._replace(objective=OBJECTIVES[loss], batch=pairs)
        game = games.on_sample(toy.game(), toy.game().sample(jax.random.key(1234), 0))
        for method in settings.methods:
            optimizers = DESCENT
            if loss == "wgan":
                optimizers = Players(DESCENT.generator, penalties.clipped(DESCENT.discriminator, CLIP))
            found[f"{loss}, {method}"] = Way(toy, game, RULES[method](optimizers, projection(loss)))
    return found


def projection(loss: str) -> Projection | None:
    """How players are taken back into the constraints of a loss, if it has any."""
    if loss != "wgan":
        return None
    clip = lambda leaf: jnp.clip(leaf, -CLIP, CLIP)  # noqa: E731
    return lambda players: players._replace(discriminator=jax.tree.map(clip, players.discriminator))


def compute(settings: Settings, out: Path) -> Data:
    data = played(ways(settings), settings, out)
    for name, way in ways(settings).items():
        ahead, project = RATES if name.endswith("extra") else Players(0.0, 0.0), projection(name.partition(",")[0])
        ends = data["ways"][name]["players"]
        found = [landscape(way, ahead, project, seed, numbers) for seed, numbers in enumerate(ends)]
        data["ways"][name]["landscape"] = {key: np.stack([one[key] for one in found]) for key in found[0]}
    return data


def landscape(
    way: Way, ahead: Players, project: Projection | None, seed: int, numbers: np.ndarray
) -> dict[str, np.ndarray]:
    """One step of the size `ahead` from the end of a run: D's losses here and there, and the landscape there.

    That is leading eigenvalues of J, the least and the largest one of G's own part, the path angle from the start, and
    the norms of the field at the start and there.
    """
    start = way.toy.init(jax.random.split(jax.random.key(seed))[0])
    last = way.toy.players_of(numbers)
    with jax.enable_x64(True):
        total = partial(games.total_losses, way.game, sample=())
        field = fields.gradients(total)
        end = fields.step_along(last, ahead, field(last))
        end = end if project is None else project(end)
        path = path_angle.path_angle(field, start, end)
        flow = matrix_free.flow_eigenvalues(field, end, EIGENVALUES, "LM")
        slope = partial(slope_of_generator, total, end.discriminator)
        own = [matrix_free.flow_eigenvalues(slope, end.generator, 1, which).eigenvalues[0] for which in ("LR", "SR")]
        slopes = np.asarray([numerics.safe_norm(field(place)) for place in (start, end)])
    return {
        "losses of D": np.asarray([total(last).discriminator, total(end).discriminator]),
        "eigenvalues of J": -np.stack([np.real(flow.eigenvalues), np.imag(flow.eigenvalues)], -1),
        "residuals": flow.residuals,
        "eigenvalues of G": -np.real(own),
        "slopes": slopes,
        "cosines": -np.asarray(path.cosines),
        "norms": np.asarray(path.norms),
    }


def slope_of_generator(total: Callable[[Any], Any], discriminator: Any, generator: Any) -> Any:
    """∇_θ L_G."""
    return jax.grad(lambda own: total(Players(own, discriminator)).generator)(generator)


def answer(data: Data) -> str:
    return "\n".join(f"{name}: {landscapes(way)}" for name, way in data["ways"].items())


def landscapes(way: Data) -> str:
    """What the landscapes of a way's runs are like, of the runs that have not diverged.

    G is at a saddle where the point is stationary, and G's loss curves up in one direction and down in another.
    """
    finite = way["finite"][: len(way["landscape"]["slopes"])]
    diverged = f"{len(finite) - finite.sum()} of {len(finite)} runs diverged."
    if not finite.any():
        return diverged
    found = {key: values[finite] for key, values in way["landscape"].items()}
    real, imaginary = np.nanmax(np.abs(found["eigenvalues of J"]), axis=1).T
    least, largest = found["eigenvalues of G"].T
    curved = (largest > 0) & (least < -ROUNDING * largest)
    start, end = found["slopes"].T
    shares = end / start
    moving = ~(shares <= STATIONARY_SHARE)
    here, there = np.median(found["losses of D"], axis=0)
    said = [
        f"the largest imaginary part is {np.median(imaginary / real):.2g} of the largest real part; G is at a saddle "
        f"in {np.sum(curved & ~moving)} of {finite.sum()} runs.",
        f"D's loss is {there:.3g} there, and {here:.3g} at the players. The norm of the field there is "
        f"{shares.min():.2g} to {shares.max():.2g} of that at the start.",
    ]
    if moving.any():
        said.append(
            f"The point is not stationary in {moving.sum()} of {finite.sum()} runs, in {np.sum(curved & moving)} of "
            "which G's loss curves both up and down."
        )
    return " ".join(said if finite.all() else [*said, diverged])


EXPERIMENT = toy_experiment(
    "berard_2020",
    Settings,
    compute,
    answer,
    CLAIM,
    "about 2 minutes",
    "3 minutes",
    {"landscape.png": Figure(figures.landscape, size=figures.size)},
)

if __name__ == "__main__":
    EXPERIMENT.main()
