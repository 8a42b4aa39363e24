"""The whole tutorial, in the order of the article: its worked examples, its training run, its figures, its numbers.

The run replays the random numbers of the article's NumPy program. See docs/lesson/training.md.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import figures.tutorial as figures
import jax
import jax.numpy as jnp
import numpy as np
from _experiment import Experiment
from _methods import METHODS, OBJECTIVES, ORDERS, SCORED, said, undecided, undecided_losses
from _options import check_known, check_positive, check_whole, check_within
from _results import Data
from _tutorial_text import report
from article_stream import article_players, article_stream, replayed

from slantgan_jax import Players, faces, games, generate, logit, losses, slanted_land, train
from slantgan_jax.analysis import distances
from slantgan_jax.networks import from_vector, to_vector
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import Move
from slantgan_jax.training import DIVERGENCE_BOUND, StepInfo

STEPS_PER_EPOCH = len(faces.FACES)
PENALTIES = {"none": METHODS["plain"]} | {name: method for name, method in METHODS.items() if method.penalty}
TAUGHT_ORDERS = [name for name in ORDERS if name != "alternating, D twice"]
"""The article's program draws one latent a step, so D cannot learn from two."""

SLANT = np.array([0.5, -0.5, -0.5, 0.5])
"""The slant of an image is its product with these numbers: how much darker its diagonal is than the other pixels."""

FRAMES = 51
FRAME_LATENTS = np.array([0.1, 0.4, 0.6, 0.9])


@dataclass(frozen=True)
class Settings:
    """Run the tutorial GAN from beginning to end: every step of the article, every figure, every printed number."""

    seed: Annotated[int, partial(check_whole, least=0, most=2**32 - 1)] = 42
    """The seed of the random source."""
    learning_rate: Annotated[float, partial(check_positive, most=1e308)] = 0.01
    """The learning rate of both players' gradient descent."""
    epochs: Annotated[int, partial(check_whole, least=1, most=1_000_000)] = 1000
    """Passes over the five faces."""
    source: Annotated[str, partial(check_known, known=("numpy", "jax"))] = "numpy"
    """The source of random numbers: numpy replays the article's program in float64, jax uses jax.random in float32."""
    objective: Annotated[str, partial(check_known, known=OBJECTIVES)] = "non-saturating"
    """The losses of both players."""
    order: Annotated[str, partial(check_known, known=TAUGHT_ORDERS)] = "tutorial"
    """Who moves when. In the tutorial's order D learns from a face, then from a fake, and then G learns."""
    penalty: Annotated[str, partial(check_known, known=PENALTIES)] = "none"
    """A penalty on the slope of D."""
    strength: Annotated[float, partial(check_within, least=0, most=1e6)] = 0.1
    """The strength of the penalty, γ of R1 or λ of WGAN-GP."""

    def check(self) -> None:
        if self.order == "tutorial" and len(OBJECTIVES[self.objective].discriminator) == 1:
            raise ValueError(
                f"--objective {self.objective} judges a pair of images, and in the tutorial's order D learns from one "
                "after the other: add --order alternating"
            )


def compute(settings: Settings, out: Path) -> Data:
    run = trained(**asdict(settings))
    w, b, u, c = np.split(run["trajectory"][-1], [4, 8, 12])
    diverged = divergence(run["trajectory"][-1])
    gaps = None if diverged else mean_gaps(run["trajectory"])
    levels = dict(zip(("generator_error", "discriminator_loss"), undecided_losses(settings.objective), strict=True))
    return {
        "faces": faces.FACES,
        "noise": faces.noise(jax.random.key(settings.seed), 20),
        "generator": {"weights": w, "biases": b},
        "discriminator": {"weights": u, "bias": c[0]},
        "latents": run["latents"],
        "generated": run["generated"],
        "curves": run["curves"],
        "undecided": {name: level for name, level in levels.items() if level is not None},
        "undecided D says": undecided(settings.objective),
        "mean_image": run["generated_mean"],
        "verdicts": None if diverged else verdicts(run["trajectory"], settings.objective),
        "distance": None if gaps is None else np.linalg.norm(gaps, axis=-1),
        "excess of slant": None if gaps is None else gaps @ SLANT,
        "reward of slant": None if diverged else run["trajectory"][::STEPS_PER_EPOCH, 8:12] @ SLANT,
        "distance to equilibrium": None if diverged else distance_to_equilibrium(run["trajectory"]),
        "frames": None if diverged else frames(run["trajectory"], settings.objective),
        "precision": run["generated"].dtype.name,
        "diverged": diverged,
    }


def trained(
    seed: int,
    learning_rate: float,
    epochs: int,
    source: str,
    objective: str = "non-saturating",
    order: str = "tutorial",
    penalty: str = "none",
    strength: float = 0.1,
) -> Data:
    """The run as NumPy arrays, see `replay`, and the four `latents` that are drawn after training."""
    steps = epochs * STEPS_PER_EPOCH
    with jax.enable_x64(source == "numpy"):
        if source == "numpy":
            stream = article_stream(seed, steps)
            start, latents, shown = article_players(stream), stream.latents, stream.shown
        else:
            key_init, key_latent = jax.random.split(jax.random.key(seed))
            start = slanted_land().init(key_init)
            # The four latents drawn after training are the next ones of the run's stream, as in the article.
            latents, shown = jnp.split(jax.random.uniform(key_latent, (steps + 4,)), [steps])
        names = objective, order, penalty
        run = replay(start, jnp.asarray(latents), jnp.asarray(shown), learning_rate, strength, *names)
        return jax.tree.map(np.asarray, run | {"latents": shown})


@partial(jax.jit, static_argnames=("objective", "order", "penalty"))
def replay(
    start: Players,
    latents: jax.Array,
    shown: jax.Array,
    learning_rate: jax.Array,
    strength: jax.Array | float = 0.0,
    objective: str = "non-saturating",
    order: str = "tutorial",
    penalty: str = "none",
) -> Data:
    """A run on given latents: the players before each step and after the last, its curves, the images of `shown`."""
    method = PENALTIES[penalty]
    game = method.game(OBJECTIVES[objective], strength, replayed, latents=latents)
    rule = method.rule(ORDERS[order], learning_rate, strength)
    key = jax.random.key(0)  # of nothing that counts: latents and faces are given, and D has the same slope everywhere
    seen_after = rule.moves(game)[0] if order == "tutorial" else None
    record = lambda info: (to_vector(info.players), curves(seen_after, game, info))  # noqa: E731
    result = train(key, game, rule, len(latents), players=start, record=record)
    players, errors = result.history
    generated = faces.stack(jax.vmap(generate, (None, 0))(result.players.generator, shown))
    mean = faces.stack(distances.mean_image(result.players.generator))
    trajectory = jnp.vstack([to_vector(start), players])
    return {"trajectory": trajectory, "curves": errors, "generated": generated, "generated_mean": mean}


def curves(seen_after: Move | None, game: games.Game, info: StepInfo) -> dict[str, jax.Array]:
    """What the article's program records in a step: after D's step on the face, before its step on the fake.

    `seen_after` is D's step on the face; other orders have none, and are seen before the step.

    Its discriminator error is `sum(-ln D(x) - ln(1 - D(z)))` with the scalar z in the place of an image, which
    broadcasts to one value σ(u_i z + c) for each weight: `discriminator_error`. The loss that D minimizes is
    `discriminator_loss`.
    """
    seen = seen_after(info.before, info.sample).players if seen_after else info.before.players
    weights, bias = seen.discriminator
    real = losses.softplus(-logit(seen.discriminator, info.sample.real))
    broadcast = [real + losses.softplus(u * info.sample.latent + bias) for u in jax.tree.leaves(weights)]
    true = games.total_losses(game, seen, info.sample)
    return {
        "generator_error": true.generator,
        "discriminator_error": jnp.asarray(sum(broadcast)),
        "discriminator_loss": true.discriminator,
    }


def frames(trajectory: np.ndarray, objective: str) -> Data:
    """What the animation shows: images of fixed latents at even epochs, what D says of them and of the mean face,
    and the weights of both."""
    epochs = len(trajectory) // STEPS_PER_EPOCH
    chosen = np.unique(np.rint(np.linspace(0, epochs, FRAMES)).astype(int))
    generator, discriminator = jax.vmap(partial(from_vector, stacked=True))(trajectory[chosen * STEPS_PER_EPOCH])
    images = jax.vmap(jax.vmap(generate, (None, 0)), (0, None))(generator, FRAME_LATENTS)
    says = jax.vmap(lambda d, image: said(objective, logit(d, image)))
    shown = {
        "images": images,
        "verdicts": jax.vmap(says, (None, 1), 1)(discriminator, images),
        "of the mean face": says(discriminator, as_float(np.tile(faces.FACES.mean(0), (len(chosen), 1)))),
        "generator weights": generator.weights,
        "discriminator weights": discriminator.weights,
    }
    return {"epochs": chosen, "latents": FRAME_LATENTS} | jax.tree.map(np.asarray, shown)


def verdicts(trajectory: np.ndarray, objective: str) -> Data:
    """What D says in the mean of the faces and of G's images of 21 even latents, at the start and after each epoch."""
    generator, discriminator = jax.vmap(partial(from_vector, stacked=True))(trajectory[::STEPS_PER_EPOCH])
    judged = jax.vmap(lambda d, image: said(objective, logit(d, image)), (None, 0))

    def means(generator: Any, discriminator: Any) -> tuple[jax.Array, jax.Array]:
        fakes = jax.vmap(generate, (None, 0))(generator, jnp.linspace(0, 1, 21))
        return judged(discriminator, as_float(faces.FACES)).mean(), judged(discriminator, fakes).mean()

    real, fake = jax.jit(jax.vmap(means))(generator, discriminator)
    return {"real": np.asarray(real), "fake": np.asarray(fake)}


def mean_gaps(trajectory: np.ndarray) -> np.ndarray:
    """The mean generated image minus the mean face `[1 + epochs, 4]`, at the start and after each epoch."""
    generators, _ = jax.vmap(partial(from_vector, stacked=True))(trajectory[::STEPS_PER_EPOCH])
    images = jax.jit(jax.vmap(lambda generator: faces.stack(distances.mean_image(generator))))(generators)
    return np.asarray(images) - faces.FACES.mean(0)


def distance_to_equilibrium(trajectory: np.ndarray) -> np.ndarray:
    """How far the mean image and D's slopes together are from an equilibrium, at the start and after each epoch."""
    players = jax.vmap(partial(from_vector, stacked=True))(trajectory[::STEPS_PER_EPOCH])
    return np.asarray(jax.jit(jax.vmap(lambda one: distances.to_equilibrium(one, as_float(faces.FACES))))(players))


def divergence(parameters: np.ndarray) -> str | None:
    """Why a run that ends with these parameters counts as diverged, or None."""
    largest = np.max(np.abs(parameters))
    if not np.isfinite(largest):
        return "parameters are infinite or NaN"
    if largest > DIVERGENCE_BOUND:
        return f"a parameter reached {largest:.3g}, where every sigmoid is 0 or 1 and learning has stopped"
    return None


def run_json(data: Data) -> Data:
    """The run as `analyze.py` reads it."""
    settings = data["settings"] | {name: data[name] for name in ("command", "precision", "diverged")}
    parts = ("generator", "discriminator", "generated", "versions")
    return {name: data[name] for name in parts} | {"settings": settings}


def answer(data: Data) -> str:
    if data["diverged"]:
        return f"The run diverged: {data['diverged']}."
    before, after = np.mean(data["frames"]["verdicts"], axis=1)[[0, -1]]
    if data["settings"]["objective"] not in SCORED:
        return (
            f"D takes a generated image for a face with the probability {before:.2f} before training and {after:.2f} "
            "after it."
        )
    face_before, face_after = np.asarray(data["frames"]["of the mean face"])[[0, -1]]
    return (
        f"D gives a generated image the score {before:.2f} and the mean face {face_before:.2f} before training, "
        f"{after:.2f} and {face_after:.2f} after it."
    )


FILES = {
    "run.json": run_json,
    "errors.npz": lambda data: data["curves"],
    "training.gif": figures.animation,
    "flow.gif": figures.flow,
}
EXPERIMENT = Experiment(
    "tutorial",
    Settings,
    compute,
    answer,
    figures.of,
    report,
    FILES,
    x64=False,
    devices=0,
    stale=(*figures.STALE, "analysis.json"),
)

if __name__ == "__main__":
    EXPERIMENT.main()
