"""What is known exactly about one trained GAN, from its run.json to analysis.json: distances, gaps, losses."""

import json
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import results
import tyro

from slantgan_jax import Discriminator, Generator, Players, faces, fields, games, slanted_land
from slantgan_jax.analysis import best_response, distances, quadrature, spectra, transport
from slantgan_jax.numerics import as_float, safe_norm
from slantgan_jax.training import DIVERGENCE_BOUND

SCALES = (0.1, 0.25, 0.5, 1.0)
RIDGES = (0.0, 0.001, 0.01)


def analyze(run: Annotated[Path, tyro.conf.Positional], out: Path | None = None) -> None:
    """Analyse the players of a run.json; print the results and write them to analysis.json beside it.

    Args:
        run: a run.json of tutorial.py or train.py.
        out: folder for analysis.json; by default that of the run.
    """
    with jax.enable_x64(True):
        analysis = analysis_of(players_of(run))
    folder = run.parent if out is None else out
    with results.complete_folder(folder) as unfinished:
        record = {"run": str(run), "command": results.command(), "versions": results.record()}
        results.write_json(unfinished / "analysis.json", analysis | record)
    for name, value in analysis.items():
        print(f"{name:25} {value}")
    print(f"Written to {folder / 'analysis.json'}.")


def players_of(path: Path) -> Players:
    """The players of a run.json, with scalar leaves, in float64.

    Raises:
      ValueError: there is no such file, or it is not of a run on 2×2 images with finite parameters.
    """
    try:
        run = json.loads(path.read_text())
        pixels = [run["generator"]["weights"], run["generator"]["biases"], run["discriminator"]["weights"]]
        w, b, u = (np.array(values, np.float64) for values in pixels)
        c = np.float64(run["discriminator"]["bias"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        what = type(error).__name__
        raise ValueError(f"{path} is not a run.json of tutorial.py or train.py ({what}): name one") from None
    if not (w.shape == b.shape == u.shape == (4,) and c.shape == ()):
        shapes = ", ".join(str(x.shape) for x in (w, b, u, c))
        raise ValueError(f"{path} has players of the shapes {shapes}: the faces to compare with have 4 pixels")
    if not np.all(np.abs([*w, *b, *u, c]) <= DIVERGENCE_BOUND):
        raise ValueError(
            f"{path} has parameters that are not finite, or beyond {DIVERGENCE_BOUND:g}: the run diverged, and "
            "there is nothing to analyze"
        )
    return jax.tree.map(
        as_float, Players(Generator(faces.unstack(w), faces.unstack(b)), Discriminator(faces.unstack(u), c))
    )


def analysis_of(players: Players) -> dict[str, Any]:
    """The measures by name, Python numbers and lists; in the precision of the players."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), measured(players))


@jax.jit
def measured(players: Players) -> dict[str, Any]:
    images, generator = faces.unstack(faces.FACES), players.generator
    game = quadrature.with_panels(slanted_land(), generator)
    expected = games.expected_losses(game, players)
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
        "duality_gap": best_response.duality_gap(players, images),
        "nikaido_isoda_gap": best_response.nikaido_isoda_gap(players, images),
        "best_discriminator_loss": {f"ridge_{r:g}": loss for r, loss in zip(RIDGES, best.loss, strict=True)},
        "separable": best.separable[0],
    }


if __name__ == "__main__":
    results.command_line(analyze)
