"""What `tutorial.py` prints: the article's worked examples, its training run, and its published numbers beside ours."""

from typing import Any

import jax
import numpy as np
from _experiment import Data

from slantgan_jax import Discriminator, Generator, faces, generate, logit
from slantgan_jax.networks import pixel_scores

NON_FACE = (0.25, 1.0, 0.5, 0.75)
DETECTOR = Discriminator(weights=(1.0, -1.0, -1.0, 1.0), bias=-1.0)
PAINTER = Generator(weights=(1.0, -1.0, -1.0, 1.0), biases=(1.0, -1.0, -1.0, 1.0))
ARTICLE = {"seed": 42, "learning_rate": 0.01, "epochs": 1000, "source": "numpy"}
PUBLISHED = {
    "generated": [
        [0.94688171, 0.03401213, 0.04080795, 0.96308679],
        [0.95653992, 0.03437852, 0.03579494, 0.97063836],
        [0.95056667, 0.03414339, 0.03893305, 0.96599501],
        [0.94228203, 0.03386046, 0.04309146, 0.95941292],
    ],
    "generator weights": [0.70702123, 0.03720449, -0.45703394, 0.79375751],
    "generator biases": [2.48490157, -3.36725912, -2.90139211, 2.8172726],
    "discriminator weights": [0.60175083, -0.29127513, -0.40093314, 0.37759987],
    "discriminator bias": [-0.8955103005797729],
}


def report(data: Data) -> None:
    report_examples()
    report_training(data)
    if data["diverged"]:
        print(f"\nThis run DIVERGED: {data['diverged']}.")
        print("Its error curves are drawn, the figures of a trained network are not. Try a smaller --learning-rate.")
    else:
        report_result(data)
    print()


def report_examples() -> None:
    heading("Sections 4 and 5: slanted land")
    print("A face has a dark diagonal and a light rest; noise has anything anywhere. 1 is dark, 0 is light.")

    heading("Section 6: a discriminator made by hand")
    print("Add the diagonal, subtract the rest, compare with 1: weights (1, -1, -1, 1) and bias -1.")
    print("  image                               score  logit  verdict")
    for name, image in (("face    ", faces.FACES[0]), ("non-face", NON_FACE)):
        value = logit(DETECTOR, tuple(image))
        print(f"  {name} {numbers(image)}  {value - DETECTOR.bias:5.1f}  {value:5.1f}  {verdict(value)}")
    print(f"The article leaves out the bias in its last line: σ(-0.5) = {jax.nn.sigmoid(-0.5):.2f}, not a face either.")

    heading("Section 7: a generator made by hand")
    print("Weights (1, -1, -1, 1), biases (1, -1, -1, 1), and the random number z = 0.7:")
    image = generate(PAINTER, 0.7)
    print(f"  pixel scores w z + b   {numbers(pixel_scores(PAINTER, 0.7))}")
    print(f"  pixels σ(w z + b)      {numbers(image)}   {verdict(logit(DETECTOR, image))}")

    heading("Section 8: error functions")
    print("-ln(p) where the label is 1, -ln(1 - p) where it is 0: small when right, large when wrong.")
    for p in (0.1, 0.9):
        print(f"  prediction {p}:  -ln(p) = {-np.log(p):.2f}   -ln(1 - p) = {-np.log(1 - p):.2f}")


def report_training(data: Data) -> None:
    settings = data["settings"]
    heading(f"Sections 10 to 15: training for {settings['epochs']} epochs at rate {settings['learning_rate']:g}")
    print("Each step: D learns from a face, D learns from a fake, G learns to fool the D just updated.")
    stream = "the article's NumPy stream, in float64" if settings["source"] == "numpy" else "jax.random, in float32"
    print(f"Random numbers: {stream}.")
    for name, curve, undecided in (
        ("generator loss    ", "generator_error", "ln 2 = 0.693: D undecided"),
        ("discriminator loss", "discriminator_loss", "2 ln 2 = 1.386: D undecided"),
    ):
        with np.errstate(over="ignore"):  # of a run that diverges
            first, last = np.mean(data["curves"][curve][:5]), np.mean(data["curves"][curve][-5:])
        print(f"  {name}  {first:.4g} in the first epoch, {last:.4g} in the last ({undecided})")


def report_result(data: Data) -> None:
    """The trained generator's images and all parameters; if the run is the article's, beside its published numbers."""
    heading("Section 16: the result")
    print("Four images from the trained generator, and its parameters:")
    for latent, image in zip(data["latents"], data["generated"], strict=True):
        print(f"  z = {latent:.2f}   {numbers(image, 8)}")
    found = (data["generated"], *data["generator"].values(), *data["discriminator"].values())
    for name, values in list(zip(PUBLISHED, found, strict=True))[1:]:
        print(f"  {name:21}  {numbers(np.atleast_1d(values), 8)}")
    if data["settings"] == ARTICLE:
        heading("Published and ours")
        differences = []
        for (name, published), ours in zip(PUBLISHED.items(), found, strict=True):
            for i, (theirs, mine) in enumerate(zip(np.ravel(published), np.ravel(ours), strict=True)):
                print(f"  {name if i == 0 else '':22} {theirs:14.8f} {mine:14.8f}   {mine - theirs:+.0e}")
                differences.append(abs(mine - theirs))
        half_unit = "(half a unit of the last printed digit is 5e-09)"
        print(f"Largest difference of the {len(differences)} numbers: {max(differences):.1e} {half_unit}.")


def verdict(value: jax.Array) -> str:
    return f"probability {jax.nn.sigmoid(value):.2f}: {'a face' if value > 0 else 'not a face'}"


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def numbers(values: Any, digits: int = 2) -> str:
    return "[" + " ".join(f"{float(value):{digits + 3}.{digits}f}" for value in values) + "]"
