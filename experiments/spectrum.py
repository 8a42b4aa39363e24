"""Which modes an equilibrium of slanted land has: do they decay, how fast, and up to which learning rate?

The equilibrium is the one whose generator has the given weights (`analysis.equilibria`); the game's losses are
expected ones. The flow's modes are exp(λ t), λ the eigenvalues of -J of the (penalized, adjusted) field, with a time of
one learning rate for a step; those of a rule's step are μⁿ, at the rule's own fixed point. An epoch has five steps.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import matplotlib
import numpy as np
import optax
import results

from slantgan_jax import (
    Game,
    Rule,
    distributions,
    faces,
    fields,
    games,
    losses,
    penalties,
    rules,
    slanted_land,
    spectrum_plots,
)
from slantgan_jax.analysis import equilibria, spectra, thresholds
from slantgan_jax.fields import Transform

IMAGES = faces.unstack(faces.FACES)
EPOCH = len(faces.FACES)
PERIOD = 5
LARGEST_WEIGHT = 100.0
"""Up to which `nodes_of` was tried."""
LARGEST_NUMBER = 1e4
"""Of rates and strengths: what `thresholds` looks at, too."""

OBJECTIVES = {
    "non-saturating": losses.non_saturating,
    "saturating": losses.saturating,
    "kl": losses.kl,
    "wasserstein": losses.wasserstein,
    "least-squares": losses.least_squares(),
    "hinge": losses.hinge,
    "relativistic": losses.relativistic,
}
PENALTIES = {"r1": penalties.r1, "r2": penalties.r2, "zero-centred": penalties.zero_centered}
ADJUSTMENTS: dict[str, Callable[[Any], Transform]] = {
    "extragradient": fields.extragradient,
    "consensus": fields.consensus,
    "sga": fields.sga,
    "cgd": fields.cgd,
    "sos": fields.sos,
    "heun": fields.heun,
    "rk4": fields.rk4,
}
"""Of one number, a strength or a look-ahead. All leave the equilibria where they are, unlike `fields.lola`."""
OF_THE_RATE = ("extragradient", "cgd", "heun", "rk4")
"""Their number is the learning rate, if none is given."""


class Method(NamedTuple):
    """A rule as a function of a learning rate and of the field's adjustment.

    Attributes:
      rule: `(rate, adjustment) -> rule`.
      steps: after which its map is the same again.
      newton: iterations to its fixed point, 0 where that is the equilibrium.
    """

    rule: Callable[[Any, Transform], Rule]
    steps: int = 1
    newton: int = 0


def sgd(rate: Any, momentum: float | None = None) -> optax.GradientTransformation:
    return optax.sgd(rate, momentum)


RULES = {
    "tutorial": Method(lambda rate, field: rules.tutorial(sgd(rate), field), newton=6),
    "simultaneous": Method(lambda rate, field: rules.simultaneous(sgd(rate), field)),
    "alternating": Method(lambda rate, field: rules.alternating(sgd(rate), field)),
    "alternating-generator-first": Method(
        lambda rate, field: rules.alternating(sgd(rate), field, order=("generator", "discriminator"))
    ),
    "past-extragradient": Method(lambda rate, field: rules.past_extragradient(sgd(rate), rate, field)),
    "optimistic": Method(lambda rate, field: rules.simultaneous(optax.optimistic_gradient_descent(rate), field)),
    "negative-momentum": Method(lambda rate, field: rules.alternating(sgd(rate, -0.5), field)),
    "lookahead": Method(
        lambda rate, field: rules.lookahead(rules.alternating(sgd(rate), field), PERIOD, 0.5), steps=PERIOD
    ),
}


def spectrum(
    weights: tuple[float, float, float, float],
    objective: str = "non-saturating",
    penalty: str | None = None,
    strength: float | None = None,
    rule: str = "tutorial",
    learning_rate: float = 0.01,
    adjustment: str | None = None,
    adjustment_strength: float | None = None,
    out: Path = Path("results/spectrum"),
) -> None:
    """Print the modes of an equilibrium of slanted land, draw them, and write spectrum.json.

    Args:
        weights: the generator's, one a pixel, from -100 to 100.
        objective: non-saturating, saturating, kl, wasserstein, least-squares, hinge or relativistic.
        penalty: on the discriminator: r1, r2 or zero-centred; it needs --strength.
        strength: of the penalty.
        rule: tutorial, simultaneous, alternating, alternating-generator-first, past-extragradient, optimistic,
            negative-momentum (-1/2, alternating) or lookahead (5 alternating steps, 1/2).
        learning_rate: of both players.
        adjustment: of the field: extragradient, consensus, sga, cgd, sos, heun or rk4.
        adjustment_strength: its strength or look-ahead; by default the learning rate where that is the method.
        out: folder for spectrum.json and spectrum.png. null in it is infinity; of a rule whose verdict is "no
            equilibrium", that there is no such number.
    """
    names = {"--objective": (objective, OBJECTIVES), "--penalty": (penalty, PENALTIES)}
    names |= {"--rule": (rule, RULES), "--adjustment": (adjustment, ADJUSTMENTS)}
    objective, penalty, rule, adjustment = (named(flag, *pair) for flag, pair in names.items())
    if not np.all(np.abs(weights) <= LARGEST_WEIGHT):
        raise ValueError(f"--weights are {weights}: give four numbers from -{LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}")
    results.check_positive("--learning-rate", learning_rate)
    if learning_rate > LARGEST_NUMBER:
        raise ValueError(f"--learning-rate is {learning_rate}: give a number up to {LARGEST_NUMBER:g}")
    check_strength("--strength", strength, "--penalty", penalty)
    check_strength("--adjustment-strength", adjustment_strength, "--adjustment", adjustment, OF_THE_RATE)
    if not playable(rule, OBJECTIVES[objective]):
        raise ValueError(
            f"--objective {objective} is one term, but the tutorial's order moves by two: name another rule"
        )
    with results.complete_folder(out) as folder, jax.enable_x64(True):
        found = analysis_of(weights, objective, penalty, strength, rule, learning_rate, adjustment, adjustment_strength)
        settings = {"weights": weights, "objective": objective, "penalty": penalty, "strength": strength, "rule": rule}
        settings |= {"learning_rate": learning_rate, "adjustment": adjustment}
        settings |= {"adjustment_strength": adjustment_strength, "command": results.command()}
        results.write_json(folder / "spectrum.json", found | {"settings": settings, "versions": results.record()})
        flow, multipliers = (np.array(one) @ [1, 1j] for one in (found["eigenvalues"], found["update"]["multipliers"]))
        of_rule = f"{rule}, rate {learning_rate:g}"
        results.save_figure(
            folder / "spectrum.png", spectrum_plots.planes, 15, 5.2, flow, multipliers, of_rule, summary(found, of_rule)
        )
    show(found)
    print(f"Written to {out}/.")


def named(flag: str, name: str | None, known: Mapping[str, Any]) -> Any:
    """`name` as `known` has it, with - for _; None stays None."""
    given = None if name is None else name.replace("_", "-")
    if given is not None and given not in known:
        raise ValueError(f"{flag} is {name!r}: choose from {', '.join(known)}")
    return given


def playable(rule: str, objective: losses.Objective) -> bool:
    """The tutorial's order moves D by one term of its loss after the other."""
    return rule != "tutorial" or len(objective.discriminator) > 1


def check_strength(
    flag: str, value: float | None, of_flag: str, of: str | None, defaulted: tuple[str, ...] = ()
) -> None:
    """Raises `ValueError` unless `value` is a non-negative number if and only if there is something to scale by it."""
    if of is None and value is not None:
        raise ValueError(f"{flag} is {value}, but there is no {of_flag}: name one")
    if of is not None and value is None and of not in defaulted:
        raise ValueError(f"{of_flag} {of} has no strength: give {flag}")
    if value is not None and not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"{flag} is {value}: give a number from 0 to {LARGEST_NUMBER:g}")


def analysis_of(
    weights: tuple[float, ...],
    objective: str,
    penalty: str | None,
    strength: float | None,
    rule: str,
    learning_rate: float,
    adjustment: str | None,
    adjustment_strength: float | None,
) -> dict[str, Any]:
    """What spectrum.json holds of the equilibrium, as Python numbers."""
    loss = OBJECTIVES[objective]
    free = equilibria.logit_is_free(loss)
    pixels = faces.unstack(np.array(weights, np.float64))
    adjusted = partial(adjusted_field, adjustment, adjustment_strength)

    def game_of(gamma: Any) -> Game:
        game = slanted_land(objective=loss, latent=distributions.uniform(nodes=nodes_of(weights)))
        return game if penalty is None else games.penalized(game, PENALTIES[penalty](gamma))

    compared = [name for name in dict.fromkeys(("simultaneous", "alternating", rule)) if playable(name, loss)]

    @jax.jit
    def computed() -> dict[str, Any]:
        players, tangents = equilibria.equilibrium(pixels, IMAGES, loss), equilibria.tangents(pixels, IMAGES, free)
        game, method = game_of(strength), RULES[rule]
        flow = spectra.flow_eigenvalues(game, players, adjusted(learning_rate), tangents)
        played = method.rule(learning_rate, adjusted(learning_rate))
        state = spectra.fixed_point(played, game, players, method.steps, tangents, method.newton)
        values = spectra.update_eigenvalues(played, game, state, method.steps, tangents)
        return {
            "flow": spectra.summarize_flow(flow, EPOCH * learning_rate),
            "update": spectra.summarize_map(values, method.steps / EPOCH),
            "fixed_point": jax.tree.map(lambda a, b: a - b, state.players, players),
            "rates": {
                name: thresholds.largest_stable_rate(
                    lambda rate, one=RULES[name]: one.rule(rate, adjusted(rate)),
                    game, players, tangents, steps=RULES[name].steps, fixed_point_iterations=RULES[name].newton,
                )
                for name in compared
            },
            "critical": {} if penalty is None else thresholds.critical_strength(
                game_of, players, adjusted(learning_rate), tangents
            )._asdict(),
        }  # fmt: skip

    found = jax.tree.map(np.asarray, computed())
    flow, update = found["flow"], found["update"]
    if update.verdict == spectra.Stability.NO_EQUILIBRIUM:
        # What was found is where the residual of a surface that is none passes rounding.
        found["rates"][rule] = math.nan
    if flow.verdict == spectra.Stability.NO_EQUILIBRIUM:
        raise ValueError(f"at --weights {weights} the field of {objective}, {penalty}, {adjustment} does not vanish")
    moved = found["fixed_point"]
    return {
        "eigenvalues": pairs(flow.eigenvalues),
        "zero_modes": int(flow.zero_modes),
        "verdict": verdict_name(flow),
        "largest_stable_learning_rate": {name: float(found["rates"][name]) for name in compared},
        "period_epochs": float(flow.period),
        "efold_epochs": float(flow.efold),
        "critical_strength": {name: float(value) for name, value in found["critical"].items()},
        "update": {
            "multipliers": pairs(update.eigenvalues),
            "steps": RULES[rule].steps,
            "zero_modes": int(update.zero_modes),
            "verdict": verdict_name(update),
            "period_epochs": float(update.period),
            "efold_epochs": float(update.efold),
            "fixed_point_shift": {
                "generator_biases": np.array(moved.generator.biases).tolist(),
                "discriminator_bias": float(moved.discriminator.bias),
            },
        },
    }


def verdict_name(spectrum: spectra.Spectrum) -> str:
    return spectra.Stability(int(spectrum.verdict)).name.lower().replace("_", " ")


def nodes_of(weights: Sequence[float]) -> int:
    """Nodes of the latent that leave nothing but rounding."""
    return 20 + 4 * math.ceil(max(map(abs, weights)))


def adjusted_field(adjustment: str | None, strength: float | None, rate: Any) -> Transform:
    """The adjustment at a learning rate: its own number, where none is given."""
    if adjustment is None:
        return fields.gradients
    return ADJUSTMENTS[adjustment](rate if strength is None else strength)


def pairs(values: np.ndarray) -> list[list[float]]:
    return np.stack([np.real(values), np.imag(values)], -1).tolist()


def summary(found: dict[str, Any], of_rule: str) -> str:
    """The figure's title."""
    update = found["update"]
    return (
        f"The flow is {found['verdict']} here, with {found['zero_modes']} zero modes: {pace(found)}\n"
        f"{of_rule}: {update['verdict']}, {pace(update)}; stable up to a rate of {stable_up_to(found)}"
    )


def pace(found: dict[str, Any]) -> str:
    """How fast the slowest modes are, in words."""
    efold, period = found["efold_epochs"], found["period_epochs"]
    changes = "grows" if found["verdict"] == "unstable" else "decays"
    slowest = f"the slowest mode {changes} by e in {efold:.4g} epochs" if math.isfinite(efold) else "some mode stays"
    return f"{slowest}, " + (f"a turn takes {period:.4g}" if math.isfinite(period) else "none oscillates")


def stable_up_to(found: dict[str, Any]) -> str:
    """The largest stable rates in words."""
    rates = found["largest_stable_learning_rate"]
    return ", ".join(f"{edge(rate)} ({name})" for name, rate in rates.items())


def edge(rate: float) -> str:
    if math.isnan(rate):
        return "unknown for want of fixed points at this rate"
    return "none" if rate == 0 else f"{rate:.4g}"


def show(found: dict[str, Any]) -> None:
    print("eigenvalues of the flow, -J:")
    for real, imaginary in found["eigenvalues"]:
        print(f"  {real:+.12e} {imaginary:+.12e}i" if real or imaginary else "  0, along the equilibria")
    update = found["update"]
    print(f"multipliers of {update['steps']} step(s) of the rule, modulus and argument:")
    for real, imaginary in update["multipliers"]:
        value = complex(real, imaginary)
        print(f"  {abs(value):.15f} {np.angle(value):+.12f}" if value != 1 else "  1, along the fixed points")
    for name in ("zero_modes", "verdict", "period_epochs", "efold_epochs"):
        print(f"{name:30} {found[name]}; of the rule {update[name]}")
    print(f"{'largest stable learning rate':30} {stable_up_to(found)}")
    if found["critical_strength"]:
        for name, value in found["critical_strength"].items():
            print(f"{'critical strength, ' + name:30} {value:.6g}")


if __name__ == "__main__":
    matplotlib.use("agg")
    results.command_line(spectrum)
