"""One cell of a sweep, trained alone: the same bits, as a run.json."""

from functools import partial
from pathlib import Path

import results
import runs

from slantgan_jax import sweep
from slantgan_jax.cpu import use_every_core


def train(seed: int = 0, learning_rate: float = 0.01, epochs: int = 1000, out: Path = Path("results/train")) -> None:
    """Train the tutorial GAN once and write run.json: bit for bit what experiments/sweep.py has in that cell.

    Args:
        seed: S of the run's key, jax.random.key(S).
        learning_rate: of both players' gradient descent.
        epochs: passes over the five faces.
        out: folder for run.json.
    """
    results.check_epochs(epochs)
    use_every_core(1)  # one run has no use for more
    with results.complete_folder(out) as folder:
        axes = {"seed": [seed], "learning_rate": [learning_rate]}
        cell = sweep(partial(runs.one_rate, epochs=epochs), axes, dims=runs.DIMS).squeeze()
        settings = {"seed": seed, "learning_rate": learning_rate, "epochs": epochs, "command": results.command()}
        run = {
            "generator": {"weights": cell.generator_weights.values, "biases": cell.generator_biases.values},
            "discriminator": {"weights": cell.discriminator_weights.values, "bias": cell.discriminator_bias.values},
            **{name: cell[name].values for name in runs.SCALARS},
            "settings": {**settings, "source": "jax", "precision": "float32"},
            "versions": results.record(),
        }
        results.write_json(folder / "run.json", run)
    for name in runs.SCALARS:
        print(f"{name:20} {cell[name].values}")
    print(f"Written to {out / 'run.json'}.")


if __name__ == "__main__":
    results.command_line(train)
