"""What is known exactly about one trained GAN: distances, gaps and losses, from its run.json to analysis.json.

See docs/analysis.md for what each number means and how exact it is.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from _experiment import start_jax
from _methods import METHODS, OBJECTIVES, Logit, undecided_losses
from _options import command_line, options_of
from _results import Data, atomic_folder, origin, write

from slantgan_jax import Players, faces, fields, games, networks, slanted_land
from slantgan_jax.analysis import best_response, distances, quadrature, spectra, transport
from slantgan_jax.checks import shown
from slantgan_jax.networks import Discriminator, from_vector
from slantgan_jax.numerics import as_float, safe_norm
from slantgan_jax.training import DIVERGENCE_BOUND

SCALES = (0.1, 0.25, 0.5, 1.0)
RIDGES = (0.0, 0.001, 0.01)
TUTORIAL = "non-saturating"
"""The tutorial's objective."""


class Play(NamedTuple):
    """How a run was played, as its run.json says.

    Attributes:
      objective: a name in `OBJECTIVES`.
      way: a name in `METHODS`; D has its logit.
      without: what else the run's losses had, such as a penalty, and the measured ones do not have.
    """

    objective: str = TUTORIAL
    way: str = "plain"
    without: tuple[str, ...] = ()


PLAIN = Play()


@dataclass(frozen=True)
class Settings:
    """Analyze the players of a run.json; print the results and write them to analysis.json beside it."""

    run: tyro.conf.Positional[Path]
    """A run.json of tutorial.py, of train.py or of the page."""
    out: Path | None = None
    """The folder for analysis.json; by default that of the run."""


def parse(arguments: list[str] | None = None) -> Data:
    """Analyzes the run that `arguments` name, by default those of this process. Returns what analysis.json has.

    It is no `Experiment`, as its data.json would replace that of the run in the same folder.
    """
    settings = options_of(Settings, arguments)
    folder = settings.out or settings.run.parent
    start_jax(0)
    with jax.enable_x64(True):
        players, play = players_of(settings.run), play_of(settings.run)
        with atomic_folder(folder) as unfinished:
            analysis = analysis_of(players, play)
            data = analysis | {"run": settings.run} | play._asdict() | origin()
            write(unfinished / "analysis.json", data)
    report(analysis, play)
    print(f"Written to {folder / 'analysis.json'}.")
    return data


STORY = {
    "What G draws": {
        "mean_image": "the mean of all images that G can draw; a face is dark on the diagonal",
        "variance_trace": "how much its images differ from each other, as a variance; the five faces have 0.0224",
    },
    "How far that is from the faces": {
        "mean_gap": "the distance of the mean image from the mean face, all that this D can see; 0 at an equilibrium",
        "wasserstein_1": "the mean distance of G's images from the faces, if they are matched in the best way",
        "wasserstein_2": "the same with squared distances, so that far images count more",
        "energy_distance": "a distance of distributions by pairs of images; 0 only if they are the same",
        "mmd_squared": "another one, squared, with Gaussian kernels of these widths",
        "frechet_squared": "the distance of means and covariances alone, as of the FID, squared",
    },
    "What the players lose": {
        "generator_loss": "G's expected loss{}",
        "discriminator_loss": "D's expected loss{}",
    },
    "Is it an equilibrium?": {
        "field_norm": "the length of both players' gradients; 0 at every equilibrium",
        "duality_gap": "what the best D and G would gain in the zero-sum game of ln D; 0 only at its equilibria",
        "nikaido_isoda_gap": "the same with the losses of the tutorial",
    },
    "What the best D could do": {
        "separable": "whether a plane separates the faces from all of G's images",
        "best_discriminator_loss": "the tutorial's loss of the best D; a ridge on its weights and bias counts in it",
    },
}
"""The numbers in the order in which they are told, each in half a sentence. {} is the loss where D is undecided."""


def report(analysis: Data, play: Play = PLAIN) -> None:
    levels = zip(("generator_loss", "discriminator_loss"), undecided_losses(play.objective), strict=True)
    undecided = {name: f"; {level:.3f} if D is undecided" for name, level in levels if level is not None}
    for title, numbers in STORY.items():
        print(f"\n{title}")
        for name, meaning in numbers.items():
            print(f"{name:25} {analysis[name]}\n  {meaning.format(undecided.get(name, ''))}")
    print()
    if METHODS[play.way].logit is not networks.logit:
        print(f"D has the logit of {play.way}, as in the run.")
    if play.without:
        print(f"Losses and gradients are those without {' and '.join(play.without)}, which the run had.")


def players_of(path: Path) -> Players:
    """The players of a run.json, with scalar leaves, in the precision of the trace.

    Raises:
      ValueError: there is no such file, or it is not a run on 2×2 images with finite parameters.
    """
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        w, b = (np.array(run["generator"][name], float) for name in ("weights", "biases"))
        u, c = (np.array(run["discriminator"][name], float) for name in ("weights", "bias"))
    except (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        what = type(error).__name__
        raise ValueError(f"{path} is not a run.json of tutorial.py, train.py or the page ({what}): name one") from None
    if not (w.shape == b.shape == u.shape == (4,) and c.shape == ()):
        shapes = ", ".join(str(x.shape) for x in (w, b, u, c))
        raise ValueError(f"{path} has players of the shapes {shapes}: name a run on images of 4 pixels")
    vector = np.array([*w, *b, *u, c])
    if not np.all(np.abs(vector) <= DIVERGENCE_BOUND):
        raise ValueError(
            f"{path} has parameters that are not finite, or beyond {DIVERGENCE_BOUND:g}: it diverged, so name another"
        )
    return from_vector(vector)


def play_of(path: Path) -> Play:
    """How the run of a run.json was played. What it does not say was as in the tutorial.

    Raises:
      ValueError: an objective or a way that is not known here.
    """
    settings = json.loads(path.read_text(encoding="utf-8")).get("settings")
    settings = settings if isinstance(settings, dict) else {}
    objective, way = settings.get("objective", TUTORIAL), settings.get("way", "plain")
    for what, name, known in (("objective", objective, OBJECTIVES), ("way", way, METHODS)):
        if not isinstance(name, str) or name not in known:
            raise ValueError(f"{path} has the {what} {shown(name)}: name a run of one of {', '.join(known)}")
    penalty = settings.get("penalty", "none")
    without = [f"the penalty {penalty}"] * (penalty != "none") + ["the instance noise"] * METHODS[way].noisy
    return Play(objective, way, tuple(without))


def analysis_of(players: Players, play: Play = PLAIN) -> Data:
    """The measures by name as Python numbers and lists, computed in the precision of the players."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), measured(players, play))


def plain_discriminator(logit: Logit, discriminator: Discriminator) -> Discriminator:
    """The D whose own logit is that of `discriminator` by `logit`, for every image; both are affine."""
    black = jax.tree.map(jnp.zeros_like, discriminator.weights)
    return Discriminator(jax.grad(partial(logit, discriminator))(black), logit(discriminator, black))


@partial(jax.jit, static_argnames="play")
def measured(players: Players, play: Play) -> Data:
    images, generator, logit = faces.unstack(faces.FACES), players.generator, METHODS[play.way].logit
    game = quadrature.with_panels(slanted_land(objective=OBJECTIVES[play.objective], logit=logit), generator)
    expected = games.expected_losses(game, players)
    plain = Players(generator, plain_discriminator(logit, players.discriminator))
    ridges = as_float(RIDGES)
    best = jax.vmap(lambda ridge: best_response.best_discriminator(generator, images, ridge))(ridges)
    scales = as_float(SCALES)
    mmd_squared = jax.vmap(lambda scale: distances.mmd_squared(generator, images, scale))(scales)
    return {
        "mean_image": faces.stack(distances.mean_image(generator)),
        "mean_gap": distances.mean_gap(generator, images),
        "variance_trace": distances.variance_trace(generator),
        "wasserstein_1": transport.wasserstein(generator, images, 1),
        "wasserstein_2": transport.wasserstein(generator, images, 2),
        "energy_distance": distances.energy_distance(generator, images),
        "mmd_squared": {f"{scale}": value for scale, value in zip(SCALES, mmd_squared, strict=True)},
        "frechet_squared": distances.frechet_squared(generator, images),
        "discriminator_loss": expected.discriminator,
        "generator_loss": expected.generator,
        "field_norm": safe_norm(spectra.expected_field(game, fields.gradients)(players)),
        "duality_gap": best_response.duality_gap(plain, images),
        "nikaido_isoda_gap": best_response.nikaido_isoda_gap(plain, images),
        "best_discriminator_loss": {f"ridge_{r:g}": loss for r, loss in zip(RIDGES, best.loss, strict=True)},
        "separable": best.separable[0],
    }


if __name__ == "__main__":
    command_line(parse)
