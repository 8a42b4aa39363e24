"""What `tutorial.py` prints: the article's worked examples, its training run, and its published numbers beside ours."""

import textwrap
from typing import Any

import jax
import numpy as np
from _results import Data

from slantgan_jax import Discriminator, Generator, faces, generate, logit
from slantgan_jax.networks import pixel_scores

NON_FACE = (0.25, 1.0, 0.5, 0.75)
DETECTOR = Discriminator(weights=(1.0, -1.0, -1.0, 1.0), bias=-1.0)
PAINTER = Generator(weights=(1.0, -1.0, -1.0, 1.0), biases=(1.0, -1.0, -1.0, 1.0))
ARTICLE = {"seed": 42, "learning_rate": 0.01, "epochs": 1000, "source": "numpy"}
PLAIN = {"objective": "non-saturating", "order": "tutorial", "penalty": "none"}
LOGISTIC = ("non-saturating", "saturating")
EPOCHS_OF_A_TURN = 21.4
"""At the rate 1 with logistic losses; inversely proportional to the rate, see docs/results/does_it_converge.md."""

EDGE = 17.6
"""The largest rate at which the tutorial's order is stable, see docs/results/stability_edge.md."""

NEAR = 0.02
"""A mean image that is nearer to the mean face differs from it by little more than the noise of sampling."""

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
        print("To try next:\n  a smaller --learning-rate")
    else:
        report_result(data)
        heading("What happened, and what to try next")
        print(what_happened(data))
        print("To try next:")
        for option, why in what_next(data):
            print(f"  {option:40} {why}")
    print()


def report_examples() -> None:
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
    print("What to see: what one player wins, the other loses.")


def report_training(data: Data) -> None:
    settings = data["settings"]
    heading(f"Sections 10 to 15: training for {settings['epochs']} epochs at rate {settings['learning_rate']:g}")
    print(f"Each step: {ORDER_TEXTS[settings['order']]}")
    stream = "the article's NumPy stream, in float64" if settings["source"] == "numpy" else "jax.random, in float32"
    penalty = f", the penalty {settings['penalty']} of strength {settings['strength']:g}"
    print(
        f"Losses: {settings['objective']}{penalty if settings['penalty'] != 'none' else ''}. Random numbers: {stream}."
    )
    for name, curve in (("generator loss    ", "generator_error"), ("discriminator loss", "discriminator_loss")):
        with np.errstate(over="ignore"):  # of a run that diverges
            first, last = np.mean(data["curves"][curve][:5]), np.mean(data["curves"][curve][-5:])
        undecided = f"undecided D: {data['undecided'][curve]:.3f}"
        print(f"  {name}  {first:.4g} in the first epoch, {last:.4g} in the last ({undecided})")
    if not data["diverged"]:
        print("What to see: the losses come near those of an undecided D and say nothing more. The pictures do: what D")
        print("says of real and of generated images crosses (verdicts.png), G's images change (training.gif).")


ORDER_TEXTS = {
    "tutorial": "D learns from a face, D learns from a fake, G learns to fool the D just updated.",
    "simultaneous": "D and G learn at once, each against the other as it was before the step.",
    "alternating": "D learns from a face and a fake, then G learns to fool the D just updated.",
    "alternating, G first": "G learns to fool D, then D learns from a face and a fake of the G just updated.",
}


def what_happened(data: Data) -> str:
    """Where the run is at its end, in a few sentences."""
    mean, target = np.asarray(data["mean_image"]), np.mean(data["faces"], 0)
    real, fake = data["verdicts"]["real"][-1], data["verdicts"]["fake"][-1]
    distance = np.linalg.norm(mean - target)
    said = [
        f"The mean generated image is {distance:.3f} from the mean face. "
        f"D says {real:.2f} of faces and {fake:.2f} of G's images."
    ]
    slant = np.array([0.5, -0.5, -0.5, 0.5])
    more, rewarded = slant @ (mean - target) > 0, slant @ data["discriminator"]["weights"] > 0
    if stuck(mean):
        said.append("G is stuck: all its pixels are 0 or 1, where the slope of σ is 0, so it learns nothing more.")
    elif distance < NEAR:
        said.append(
            "The run is at an equilibrium, but for the noise of sampling: D has nothing left to tell them apart by."
        )
    else:
        said.append(
            {
                (
                    False,
                    True,
                ): "G's faces are too pale, and D rewards darker diagonals: G is on its way to the mean face.",
                (True, True): "G has passed the mean face: its diagonals are darker than those of real faces. D still "
                "rewards dark diagonals and has only begun to turn.",
                (
                    True,
                    False,
                ): "G's diagonals are darker than those of real faces, and D has turned: it rewards paler ones.",
                (False, False): "G has passed the mean face on its way back: its diagonals are too pale, and D still "
                "rewards paler ones.",
            }[bool(more), bool(rewarded)]
        )
        if real < fake and more == rewarded:
            said.append(
                "That is why D takes G's images for faces rather than real faces: it learned from worse images than "
                "G draws now."
            )
        said.append("This has not converged. The two players circle around each other.")
    return "\n".join(textwrap.fill(text, 110) for text in said)


def what_next(data: Data) -> list[tuple[str, str]]:
    """Options to try, each with what there is to see."""
    settings, mean = data["settings"], np.asarray(data["mean_image"])
    rate, epochs, plain = settings["learning_rate"], settings["epochs"], settings["objective"] in LOGISTIC
    if stuck(mean):
        return [("a smaller --learning-rate", f"the tutorial's order is stable up to about {EDGE}")]
    turn = EPOCHS_OF_A_TURN / rate
    longer = min(max(round(5.6 * turn), epochs) if plain else 10 * epochs, 1_000_000)
    found = []
    if longer > epochs:
        sight = f"it circles: one turn takes about {turn:,.0f} epochs" if plain else "ten times as long"
        found.append((f"--epochs {longer}", sight))
    if settings["penalty"] == "none":
        found.append((f"--penalty R1 --epochs {longer}", "a penalty on D's slope stops the circles"))
    if settings["order"] == "tutorial":
        found.append(("--order simultaneous --learning-rate 1", "both move at once: the circles grow"))
    if rate < EDGE and plain:
        found.append(("--learning-rate 20", f"beyond the edge of stability, which is near {EDGE}"))
    return found


def stuck(mean_image: np.ndarray) -> bool:
    """Whether all pixels are 0 or 1."""
    return bool(np.max(mean_image * (1 - mean_image)) < 1e-6)


def report_result(data: Data) -> None:
    """The trained generator's images and all parameters; if the run is the article's, beside its published numbers."""
    heading("Section 16: the result")
    print("Four images from the trained generator, and its parameters:")
    for latent, image in zip(data["latents"], data["generated"], strict=True):
        print(f"  z = {latent:.2f}   {numbers(image, 8)}")
    found = (data["generated"], *data["generator"].values(), *data["discriminator"].values())
    for name, values in list(zip(PUBLISHED, found, strict=True))[1:]:
        print(f"  {name:21}  {numbers(np.atleast_1d(values), 8)}")
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
