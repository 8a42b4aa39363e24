"""What `tutorial.py` prints: the article's worked examples, its training run, and its published numbers beside ours."""

from typing import Any

import jax
import numpy as np
from _results import Data, at_most, counted
from _tutorial_advice import (
    ARTICLE,
    PLAIN,
    UNDECIDED_WITHIN,
    command,
    last_least,
    smaller_rate,
    what_happened,
    what_next,
)

from slantgan_jax import Discriminator, Generator, faces, generate, logit
from slantgan_jax.networks import pixel_scores

NON_FACE = (0.25, 1.0, 0.5, 0.75)
DETECTOR = Discriminator(weights=(1.0, -1.0, -1.0, 1.0), bias=-1.0)
PAINTER = Generator(weights=(1.0, -1.0, -1.0, 1.0), biases=(1.0, -1.0, -1.0, 1.0))

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
        print("Its error curves are drawn, the figures of a trained network are not.")
        print(f"To try next:\n  {command(data['settings'], learning_rate=smaller_rate(data['settings']))}")
    else:
        report_result(data)
        heading("What happened, and what to try next")
        print(what_happened(data))
        print("To try next:")
        for line, why in what_next(data):
            print(f"  {line}\n      {why}")
    print()


def report_examples() -> None:
    heading("Sections 1 to 3: a forger and an appraiser")
    print("G draws an image of a random number, D says how likely an image is a true one, and both learn from that.")
    print("What to see: G never sees a true picture, only what D says of its own (story.png).")

    heading("Sections 4 and 5: slanted land")
    print("A face is dark on its diagonal and light elsewhere; other images are dark anywhere. 1 is dark, 0 is light.")
    print("What to see: two of four pixels tell a face, so four weights will be enough (faces.png, noise.png).")

    heading("Section 6: a discriminator made by hand")
    print("Add the diagonal, subtract the rest, compare with 1: weights (1, -1, -1, 1) and bias -1.")
    print("  image                               score  logit  verdict")
    for name, image in (("face    ", faces.FACES[0]), ("non-face", NON_FACE)):
        value = logit(DETECTOR, tuple(image))
        print(f"  {name} {numbers(image)}  {value - DETECTOR.bias:5.1f}  {value:5.1f}  {verdict(value)}")
    print(f"The article leaves out the bias in its last line: σ(-0.5) = {jax.nn.sigmoid(-0.5):.2f}, not a face either.")
    print("What to see: the sign of the logit is the verdict, its size is how sure D is (detector.png).")

    heading("Section 7: a generator made by hand")
    print("Weights (1, -1, -1, 1), biases (1, -1, -1, 1), and the random number z = 0.7:")
    image = generate(PAINTER, 0.7)
    print(f"  pixel scores w z + b   {numbers(pixel_scores(PAINTER, 0.7))}")
    print(f"  pixels σ(w z + b)      {numbers(image)}   {verdict(logit(DETECTOR, image))}")
    print("What to see: σ turns any score into a pixel between 0 and 1, so G can draw no other number (painter.png).")

    heading("Section 8: error functions")
    print("If the label is 1, the error is -ln(p); if it is 0, the error is -ln(1 - p).")
    for p in (0.1, 0.9):
        print(f"  prediction {p}:  -ln(p) = {-np.log(p):.2f}   -ln(1 - p) = {-np.log(1 - p):.2f}")
    print("What to see: a wrong prediction costs the more the surer it was (error_functions.png).")

    heading("Section 9: both networks together")
    print("z goes into G, G's image goes into D. D should say 0 to it, and G wants D to say 1 (flow.gif).")
    for z in (0.1, 0.7):
        value = logit(DETECTOR, generate(PAINTER, z))
        errors = f"D's error {jax.nn.softplus(value):.2f}, G's error {jax.nn.softplus(-value):.2f}"
        print(f"  z = {z}: D(G(z)) = {jax.nn.sigmoid(value):.2f}, {errors}")
    print("What to see: both look at the same number; D wants it to be 0, and G wants it to be 1.")


def report_training(data: Data) -> None:
    settings = data["settings"]
    heading(
        f"Sections 10 to 15: training for {counted(settings['epochs'], 'epoch')} at rate {settings['learning_rate']:g}"
    )
    print(f"Each step: {ORDER_TEXTS[settings['order']]}")
    stream = "the article's NumPy stream, in float64" if settings["source"] == "numpy" else "jax.random, in float32"
    penalty = f", the penalty {settings['penalty']} of strength {settings['strength']:g}"
    print(
        f"Losses: {settings['objective']}{penalty if settings['penalty'] != 'none' else ''}. Random numbers: {stream}."
    )
    settled, undecided = [], data["undecided"]
    for name, curve in (("generator loss    ", "generator_error"), ("discriminator loss", "discriminator_loss")):
        with np.errstate(over="ignore"):  # of a run that diverges
            first, last = np.mean(data["curves"][curve][:5]), np.mean(data["curves"][curve][-5:])
        settled.append(curve in undecided and abs(last - undecided[curve]) < UNDECIDED_WITHIN)
        note = f" (undecided D: {undecided[curve] + 0:.3f})" if curve in undecided else ""  # + 0 makes 0 of -0
        print(f"  {name}  {first:.4g} in the first epoch, {last:.4g} in the last{note}")
    if data["diverged"]:
        return
    distance = data["distance"]
    nearest = last_least(distance)
    print(
        f"  the mean image is {distance[0]:.3f} from the mean face at the start, {distance[-1]:.3f} at the end, and "
        f"nearest in epoch {nearest}: {distance[nearest]:.3f}"
    )
    print("What to see: the distance tells how far G is (distance.png), and G's images change (training.gif).")
    if all(settled):
        print("The losses come near those of an undecided D, and do not show how far G is.")
    ahead = data["verdicts"]["real"] > data["verdicts"]["fake"]
    if ahead.any() and not ahead.all():
        print("What D says of real and of generated images crosses (verdicts.png).")


ORDER_TEXTS = {
    "tutorial": "D learns from a face, D learns from a fake, G learns to fool the D just updated.",
    "simultaneous": "D and G learn at once, each against the other as it was before the step.",
    "alternating": "D learns from a face and a fake, then G learns to fool the D just updated.",
    "alternating, G first": "G learns to fool D, then D learns from a face and a fake of the G just updated.",
}


def report_result(data: Data) -> None:
    """The trained generator's images and all parameters; if the run is the article's, beside its published numbers."""
    heading("Section 16: the result")
    print("Four images from the trained generator, and its parameters:")
    for latent, image in zip(data["latents"], data["generated"], strict=True):
        print(f"  z = {latent:.2f}   {numbers(image, 8)}")
    found = (data["generated"], *data["generator"].values(), *data["discriminator"].values())
    for name, values in list(zip(PUBLISHED, found, strict=True))[1:]:
        print(f"  {name:21}  {numbers(np.atleast_1d(values), 8)}")
    spread = np.ptp(data["generated"], axis=0).max()
    print(f"What to see: G's images for these four z differ by at most {at_most(spread, 2)} in a pixel (network.png).")
    if ARTICLE.items() <= data["settings"].items() and PLAIN.items() <= data["settings"].items():
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
