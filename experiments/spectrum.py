"""Which modes does an equilibrium of slanted land have? Do they decay, how fast, and up to which learning rate?

The equilibrium is the one whose generator has the given weights. The flow has modes exp(λ t), with λ the eigenvalues of
-J for the expected, penalized and transformed field; a step takes a time of one learning rate. A step of a rule has
modes μⁿ, at the rule's own fixed point. An epoch has five steps. See docs/theory/stability.md for the derivation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _methods
import jax
import numpy as np
from _experiment import Data, Experiment, Figure, check_known, check_positive
from _methods import METHODS, ORDERS
from figures import spectrum as figures

from slantgan_jax import Game, Rule, distributions, faces, fields, games, penalties, slanted_land
from slantgan_jax.analysis import equilibria, spectra, thresholds
from slantgan_jax.analysis.spectra import Stability
from slantgan_jax.fields import Transform

IMAGES = faces.unstack(faces.FACES)
STEPS_PER_EPOCH = len(faces.FACES)
LARGEST_WEIGHT = 100.0
"""The largest weight for which `nodes_for` was tried."""
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
    "tutorial": ("tutorial", "plain", 0.0),
    "simultaneous": ("simultaneous", "plain", 0.0),
    "alternating": ("alternating", "plain", 0.0),
    "alternating-generator-first": ("alternating, G first", "plain", 0.0),
    "past-extragradient": ("simultaneous", "past extragradient", 0.0),
    "optimistic": ("simultaneous", "optimistic", 0.0),
    "negative-momentum": ("alternating", "negative momentum", -0.5),
    "lookahead": ("alternating", "lookahead", 0.5),
}
"""The order, the method and its strength in the catalog."""
NEWTON_ITERATIONS = {"tutorial": 6}
"""Iterations to the fixed point of a rule; those that are not named rest at the equilibrium itself."""


@dataclass
class Settings:
    """Print the modes of an equilibrium of slanted land, draw them, and write spectrum.json.

    In spectrum.json null stands for infinity. For a rule whose verdict is "no equilibrium", it stands for a number that
    does not exist.
    """

    weights: tuple[float, float, float, float]
    """The generator's weights, one for each pixel, from -100 to 100."""
    objective: str = "non-saturating"
    """non-saturating, saturating, kl, wasserstein, least-squares, hinge or relativistic."""
    penalty: str | None = None
    """A penalty on the discriminator: r1, r2 or zero-centered. It needs --strength."""
    strength: float | None = None
    """The strength of the penalty."""
    rule: str = "tutorial"
    """tutorial, simultaneous, alternating, alternating-generator-first, past-extragradient, optimistic,
    negative-momentum (-1/2, alternating) or lookahead (5 alternating steps, 1/2)."""
    learning_rate: float = 0.01
    """The learning rate of both players."""
    adjustment: str | None = None
    """A transform of the field: extragradient, consensus, sga, cgd, sos, heun or rk4."""
    adjustment_strength: float | None = None
    """The strength of the transform. For extragradient, cgd, heun and rk4 it is a step size, by default the learning
    rate."""

    def __post_init__(self) -> None:
        for name in ("objective", "penalty", "rule", "adjustment"):
            if value := getattr(self, name):
                setattr(self, name, value.replace("_", "-"))

    def check(self) -> None:
        named = {"objective": OBJECTIVES, "penalty": PENALTIES, "rule": RULES, "adjustment": ADJUSTMENTS}
        for name, known in named.items():
            if (value := getattr(self, name)) is not None:
                check_known(f"--{name}", [value], known)
        if not np.all(np.abs(self.weights) <= LARGEST_WEIGHT):
            raise ValueError(
                f"--weights are {self.weights}: give four numbers from -{LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}"
            )
        check_positive("--learning-rate", self.learning_rate)
        if self.learning_rate > LARGEST_NUMBER:
            raise ValueError(f"--learning-rate is {self.learning_rate}: give a number up to {LARGEST_NUMBER:g}")
        check_strength("--strength", self.strength, "--penalty", self.penalty)
        check_strength("--adjustment-strength", self.adjustment_strength, "--adjustment", self.adjustment)
        if not is_playable(self.rule, self.objective):
            raise ValueError(
                f"--objective {self.objective} is one term, but the tutorial's order moves by two: name another rule"
            )


def check_strength(option: str, value: float | None, scaled_option: str, scaled: str | None) -> None:
    """Raises `ValueError` unless `value` is a number from 0 up exactly if there is something that it scales."""
    if scaled is None and value is not None:
        raise ValueError(f"{option} is {value}, but there is no {scaled_option}: name one")
    if scaled is not None and value is None and scaled not in STEP_TRANSFORMS:
        raise ValueError(f"{scaled_option} {scaled} has no strength: give {option}")
    if value is not None and not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"{option} is {value}: give a number from 0 to {LARGEST_NUMBER:g}")


def is_playable(rule: str, objective: str) -> bool:
    """Whether the rule accepts the objective; the tutorial's order needs a loss of D that is a sum of terms."""
    return rule != "tutorial" or len(OBJECTIVES[objective].discriminator) > 1


def compute(settings: Settings, out: Path) -> Data:
    names = dict.fromkeys(("simultaneous", "alternating", settings.rule))
    compared = [name for name in names if is_playable(name, settings.objective)]
    found = jax.tree.map(np.asarray, jax.jit(lambda: modes(settings, compared))())
    flow, update, shift = found["flow"], found["update"], found["shift"]
    if flow.verdict == Stability.NO_EQUILIBRIUM:
        raise ValueError(
            f"--weights are {settings.weights}: there the field of {settings.objective}, {settings.penalty} and "
            f"{settings.adjustment} does not vanish; give others"
        )
    if update.verdict == Stability.NO_EQUILIBRIUM:
        # The rate that was found is where the residual of a surface without fixed points exceeds rounding.
        found["rates"][settings.rule] = math.nan
    multipliers = described(update)
    return described(flow) | {
        "largest_stable_learning_rate": {name: float(found["rates"][name]) for name in compared},
        "critical_strength": {name: float(value) for name, value in found["critical"].items()},
        "update": {
            "multipliers": multipliers.pop("eigenvalues"),
            "steps": steps_of(settings.rule),
            **multipliers,
            "fixed_point_shift": {
                "generator_biases": np.array(shift.generator.biases).tolist(),
                "discriminator_bias": float(shift.discriminator.bias),
            },
        },
    }


def modes(settings: Settings, compared: list[str]) -> Data:
    """The spectra of the flow and of the rule, the stable rates of the rules `compared`, and the critical strengths."""
    objective, rate = OBJECTIVES[settings.objective], settings.learning_rate
    pixels = faces.unstack(np.array(settings.weights, np.float64))
    players = equilibria.equilibrium(pixels, IMAGES, objective)
    tangents = equilibria.tangents(pixels, IMAGES, equilibria.logit_is_free(objective))

    def game_of(strength: Any) -> Game:
        game = slanted_land(objective=objective, latent=distributions.uniform(nodes=nodes_for(settings.weights)))
        return game if settings.penalty is None else games.penalized(game, PENALTIES[settings.penalty](strength))

    def stable_rate(name: str) -> jax.Array:
        return thresholds.largest_stable_rate(
            lambda rate: rule_of(name, rate, transform(settings, rate)), game, players, tangents,
            steps=steps_of(name), fixed_point_iterations=NEWTON_ITERATIONS.get(name, 0),
        )  # fmt: skip

    game, field, steps = game_of(settings.strength), transform(settings, rate), steps_of(settings.rule)
    rule, iterations = rule_of(settings.rule, rate, field), NEWTON_ITERATIONS.get(settings.rule, 0)
    flow = spectra.flow_eigenvalues(game, players, field, tangents)
    state = spectra.fixed_point(rule, game, players, steps, tangents, iterations)
    update = spectra.update_eigenvalues(rule, game, state, steps, tangents)
    return {
        "flow": spectra.summarize_flow(flow, STEPS_PER_EPOCH * rate),
        "update": spectra.summarize_map(update, steps / STEPS_PER_EPOCH),
        "shift": jax.tree.map(lambda fixed, start: fixed - start, state.players, players),
        "rates": {name: stable_rate(name) for name in compared},
        "critical": {} if settings.penalty is None else thresholds.critical_strength(
            game_of, players, field, tangents
        )._asdict(),
    }  # fmt: skip


def nodes_for(weights: Sequence[float]) -> int:
    """The number of nodes of the latent that leaves nothing but rounding."""
    return 20 + 4 * math.ceil(max(map(abs, weights)))


def transform(settings: Settings, rate: Any) -> Transform:
    """The transform of the field at a learning rate."""
    name, number = settings.adjustment, settings.adjustment_strength
    if name is None:
        return fields.gradients
    if name in STEP_TRANSFORMS:
        return METHODS[name].field(rate if number is None else number, 1.0)
    return METHODS[name].field(rate, number)


def rule_of(name: str, rate: Any, field: Transform) -> Rule:
    order, method, strength = RULES[name]
    return METHODS[method]._replace(field=lambda *_: field).rule(ORDERS[order], rate, strength)


def steps_of(name: str) -> int:
    """After how many steps the map of the rule is the same again."""
    return METHODS[RULES[name][1]].period


def described(spectrum: spectra.Spectrum) -> Data:
    """A spectrum as Python numbers: each eigenvalue is a pair of its real and its imaginary part."""
    return {
        "eigenvalues": np.stack([spectrum.eigenvalues.real, spectrum.eigenvalues.imag], -1).tolist(),
        "zero_modes": int(spectrum.zero_modes),
        "verdict": Stability(int(spectrum.verdict)).name.lower().replace("_", " "),
        "period_epochs": float(spectrum.period),
        "efold_epochs": float(spectrum.efold),
    }


def answer(data: Data) -> str:
    settings, update = data["settings"], data["update"]
    return (
        f"The flow is {data['verdict']} here, with {data['zero_modes']} zero modes: {pace(data)}.\n"
        f"{settings['rule']}, rate {settings['learning_rate']:g}: {update['verdict']}, {pace(update)}.\n"
        f"Stable up to a rate of {stable_up_to(data)}."
    )


def pace(spectrum: Data) -> str:
    """How fast the slowest mode changes, in words."""
    efold, period = spectrum["efold_epochs"], spectrum["period_epochs"]
    changes = "grows" if spectrum["verdict"] == "unstable" else "decays"
    slowest = f"the slowest mode {changes} by e in {efold:.4g} epochs" if math.isfinite(efold) else "some mode stays"
    return f"{slowest}, " + (f"a turn takes {period:.4g}" if math.isfinite(period) else "none oscillates")


def stable_up_to(data: Data) -> str:
    """The largest stable rates, in words."""
    return ", ".join(f"{rate_in_words(rate)} ({name})" for name, rate in data["largest_stable_learning_rate"].items())


def rate_in_words(rate: float) -> str:
    if math.isnan(rate):
        return "unknown, because there are no fixed points at this rate"
    return "none" if rate == 0 else f"{rate:.4g}"


def report(data: Data) -> None:
    update = data["update"]
    print("eigenvalues of the flow, -J:")
    for real, imaginary in data["eigenvalues"]:
        print(f"  {real:+.12e} {imaginary:+.12e}i" if real or imaginary else "  0, along the equilibria")
    print(f"multipliers of {update['steps']} step(s) of the rule, modulus and argument:")
    for real, imaginary in update["multipliers"]:
        value = complex(real, imaginary)
        print(f"  {abs(value):.15f} {np.angle(value):+.12f}" if value != 1 else "  1, along the fixed points")
    for name in ("zero_modes", "verdict", "period_epochs", "efold_epochs"):
        print(f"{name:30} {data[name]}; of the rule {update[name]}")
    print(f"{'largest stable learning rate':30} {stable_up_to(data)}")
    for name, value in data["critical_strength"].items():
        print(f"{'critical strength, ' + name:30} {value:.6g}")


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
