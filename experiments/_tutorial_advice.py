"""What happened in a run of the tutorial, and what to try next, in words."""

import math
import shlex
import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _methods import OBJECTIVES, SCORED
from _results import Data

ARTICLE = {"seed": 42, "learning_rate": 0.01, "epochs": 1000, "source": "numpy"}
PLAIN = {"objective": "non-saturating", "order": "tutorial", "penalty": "none"}
LOGISTIC = ("non-saturating", "saturating")

MOST_EPOCHS_TO_TRY = 1_000_000

EPOCHS_OF_A_TURN = 21.4
"""Times the rate, with logistic losses and without a penalty; see docs/results/does_it_converge.md."""

SHOWN_TURN = 0.25
"""Of a turn. In more than that, G's slant passes that of real faces, or D turns and rewards the other slant."""

LARGEST_RATE_OF_TURNS = 0.3
"""Up to this rate a turn is stated. In the tutorial's order it becomes shorter: here by 10 %, at the rate 1 by 30 %."""

NEAR = 0.02
"""A mean image that is nearer to the mean face differs from it by little more than the noise of sampling.

At rates above 1 that are not too large, the noise is larger, in proportion."""

NEAR_WITH_SLOPES = 0.15
"""The same for the distance to equilibrium, of which D's slopes are a part.

They swing about five times as far as the mean image. At the rate 1, the noise of sampling makes this distance 0.14 at
most, and at the rate 0.1 it makes it 0.07, each in the last fifth of a run of 10,000 epochs or more."""

LARGEST_PROPOSED_RATE = 0.01

LARGEST_DAMPING = 0.25
"""Of a proposed rate times the strength of the penalty. R1 of strength γ multiplies D's slopes by 1 - η γ in a step,
and WGAN-GP of strength λ takes up to 2 η λ of them away. From η γ = 1 on, the tutorial's order has no fixed point with
R1, see docs/theory/stability.md."""

FLAT = 1e-3
"""Where no pixel has a larger slope of σ in the mean over z, G learns next to nothing. The same holds where its loss
has no larger slope by D's logit; where D is undecided, that slope is between ½ and 1."""

STILL = 1e-3
"""If the distance of the mean image changes by less in the last fifth of the epochs, G does not move."""

STILL_SHARE = 0.1
"""A run rests beside the equilibrium if all late distances are that near to the predicted one, as a share of it."""

LARGE_RATE = 20.0
"""Of the run that is proposed to see what a rate does that is too large."""

SIMULTANEOUS_EDGE = 0.34
"""The rate beyond which simultaneous steps spiral outwards, the median over equilibria."""

STABLE_RATES = dict.fromkeys(("simultaneous", "alternating", "alternating, G first"), 1.549) | {"tutorial": 22.8}
"""Beyond these rates D's fastest mode overshoots by more in each step, the largest over equilibria, with logistic
losses and without a penalty; see docs/results/stability_edge.md."""

STABLE_RATE = 0.1
"""The rate that is proposed instead of one at which no equilibrium is stable; a turn takes 214 epochs."""


R1_STRENGTH = 0.1
"""The strength of R1 that is proposed, and the default of --strength."""


CRITICAL_R1 = 0.19
"""The strength of R1 beyond which no pair of modes turns, the largest over equilibria; see docs/faq.md."""

UNDECIDED_WITHIN = 0.1
"""Losses that are nearer to those of an undecided D are said to be near them."""


def what_happened(data: Data) -> str:
    """Where the run is at its end, in a few sentences."""
    mean, target, settings = np.asarray(data["mean_image"]), np.mean(data["faces"], 0), data["settings"]
    real, fake = data["verdicts"]["real"][-1], data["verdicts"]["fake"][-1]
    distance = np.linalg.norm(mean - target)
    said = [f"The mean generated image is {distance:.3f} from the mean face."]
    if settings["objective"] in SCORED:
        level = data["undecided D says"]
        of_undecided = "" if level is None else f" An undecided D would say {level:g}."
        said[0] += (
            f" D is a score, not a probability; in the mean it is {real:.2f} for faces and {fake:.2f} for G's images."
            f"{of_undecided}"
        )
    else:
        said[0] += f" D says {real:.2f} of faces and {fake:.2f} of G's images."
    if stuck(data):
        said.append(
            "G is stuck: its pixels are so near to 0 or 1 that the slope of σ is almost 0, and it learns no more."
        )
    elif vanished(data):
        said.append(
            f"G no longer moves: D is certain of its verdict on G's images, and there the {settings['objective']} loss "
            "has no slope that G could follow. This is the vanishing gradient."
        )
    elif has_not_moved(data):
        said.append("Neither player has moved: the learning rate is too small for their numbers.")
    elif at_equilibrium(data):
        shift = " and the way in which this order damps D" if damping_of_second_move(settings) else ""
        said.append(
            f"The run is at an equilibrium, but for the noise of sampling{shift}: D has nothing left to tell them "
            "apart by."
        )
        level = data["undecided D says"]
        if level is not None and abs(real - level) > 0.05:
            said.append(
                f"G is right, but D does not say {level:.2g}: the order of the moves shifts D's bias, and a larger "
                "rate shifts it more."
            )
    elif rests_beside(data):
        said.append(
            f"The run has come to rest beside the equilibrium, {resting_distance(data):.2g} from the mean face. In "
            "this order R1 damps only D's second move, and there both moves of D cancel each other."
        )
    elif distance < near(settings):
        slopes = np.linalg.norm(data["discriminator"]["weights"])
        said.append(
            f"The mean image is right, but the run is not at an equilibrium. In the last fifth of its epochs it was up "
            f"to {farthest_of_late(data):.2f} away from one; D's slopes count, and now their length is {slopes:.2f}."
        )
        said.append("This has not converged." + WAYS.get(course(data), ""))
    else:
        said.append(place(data))
        said.append("This has not converged." + WAYS.get(course(data), ""))
    return "\n".join(textwrap.fill(text, 110) for text in said)


def place(data: Data) -> str:
    """Where in the circle a run is, by whether G's slant is too strong, and whether D rewards a strong one.

    What was before is said only if the run has shown it.
    """
    excess, reward = np.asarray(data["excess of slant"]), np.asarray(data["reward of slant"])
    passed, turned = (bool(np.any(curve * np.sign(curve[-1]) < 0)) for curve in (excess, reward))
    strong, rewarded = bool(excess[-1] > 0), bool(reward[-1] > 0)
    slant = "slant is stronger than that of real faces" if strong else "slant is too weak"
    word = "strong" if rewarded else "weak"
    # What so flat a D rewards changes with each sample, and where D's steps are too large, with each step.
    if course(data) in ("creeps", "jumps"):
        return f"G's {slant}."
    late = of_late(data["distance"])
    still, nearer = bool(np.ptp(late) < STILL), bool(late[-1] < late[0])
    if strong != rewarded:
        way = "on its way back" if passed else "on its way"
        turn = "has turned and " if turned else ""
        slowly = ", but it hardly moves" if still else ""
        return f"G's {slant}, and D {turn}rewards a {word}er one: G is {way} to the mean face{slowly}."
    if passed:
        text = f"G has passed the mean face: its {slant}. D still rewards a {word} slant."
        reason = ": it learned from earlier images, on the other side of the mean face."
    else:
        text, reason = f"G's {slant}, and D rewards an even {word}er one", "."
        if still:
            text += ", but G hardly moves."
        else:
            text += ". Still, G comes nearer to the mean face." if nearer else ": G moves away from the mean face."
    if data["verdicts"]["real"][-1] < data["verdicts"]["fake"][-1]:
        text += f" That is why D takes G's images for faces rather than real faces{reason}"
    return text


WAYS = {
    "circles": " The two players circle around each other.",
    "starts": " The run is too short to show that the two players circle around each other.",
    "jumps": " At so large a rate no equilibrium is stable in this order: near to one, each step of D goes too far.",
    "creeps": " D is held so flat that G comes in straight, and slowly.",
}


def course(data: Data) -> str:
    """How a run goes on that is not stuck: one of the `WAYS`, or "unknown"."""
    settings = data["settings"]
    if settings["objective"] not in LOGISTIC:
        return "unknown"
    if settings["penalty"] == "none":
        return "jumps" if too_large(settings) else "circles" if has_circled(data) else "starts"
    flat = settings["penalty"] == "R1" and settings["strength"] > CRITICAL_R1
    return "creeps" if flat and settings["learning_rate"] * settings["strength"] < 1 and held_flat(data) else "unknown"


def too_large(settings: Data) -> bool:
    """Whether no equilibrium is stable at the rate, as far as this is known."""
    known = settings["objective"] in LOGISTIC and settings["penalty"] == "none"
    return known and settings["learning_rate"] > STABLE_RATES[settings["order"]]


def has_circled(data: Data) -> bool:
    """Whether a run that circles is long enough to show it, and has passed the mean face or turned."""
    settings = data["settings"]
    return settings["epochs"] * settings["learning_rate"] > SHOWN_TURN * EPOCHS_OF_A_TURN and any(
        np.min(data[curve]) < 0 < np.max(data[curve]) for curve in ("excess of slant", "reward of slant")
    )


def held_flat(data: Data) -> bool:
    """Whether D is no steeper than where R1 stops it, and G has come nearer in the last fifth of the epochs.

    While D is almost undecided, it gains half the gap of the mean images a step, and R1 takes the strength times u.
    """
    late, slopes = of_late(data["distance"]), np.linalg.norm(data["discriminator"]["weights"])
    return bool(late[-1] < late[0] and slopes <= late[-1] / 2 / data["settings"]["strength"])


def what_next(data: Data) -> list[tuple[str, str]]:
    """Commands to try, each with what there is to see. None of them is that of the run itself."""
    settings = data["settings"]
    found: list[tuple[Data, str]]
    other = {"seed": (settings["seed"] + 1) % 2**32}
    if stuck(data):
        found = [({"learning_rate": smaller_rate(settings)}, "a smaller rate: G stays where σ has a slope")]
    elif vanished(data):
        found = [({"learning_rate": smaller_rate(settings)}, "a smaller rate: D does not become certain at once")]
        if settings["objective"] != PLAIN["objective"]:
            seen = "the loss that was made against this: it has its largest slope where D is certain"
            found.insert(0, ({"objective": PLAIN["objective"]}, seen))
    elif at_equilibrium(data):
        found = [(other, "another start: it ends at another equilibrium")]
    elif rests_beside(data):
        found = [({"order": "alternating"}, "one move of D on both losses: it comes to rest at an equilibrium")]
    else:
        found = further(data)
    commands = [(command(settings, **changed), seen) for changed, seen in found]
    commands = [(line, seen) for line, seen in commands if line != command(settings)]
    return commands or [(command(settings, **other), "another start: does the same happen?")]


def further(data: Data) -> list[tuple[Data, str]]:
    """What to change of a run that is on its way, each with what there is to see."""
    settings = data["settings"]
    rate, epochs = settings["learning_rate"], settings["epochs"]
    circles, turn = course(data) in ("circles", "starts"), EPOCHS_OF_A_TURN / rate
    if too_large(settings):
        return [({"learning_rate": STABLE_RATE}, "a smaller rate: D's steps no longer go too far")]
    if turn > MOST_EPOCHS_TO_TRY and rate < (larger := largest_rate(settings)):
        sight = f"with this one a turn takes {turn:.1g} epochs" if circles else "this one is small for any run"
        return [({"learning_rate": larger}, f"a larger rate: {sight}")]
    longer = min(max(int(float(f"{5.6 * turn:.2g}")), epochs) if circles else 10 * epochs, MOST_EPOCHS_TO_TRY)
    found: list[tuple[Data, str]] = []
    if longer > epochs:
        length = f": one turn takes about {turn:,.0f} epochs" if rate <= LARGEST_RATE_OF_TURNS else ""
        found.append(({"epochs": longer}, f"it circles{length}" if circles else "longer: does it come to rest?"))
    if settings["penalty"] == "none":
        way = {"penalty": "R1", "epochs": longer, "strength": min(R1_STRENGTH, rounded(LARGEST_DAMPING / rate))}
        found.append((way, "a penalty on D's slope: friction"))
    if circles and settings["order"] == "simultaneous" and rate > SIMULTANEOUS_EDGE:
        found.append(({"learning_rate": STABLE_RATE}, f"below a rate of {SIMULTANEOUS_EDGE} the circles shrink"))
    if circles and settings["order"] == "tutorial":
        way = {"order": "simultaneous", "learning_rate": 1.0, "epochs": max(epochs, 1000)}
        found.append((way, "both move at once: the circles grow"))
        if rate < LARGE_RATE and settings["objective"] == PLAIN["objective"]:
            way = {"learning_rate": LARGE_RATE, "epochs": max(epochs, 1000)}
            found.append((way, "too large: G is thrown to where σ is flat"))
    return found


def command(settings: Data, **changed: Any) -> str:
    """The command line of a run that differs by `changed`; what is as by default is left out."""
    words = ["python experiments/tutorial.py"]
    for name, default in (ARTICLE | PLAIN | {"strength": R1_STRENGTH}).items():
        value = (settings | changed)[name]
        if value != default and (name != "strength" or (settings | changed)["penalty"] != "none"):
            words.append(f"--{name.replace('_', '-')} {shlex.quote(exactly(value))}")
    return " ".join(words)


def exactly(value: Any) -> str:
    """A setting as the command line takes it: numbers in short, but with all of their digits."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def stuck(data: Data) -> bool:
    """Whether all pixels are nearly 0 or 1, whatever z is."""
    values = pixels(data)
    return bool(np.max(np.mean(values * (1 - values), axis=0)) < FLAT)


def vanished(data: Data) -> bool:
    """Whether G stands still as its loss has no slope where D is as certain as it is.

    This is no equilibrium, where the slope is large. The pixels have a slope, or G would be `stuck`.
    """
    distances = of_late(data["distance"])
    if len(distances) < 2 or np.ptp(distances) > STILL:
        return False
    u, bias = (np.asarray(data["discriminator"][name], float) for name in ("weights", "bias"))
    generated = pixels(data) @ u + bias
    real = jnp.asarray(np.mean(np.asarray(data["faces"], float) @ u) + bias)
    loss = OBJECTIVES[data["settings"]["objective"]].generator
    slopes = jax.vmap(jax.grad(lambda logit: loss(real, logit)))(jnp.asarray(generated))
    return bool(np.max(np.abs(slopes)) < FLAT)


def pixels(data: Data) -> np.ndarray:
    """G's images `[latents, 4]` of even latents."""
    w, b = (np.asarray(data["generator"][name], float) for name in ("weights", "biases"))
    return np.asarray(jax.nn.sigmoid(w * np.linspace(0, 1, 101)[:, None] + b))


def near(settings: Data) -> float:
    return NEAR if too_large(settings) else NEAR * max(1, settings["learning_rate"])


def has_not_moved(data: Data) -> bool:
    """Whether both distances are the same in all digits, after all epochs."""
    return bool(np.ptp(data["distance"]) == 0 == np.ptp(data["distance to equilibrium"]) and len(data["distance"]) > 1)


def at_equilibrium(data: Data) -> bool:
    """Whether the mean image is right at the end, and D has been flat, too, in the last fifth of the epochs."""
    gap, bound = np.linalg.norm(np.asarray(data["mean_image"]) - np.mean(data["faces"], 0)), near(data["settings"])
    return bool(gap < bound and farthest_of_late(data) < bound / NEAR * NEAR_WITH_SLOPES)


def damping_of_second_move(settings: Data) -> float:
    """η γ of a run with R1 in the tutorial's order, where only D's second move has the penalty; 0 of all other runs.

    There is no fixed point from 1 on: see docs/theory/stability.md#the-fixed-point-of-the-tutorials-order. What D
    minimizes besides does not matter: at the fixed point both of its moves cancel.
    """
    if (settings["penalty"], settings["order"]) != ("R1", "tutorial"):
        return 0.0
    return settings["learning_rate"] * settings["strength"]


def resting_distance(data: Data) -> float:
    """How far from the mean face m the fixed point beside the equilibrium is: about η γ ‖m‖."""
    return damping_of_second_move(data["settings"]) * float(np.linalg.norm(np.mean(data["faces"], 0)))


def rests_beside(data: Data) -> bool:
    """Whether the distance of the mean image stays at that of the fixed point beside the equilibrium."""
    late, distance = of_late(data["distance"]), resting_distance(data)
    exists = 0 < damping_of_second_move(data["settings"]) < 1
    return bool(exists and np.max(np.abs(late - distance)) < STILL_SHARE * distance)


def farthest_of_late(data: Data) -> float:
    """The largest distance to equilibrium in the last fifth of the epochs."""
    return float(np.max(of_late(data["distance to equilibrium"])))


def last_least(curve: Any) -> int:
    """Where a curve is least, for the last time."""
    return len(curve) - 1 - int(np.argmin(curve[::-1]))


def of_late(curve: Any) -> np.ndarray:
    """The last fifth of the epochs of a curve."""
    return np.asarray(curve)[-math.ceil(len(curve) / 5) :]


def largest_rate(settings: Data) -> float:
    """The largest rate that is proposed for these settings."""
    damping = settings["strength"] if settings["penalty"] != "none" else 0
    return min(LARGEST_PROPOSED_RATE, rounded(LARGEST_DAMPING / damping)) if damping else LARGEST_PROPOSED_RATE


def smaller_rate(settings: Data) -> float:
    return min(largest_rate(settings), rounded(settings["learning_rate"] / 10))


def rounded(value: float) -> float:
    """`value` to two digits."""
    return float(f"{value:.2g}")
