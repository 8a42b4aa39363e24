"""The catalog of methods: every way to train a GAN that the experiments compare, once.

A method is given by a learning rate η and, if it has one, by a strength. It changes the game (penalties, noise, D's
logit), the field, the optimizer, or the rule. Everything else is the plain game, gradient descent and order of moves:

    method = METHODS["sga"]
    rule = method.rule(ORDERS["alternating"], rate, 10.0)
    game = method.game(losses.non_saturating, 10.0)
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax

from slantgan_jax import Game, Objective, Players, Rule, fields, games, losses, networks, penalties, rules, slanted_land
from slantgan_jax.analysis import equilibria
from slantgan_jax.fields import Transform
from slantgan_jax.penalties import Penalty
from slantgan_jax.rules import Optimizer

SYNC_PERIOD = 5
"""Of lookahead: the steps between two returns."""

UNROLLED_STEPS = 5

Descent = Callable[[Any], optax.GradientTransformation]

Logit = Callable[[Any, Any], Any]

Order = Callable[[Optimizer, Transform], Rule]
"""Who moves when: `(optimizer, transform of the field) -> rule`."""

ORDERS: dict[str, Order] = {
    "tutorial": rules.tutorial,
    "simultaneous": rules.simultaneous,
    "alternating": rules.alternating,
    "alternating, G first": partial(rules.alternating, order=("generator", "discriminator")),
    "alternating, D twice": partial(rules.alternating, order=("discriminator", "discriminator", "generator")),
}

OBJECTIVES: dict[str, Objective] = losses.OBJECTIVES | {"smoothed": losses.smoothed(losses.non_saturating, 0.1)}

SCORED = ("Wasserstein", "least squares", "hinge", "relativistic")
"""Objectives of which D's output is a score, and σ of it no probability that the image is real."""


class Method(NamedTuple):
    """One way to train.

    Attributes:
      strengths: the strengths that a comparison tries, and a single 0 if the method has none.
      limits: the least and the largest strength that a user may ask for.
      optimizer: of `(rate, strength, descent)`, where `descent` is the optimizer `rate -> optax transformation` of the
        plain method.
      field: of `(rate, strength)`.
      wrap: `(rule, strength) -> rule`.
      penalty: `strength -> Penalty`, added to D's loss; None for none.
      constrain: from D's logit function to that of the method.
      noisy: whether the strength is the deviation of instance noise.
      whole_rule: `(optimizer, rate, strength, field) -> Rule` if the method is a rule of its own, without an order of
        moves.
    """

    strengths: tuple[float, ...] = (0.0,)
    limits: tuple[float, float] = (0.0, math.inf)
    optimizer: Callable[[Any, Any, Descent], Optimizer] = lambda rate, strength, descent: descent(rate)
    field: Callable[[Any, Any], Transform] = lambda rate, strength: fields.gradients
    wrap: Callable[[Rule, Any], Rule] = lambda rule, strength: rule
    penalty: Callable[[Any], Penalty] | None = None
    constrain: Callable[[Logit], Logit] = lambda logit: logit
    noisy: bool = False
    whole_rule: Callable[[Optimizer, Any, Any, Transform], Rule] | None = None

    def rule(self, order: Order, rate: Any, strength: Any = 0.0, descent: Descent = optax.sgd) -> Rule:
        """The rule of this method that moves the players in this order."""
        optimizer, field = self.optimizer(rate, strength, descent), self.field(rate, strength)
        rule = self.whole_rule(optimizer, rate, strength, field) if self.whole_rule else order(optimizer, field)
        return self.wrap(rule, strength)

    @property
    def period(self) -> int:
        """The number of steps after which the rule does the same again."""
        return self.rule(rules.simultaneous, 0.1, self.strengths[0]).period

    @property
    def logit(self) -> Logit:
        """D's logit on slanted land."""
        return self.constrain(networks.logit)

    def game(
        self,
        objective: Objective = losses.non_saturating,
        strength: Any = 0.0,
        make: Callable[..., Game] = slanted_land,
        logit: Logit = networks.logit,
        **options: Any,
    ) -> Game:
        """The game `make(objective=, logit=, noise=, **options)`, by default slanted land, as this method plays it."""
        noise = strength if self.noisy else 0.0
        game = make(objective=objective, logit=self.constrain(logit), noise=noise, **options)
        return game if self.penalty is None else games.penalized(game, self.penalty(strength))


_PRODUCTS = (1.0, 10.0, 100.0)
"""Strengths of a product with the Jacobian. If the field turns with 0.06, a strength of 10 adds 10 · 0.06² of damping.
The strengths of the penalties have the critical one, twice the rotation, in their middle."""

_BELOW_1 = 0.9999
"""The largest share of the past that a moving average keeps."""

METHODS: dict[str, Method] = {
    "plain": Method(),
    "R1": Method((0.03, 0.1, 0.3), penalty=penalties.r1),
    "WGAN-GP": Method((0.01, 0.1, 1.0), penalty=penalties.wgan_gp),
    "instance noise": Method((0.3, 1.0), noisy=True),
    "weight clipping": Method(
        (0.01, 0.1, 1.0),
        optimizer=lambda rate, bound, descent: Players(descent(rate), penalties.clipped(descent(rate), bound)),
    ),
    "spectral norm": Method(constrain=penalties.spectral),
    "negative momentum": Method(
        (-0.2, -0.5, -0.8), (-_BELOW_1, 0.0), lambda rate, beta, _: optax.sgd(rate, momentum=beta)
    ),
    "momentum": Method((0.5, 0.9), (0.0, _BELOW_1), lambda rate, beta, _: optax.sgd(rate, momentum=beta)),
    "Adam": Method((0.0, 0.5, 0.9), (0.0, _BELOW_1), lambda rate, b1, _: optax.adam(rate / 10, b1=b1)),
    "optimistic": Method(optimizer=lambda rate, *_: optax.optimistic_gradient_descent(rate)),
    "past extragradient": Method(
        whole_rule=lambda optimizer, rate, _, field: rules.past_extragradient(optimizer, rate, field)
    ),
    "lookahead": Method(
        (0.2, 0.5, 0.8), (0.0, 1.0), wrap=lambda rule, fraction: rules.lookahead(rule, SYNC_PERIOD, fraction)
    ),
    "averaging": Method(
        (0.99, 0.999), (0.0, _BELOW_1), wrap=lambda rule, decay: rules.averaged(rule, optax.ema(decay))
    ),
    "extragradient": Method((1.0, 3.0), field=lambda rate, multiple: fields.extragradient(multiple * rate)),
    "heun": Method(field=lambda rate, _: fields.heun(rate)),
    "rk4": Method(field=lambda rate, _: fields.rk4(rate)),
    "consensus": Method(_PRODUCTS, field=lambda rate, strength: fields.consensus(strength)),
    "sga": Method(_PRODUCTS, field=lambda rate, strength: fields.sga(strength)),
    "lola": Method(_PRODUCTS, field=lambda rate, ahead: fields.lola(ahead)),
    "sos": Method(_PRODUCTS, field=lambda rate, ahead: fields.sos(ahead)),
    "unrolled": Method(_PRODUCTS, field=lambda rate, ahead: fields.unrolled(UNROLLED_STEPS, ahead / UNROLLED_STEPS)),
    "cgd": Method(field=lambda rate, _: fields.cgd(rate)),
}
"""docs/methods/index.md has the formula and the source of each."""


def said(objective: str, logit: Any) -> Any:
    """What D says of an image: the probability σ(logit) that it is real, or the logit itself if that is a score."""
    return logit if objective in SCORED else jax.nn.sigmoid(logit)


def undecided(objective: str) -> float | None:
    """What D says where it is undecided, see `said`: ½ for the tutorial's losses. None if that may be any constant."""
    if equilibria.logit_is_free(OBJECTIVES[objective]):
        return None
    return float(said(objective, equilibria.undecided_logit(OBJECTIVES[objective])))


def undecided_losses(objective: str) -> Players:
    """Both losses where D is undecided: its logit is `undecided_logit` everywhere, as at each equilibrium.

    G's is None if any constant D is undecided, and G's loss depends on that constant.
    """
    generator, discriminator = OBJECTIVES[objective].generator, losses.of_discriminator(OBJECTIVES[objective])

    @jax.jit
    def seen(c: jax.Array) -> tuple[Any, Any, Any]:
        return generator(c, c), jax.grad(lambda c: generator(c, c))(c), discriminator(c, c)

    judged, slope, appraised = map(float, seen(equilibria.undecided_logit(OBJECTIVES[objective])))
    biased = slope != 0 and equilibria.logit_is_free(OBJECTIVES[objective])
    return Players(None if biased else judged, appraised)
