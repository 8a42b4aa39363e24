"""Daskalakis et al. 2018, "Training GANs with optimism" (arXiv:1711.00141), section 2: a linear WGAN learns a mean.

As the notebook Simple_GAN_example of their code has it: min over θ, max over w of w·(v - θ) with v = (3, 4), the
expectation over normal numbers; from θ = (1.7, 1.7), w = (1.4, 1.4); both rates 0.1; 1000 steps of G, together with D.
Optimism; descent, and momentum 0.5, with w clipped to 1; the penalty 0.1 (‖w‖ - 1)²; the penalty with momentum 0.2
and 15 steps of D for one of G; the same with Nesterov's momentum and a penalty of 1. The notebook counts the start as
the first step.

Its text differs from its code, and both are run:

    descent      is not clipped in the text
    momentum     has buffers that start at the players in the code, so that 0.5 of it first moves θ by -0.85; the text
                 gives no start, for which 0 is taken
    Nesterov     has both players look ahead in the text, only D's penalty in the code; other slopes are constant
    penalty      keeps the equilibrium θ = v, w = 0 in the text; but at θ = v each w of norm 1 is better for D than 0
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _curves import Data, Experiment, Figure, Way, check_whole, path, verdict
from figures import curves as figures

from slantgan_jax import Game, Players, State, distributions, games, losses, numerics, penalties, rules
from slantgan_jax.analysis import trajectories

CLAIM = "Optimism converges in the last iterate; descent cycles, even with a penalty, momentum and more steps of D."
MEAN = np.array([3.0, 4.0])
START = Players(np.full(2, 1.7), np.full(2, 1.4))
RATE, STEPS_OF_D = 0.1, 15
CONVERGES = "converged", "converging"


@dataclass(frozen=True)
class Settings:
    """Does optimism converge where descent cycles, on a linear WGAN?"""

    steps: Annotated[int, partial(check_whole, least=trajectories.MIN_RECORDS)] = 1000
    """Of the generator."""


def wgan(*added: penalties.Penalty) -> Game:
    """G is a point and D is linear, so that of the data only the mean matters, and of the latents nothing."""
    whole = games.gan(
        lambda key: jax.tree.map(jnp.asarray, START),
        lambda point, latent: point,
        jnp.dot,
        distributions.cyclic(MEAN[None]),
        distributions.uniform(1),
        losses.wasserstein,
    )
    return games.expected(games.penalized(whole, *added))


def nesterov(momentum: float, strength: float) -> optax.GradientTransformation:
    """SGD on a loss to which λ (‖w‖ - 1)² is added, whose slope is taken where momentum alone would lead."""
    inner = optax.sgd(RATE, momentum)
    slope = jax.grad(lambda w: strength * (numerics.safe_norm(w) - 1) ** 2)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        ahead = params - momentum * RATE * optax.tree_utils.tree_get(state, "trace")
        return inner.update(updates + slope(ahead), state, params)

    return optax.GradientTransformation(inner.init, update)


def seldom(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer at every fifteenth step; at all others the player stands still."""
    return optax.conditionally_mask(optimizer, lambda step, **_: jnp.asarray(step) % STEPS_OF_D == STEPS_OF_D - 1)


def buffers_at_players(state: State) -> State:
    """Momentum whose first velocities are w for D and -θ for G."""
    traces = state.players.generator / RATE, -state.players.discriminator / RATE
    pairs = zip(state.optimizer_states, traces, strict=True)
    return state._replace(optimizer_states=Players(*(optax.tree_utils.tree_set(own, trace=m) for own, m in pairs)))


def ways() -> dict[str, dict[str, tuple[Game, Way, int]]]:
    """By "code" and "text", and by method: the game, how it is played, and the steps of D for each step of G."""
    plain, penalized = wgan(), wgan(penalties.wgan_gp(0.1))
    descent, slow, fast = optax.sgd(RATE), optax.sgd(RATE, 0.2), optax.sgd(RATE, 0.5)
    clipped = rules.simultaneous(Players(descent, penalties.clipped(descent, 1.0)))
    momenta = {
        "momentum": (plain, Players(fast, penalties.clipped(fast, 1.0)), 1),
        "momentum, penalty, 15 steps of D": (penalized, Players(seldom(slow), slow), STEPS_OF_D),
        "Nesterov, penalty, 15 steps of D": (plain, Players(seldom(slow), nesterov(0.2, 1.0)), STEPS_OF_D),
    }
    optimism = Way(rules.simultaneous(optax.optimistic_gradient_descent(RATE)))
    code, text = (
        {name: (game, Way(rules.simultaneous(both), *begin), every) for name, (game, both, every) in momenta.items()}
        for begin in ((buffers_at_players,), ())
    )
    penalty = Way(rules.simultaneous(descent))
    first = {"optimism": (plain, optimism, 1), "descent": (plain, Way(clipped), 1), "penalty": (penalized, penalty, 1)}
    return {"code": first | code, "text": {"descent": (plain, penalty, 1)} | text}


def compute(settings: Settings, out: Path) -> Data:
    """Paths `[steps + 1, 2, 2]` of G and D after each step of G, distances of G from v, and what became of G."""
    data: Data = {"claim": CLAIM, "mean": MEAN, "paths": {}, "distances": {}, "ends": {}}
    for source, own in ways().items():
        for name, (game, way, every) in own.items():
            points = np.stack(jax.jit(partial(path, game, way, every * settings.steps))(START), 1)[::every]
            distances = np.linalg.norm(points[:, 0] - MEAN, axis=1)
            verdict = trajectories.Verdict(int(trajectories.classify(distances, points[:, 0])))
            last = distances[-(len(distances) // 4) :]
            end = {"fate": verdict.name.lower().replace("_", " "), "range": (last.min(), last.max())}
            for part, found in (("paths", points), ("distances", distances), ("ends", end)):
                data[part].setdefault(source, {})[name] = found
    return data


def answer(data: Data) -> str:
    (optimism, *descents), (free, *momenta) = (list(data["ends"][source].values()) for source in ("code", "text"))
    cycling, same = ([own["range"] for own in some if own["fate"] == "oscillating"] for some in (descents, momenta))
    holds = optimism["fate"] in CONVERGES, *(own["fate"] == "oscillating" for own in descents)
    left = data["distances"]["code"]["optimism"]
    between = f", at distances {min(cycling)[0]:.2f} to {max(most for _, most in cycling):.2f}" if cycling else ""
    return (
        f"{verdict(holds)}: optimism ({optimism['fate']}) brings G from distance {left[0]:.2f} to {left[-1]:.3f} of "
        f"the mean; in the last quarter {len(cycling)} of {len(descents)} descents cycle{between}.\nAs the text says: "
        f"unclipped, descent is {free['fate']}, to {free['range'][1]:.3g}; momenta that start at 0 cycle in "
        f"{len(same)} of {len(momenta)}."
    )


def report(data: Data) -> None:
    print(f"Claim: {CLAIM}\nIn the last quarter of the run, with the distance of G from the mean:")
    for source, own in data["ends"].items():
        for name, found in own.items():
            print("  {} {:34} {:14} {:.3g} to {:.3g}".format(source, name, found["fate"], *found["range"]))


EXPERIMENT = Experiment(
    "reproductions/daskalakis_2018",
    Settings,
    compute,
    answer,
    {"curves.png": Figure(figures.daskalakis, 15, 7)},
    report,
    time="20 seconds",
)

if __name__ == "__main__":
    EXPERIMENT.main()
