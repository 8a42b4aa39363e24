"""Which modes does an equilibrium of slanted land have? Do they decay, how fast, and up to which learning rate?

The equilibrium is the one whose generator has the given weights. A mode of the flow is exp(λ t), and a mode of a rule
is μⁿ; an epoch has five steps. See docs/theory/stability.md for the derivation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import _methods
import jax
import numpy as np
from _experiment import Experiment, Figure
from _methods import METHODS, ORDERS
from _options import check_known, check_positive, check_within
from _results import Data
from figures import spectrum as figures

from slantgan_jax import Game, Rule, distributions, faces, games, penalties, slanted_land
from slantgan_jax.analysis import equilibria, spectra, thresholds
from slantgan_jax.analysis.spectra import Stability
from slantgan_jax.fields import Transform

IMAGES = faces.FACES
STEPS_PER_EPOCH = len(faces.FACES)
LARGEST_WEIGHT = 100.0
"""The largest weight for which the number of nodes was tried."""
LARGEST_NUMBER = 1e4
"""The largest rate and strength, which is also the largest that `thresholds` looks at."""

OBJECTIVES = {
    name.lower().replace(" ", "-").removesuffix("-type"): objective
    for name, objective in _methods.OBJECTIVES.items()
    if name != "smoothed"
}
ZERO_CENTERED = penalties.zero_centered
PENALTIES = {"r1": penalties.r1, "r2": penalties.r2, "zero-centered": ZERO_CENTERED, "zero-centred": ZERO_CENTERED}
STEP_TRANSFORMS = ("extragradient", "cgd", "heun", "rk4")
"""Transforms whose number is a step size, by default the learning rate."""
ADJUSTMENTS = ("extragradient", "consensus", "sga", "cgd", "sos", "heun", "rk4")
"""Transforms of one number. All leave the equilibria where they are, unlike `fields.lola`."""
RULES = {
    **{order: (order, "plain", 0.0) for order in ("tutorial", "simultaneous", "alternating")},
    "alternating-generator-first": ("alternating, G first", "plain", 0.0),
    "past-extragradient": ("simultaneous", "past extragradient", 0.0),
    "optimistic": ("simultaneous", "optimistic", 0.0),
    "negative-momentum": ("alternating", "negative momentum", -0.5),
    "lookahead": ("alternating", "lookahead", 0.5),
}
"""The order, the method and its strength in the catalog."""
CRITICAL_STRENGTHS = {
    "stabilizing": "All but the zero modes decay",
    "first": "Fewer modes turn than without the penalty",
    "last": "No mode turns",
}
"""What is so from a `thresholds.CriticalStrength` on."""
FAR_ITERATIONS = 30
"""Of Newton's method from the equilibrium to the fixed point of a rule: far away its steps are limited."""
Strength = Annotated[float | None, partial(check_within, least=0, most=LARGEST_NUMBER)]


@dataclass
class Settings:
    """Print the modes of an equilibrium of slanted land, draw them, and write spectrum.json.

    In spectrum.json null stands for infinity. For a rule whose verdict is "no equilibrium", it stands for a number that
    does not exist.
    """

    weights: tuple[float, float, float, float]
    """The generator's weights, one for each pixel, from -100 to 100."""
    objective: Annotated[str, partial(check_known, known=OBJECTIVES)] = "non-saturating"
    """non-saturating, saturating, kl, wasserstein, least-squares, hinge or relativistic."""
    penalty: Annotated[str | None, partial(check_known, known=PENALTIES)] = None
    """A penalty on the discriminator: r1, r2 or zero-centered. It needs --strength."""
    strength: Strength = None
    """The strength of the penalty."""
    rule: Annotated[str, partial(check_known, known=RULES)] = "tutorial"
    """tutorial, simultaneous, alternating, alternating-generator-first, past-extragradient, optimistic,
    negative-momentum (-1/2, alternating) or lookahead (5 alternating steps, 1/2)."""
    learning_rate: Annotated[float, partial(check_positive, most=LARGEST_NUMBER)] = 0.01
    """The learning rate of both players."""
    adjustment: Annotated[str | None, partial(check_known, known=ADJUSTMENTS)] = None
    """A transform of the field: extragradient, consensus, sga, cgd, sos, heun or rk4."""
    adjustment_strength: Strength = None
    """The strength of the transform. For extragradient, cgd, heun and rk4 it is a step size, by default the learning
    rate."""

    def __post_init__(self) -> None:
        for name in ("objective", "penalty", "rule", "adjustment"):
            if value := getattr(self, name):
                setattr(self, name, value.replace("_", "-"))

    def check(self) -> None:
        if not np.all(np.abs(self.weights) <= LARGEST_WEIGHT):
            bound = f"{-LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}"
            raise ValueError(f"--weights are {self.weights}: give four numbers from {bound}")
        for option, number in (("penalty", "strength"), ("adjustment", "adjustment_strength")):
            name, value, number = getattr(self, option), getattr(self, number), number.replace("_", "-")
            if name is None and value is not None:
                raise ValueError(f"--{number} is {value}, but there is no --{option}: name one")
            if name is not None and value is None and name not in STEP_TRANSFORMS:
                raise ValueError(f"--{option} {name} has no strength: give --{number}")
        if not is_playable(self.rule, self.objective):
            raise ValueError(
                f"--objective {self.objective} is one term, but the tutorial's order moves by two: name another rule"
            )


def is_playable(rule: str, objective: str) -> bool:
    """Whether the rule accepts the objective; the tutorial's order needs a loss of D that is a sum of terms."""
    return rule != "tutorial" or len(OBJECTIVES[objective].discriminator) > 1


def compute(settings: Settings, out: Path) -> Data:
    names = dict.fromkeys(("simultaneous", "alternating", settings.rule))
    compared = [name for name in names if is_playable(name, settings.objective)]
    found = jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), jax.jit(lambda: modes(settings, compared))())
    rates, shift = {name: found["rates"][name] for name in compared}, found["shift"]
    if found["flow"].verdict == Stability.NO_EQUILIBRIUM:
        raise ValueError(
            f"--weights are {settings.weights}: there the field of {settings.objective}, {settings.penalty} and "
            f"{settings.adjustment} does not vanish; give others"
        )
    if found["update"].verdict == Stability.NO_EQUILIBRIUM:
        # The rate that was found is where the residual of a surface without fixed points exceeds rounding.
        rates[settings.rule] = math.nan
    shift = {"generator_biases": shift.generator.biases, "discriminator_bias": shift.discriminator.bias}
    steps, _ = period_and_iterations(settings.rule)
    return described(found["flow"], "eigenvalues") | {
        "largest_stable_learning_rate": rates,
        "critical_strength": found["critical"],
        "update": described(found["update"], "multipliers") | {"steps": steps, "fixed_point_shift": shift},
    }


def modes(settings: Settings, compared: list[str]) -> Data:
    """The spectra of the flow and of the rule, the stable rates of the rules `compared`, and the critical strengths."""
    objective, rate = OBJECTIVES[settings.objective], settings.learning_rate
    pixels = np.array(settings.weights, np.float64)
    players = equilibria.equilibrium(pixels, IMAGES, objective)
    tangents = equilibria.tangents(pixels, IMAGES, equilibria.logit_is_free(objective))
    latent = distributions.uniform(nodes=20 + 4 * math.ceil(max(map(abs, settings.weights))))  # rounding is left

    def game_of(strength: Any) -> Game:
        game = slanted_land(IMAGES, objective, latent=latent)
        return game if settings.penalty is None else games.penalized(game, PENALTIES[settings.penalty](strength))

    def stable_rate(name: str) -> jax.Array:
        rule, (steps, iterations) = partial(rule_at, settings, name), period_and_iterations(name)
        return thresholds.largest_stable_rate(
            rule, game, players, tangents, steps=steps, fixed_point_iterations=iterations
        )

    game, field, rule = game_of(settings.strength), transform(settings, rate), rule_at(settings, settings.rule, rate)
    steps, iterations = period_and_iterations(settings.rule)
    flow = spectra.flow_eigenvalues(game, players, field, tangents)
    state = spectra.fixed_point(rule, game, players, steps, tangents, iterations and FAR_ITERATIONS).state
    update = spectra.update_eigenvalues(rule, game, state, steps, tangents)
    critical = thresholds.critical_strength(game_of, players, field, tangents)._asdict() if settings.penalty else {}
    return {
        "flow": spectra.summarize_flow(flow, STEPS_PER_EPOCH * rate),
        "update": spectra.summarize_map(update, steps / STEPS_PER_EPOCH),
        "shift": jax.tree.map(lambda fixed, start: fixed - start, state.players, players),
        "rates": {name: stable_rate(name) for name in compared},
        "critical": critical,
    }


def transform(settings: Settings, rate: Any) -> Transform:
    """The transform of the field at a learning rate."""
    name, number = settings.adjustment or "plain", settings.adjustment_strength
    return METHODS[name].field(rate if number is None else number, 1.0 if name in STEP_TRANSFORMS else number)


def rule_at(settings: Settings, name: str, rate: Any) -> Rule:
    """The rule of this name with the transformed field, at a learning rate."""
    order, method, strength = RULES[name]
    return METHODS[method]._replace(field=lambda *_: transform(settings, rate)).rule(ORDERS[order], rate, strength)


def period_and_iterations(name: str) -> tuple[int, int]:
    """After how many steps the rule's map is the same again, and how many Newton iterations find its fixed point.

    All rules but the tutorial's rest at the equilibrium itself.
    """
    return METHODS[RULES[name][1]].period, 6 if name == "tutorial" else 0


def described(spectrum: spectra.Spectrum, name: str) -> Data:
    """A spectrum of Python numbers: each eigenvalue, below `name`, is a pair of its real and its imaginary part."""
    return {
        name: [[value.real, value.imag] for value in spectrum.eigenvalues],
        "zero_modes": spectrum.zero_modes,
        "verdict": Stability(spectrum.verdict).name.lower().replace("_", " "),
        "period_epochs": spectrum.period,
        "efold_epochs": spectrum.efold,
    }


def answer(data: Data) -> str:
    settings, update = data["settings"], data["update"]
    return (
        f"The flow is {data['verdict']} here, with {data['zero_modes']} zero modes: {pace(data)}.\n"
        f"{settings['rule']}, rate {settings['learning_rate']:g}: {of_rule(update)}.\n"
        f"Largest stable rate: {stable_up_to(data)}."
    )


def of_rule(update: Data) -> str:
    """What becomes of deviations from the place at which the rule stands still, in words."""
    if update["verdict"] == "no equilibrium":
        return "no place was found at which this rule stands still"
    return f"{update['verdict']}, {pace(update)}"


def pace(spectrum: Data) -> str:
    """How fast the mode changes that is left in the end, in words: the slowest to decay, or the fastest to grow."""
    efold, period = spectrum["efold_epochs"], spectrum["period_epochs"]
    last = "the fastest growing mode grows" if spectrum["verdict"] == "unstable" else "the slowest mode decays"
    change = f"{last} by e in {efold:.4g} epochs" if math.isfinite(efold) else "some mode stays"
    return f"{change}, " + (f"a turn takes {period:.4g}" if math.isfinite(period) else "none oscillates")


def stable_up_to(data: Data) -> str:
    """The largest stable rates, in words."""
    return ", ".join(f"{rate_in_words(rate)} ({name})" for name, rate in data["largest_stable_learning_rate"].items())


def rate_in_words(rate: float) -> str:
    if math.isnan(rate):
        return "unknown, because no fixed point was found at this rate"
    return "none" if rate == 0 else f"{rate:.4g}"


def strength_in_words(strength: float) -> str:
    """From which strength of the penalty on something is so."""
    every = {0.0: "at every strength", math.inf: "at no strength"}
    return every.get(strength, f"from the strength {strength:.6g} on")


def report(data: Data) -> None:
    update = data["update"]
    print(
        "The game in continuous time: each eigenvalue of -J is a mode, a way in which a deviation changes. A negative"
    )
    print("real part decays, a positive one grows, an imaginary part turns, and 0 leads along the equilibria.")
    print_pairs("eigenvalues of the flow, -J", data["eigenvalues"])
    print(f"  {data['zero_modes']} of them are zero; in epochs of this rate {pace(data)}.")
    print("\nThe rule: each multiplier is the factor of a mode. It decays if the factor is inside the unit circle.")
    if update["verdict"] == "no equilibrium":
        print(f"  But {of_rule(update)}.")
    else:
        print_pairs(f"multipliers of {update['steps']} step(s) of the rule", update["multipliers"])
        print(f"  In epochs {pace(update)}.")
        moved = update["fixed_point_shift"]
        shift = np.max(np.abs([*moved["generator_biases"], moved["discriminator_bias"]]))
        print(f"  The rule stands still {shift:.2g} beside the equilibrium, the largest change of a parameter.")
    print(f"\nThe largest rate at which no multiplier is outside the circle: {stable_up_to(data)}.")
    if data["critical_strength"]:
        print("\nWhat the penalty does in continuous time:")
        for name, what in CRITICAL_STRENGTHS.items():
            print(f"  {what} {strength_in_words(data['critical_strength'][name])}.")
    print()


def print_pairs(title: str, pairs: Sequence[tuple[float, float]]) -> None:
    print(f"{title}, real and imaginary part:")
    print(*(f"  {real:+.12e} {imaginary:+.12e}i" for real, imaginary in pairs), sep="\n")


def spectrum_json(data: Data) -> Data:
    """What spectrum.json has: `settings` with the command, and no answer."""
    settings = data["settings"] | {"command": data["command"]}
    return {name: data[name] for name in data if name not in ("command", "answer")} | {"settings": settings}


EXPERIMENT = Experiment(
    "spectrum", Settings, compute, answer, {"spectrum.png": Figure(figures.draw, 15, 5.2)}, report,
    exports={"spectrum.json": spectrum_json}, devices=0,
)  # fmt: skip

if __name__ == "__main__":
    EXPERIMENT.main()
