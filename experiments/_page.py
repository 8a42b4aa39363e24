"""What the page computes, printed as JavaScript from the library's own functions: one text of many small programs.

A run is an array of numbers: the leaves of `rules.State`, then those of a sample, then the numbers that a visitor
chooses (`CHOSEN`). `draw` puts a sample there, and each move of a rule changes the state in place. Programs of steps do
not know the objective. They call three functions of two logits and their derivatives, which each objective has.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _javascript import PRELUDE, Program, outside, printed
from _methods import OBJECTIVES, ORDERS, SYNC_PERIOD, UNROLLED_STEPS, Logit, undecided_losses
from article_stream import article_players, article_stream

from slantgan_jax import (
    Game,
    Objective,
    Players,
    Rule,
    distributions,
    faces,
    fields,
    games,
    generate,
    networks,
    penalties,
    rules,
    slanted_land,
)
from slantgan_jax.analysis import distances, equilibria
from slantgan_jax.networks import to_vector
from slantgan_jax.numerics import seeded_key

OPTIONS = ("noise=", "logit=")
"""How the text of a way begins that is an option of the game."""

CHOSEN = ("generator rate", "discriminator rate", "momentum", "R1", "WGAN-GP", "strength")
"""The numbers that a visitor chooses, in the order in which a run has them."""

NODES = 8
"""Latents, for each face, over which the page takes the mean of the Jacobian of a step."""

PRODUCT = {"low": 0.1, "high": 1000.0, "start": 10.0}
AHEAD = {"low": 0.1, "high": 100.0, "start": 1.0}
SHARE = {"low": 0.01, "high": 1.0, "start": 0.5}

Chosen = dict[str, jax.Array]


class Way(NamedTuple):
    """A way to play, as the page offers it.

    Attributes:
      text: of the lines of Python: the field, or the whole rule, of the rates `{r}` and the strength `{s}`.
      field: of the rates and the strength.
      optimizer: of a rate and the momentum, in the place of gradient descent.
      rule: of the order of moves, the optimizers, the field, and what is chosen.
      logit: D's logit of images.
      noisy: whether the strength is the deviation of instance noise.
      clips: whether D's weights are clipped to the strength.
      strength: the ends of its scale, and where it starts; None if it has none.
      smooth: whether a step has a derivative at an equilibrium, where D is 0.
      momentum: whether its optimizers have the momentum that a visitor chooses.
      orders: the names of orders in which it can be played.
    """

    text: str = ""
    field: Callable[[Any, Any], Any] = lambda rates, strength: fields.gradients
    optimizer: Callable[[Any, Any], optax.GradientTransformation] = lambda rate, beta: optax.sgd(rate, momentum=beta)
    rule: Callable[[Any, Any, Any, Chosen], Rule] = lambda order, optimizers, field, chosen: order(optimizers, field)
    logit: Logit = networks.logit
    noisy: bool = False
    clips: bool = False
    strength: dict[str, float] | None = None
    smooth: bool = True
    momentum: bool = True
    orders: tuple[str, ...] = ("tutorial", "simultaneous", "alternating")


def _scaled(factor: Any, rates: Players) -> Players:
    return Players(factor * rates.generator, factor * rates.discriminator)


WAYS: dict[str, Way] = {
    "plain": Way(),
    "Adam": Way("optax.adam({r}, b1={m})", optimizer=lambda rate, beta: optax.adam(rate, b1=beta), smooth=False),
    "optimistic": Way(
        "optax.optimistic_gradient_descent({r})",
        optimizer=lambda rate, _: optax.optimistic_gradient_descent(rate),
        momentum=False,
    ),
    "extragradient": Way(
        "fields.extragradient(Players({s} * {g}, {s} * {d}))",
        lambda rates, multiple: fields.extragradient(_scaled(multiple, rates)),
        strength={"low": 0.1, "high": 10.0, "start": 1.0},
    ),
    "past extragradient": Way(
        "rules.past_extragradient({o}, Players({g}, {d}))",
        rule=lambda order, optimizers, field, chosen: rules.past_extragradient(optimizers, rates_of(chosen), field),
        orders=("simultaneous",),
    ),
    "lookahead": Way(
        f"rules.lookahead({{rule}}, {SYNC_PERIOD}, {{s}})",
        rule=lambda order, optimizers, field, chosen: rules.lookahead(
            order(optimizers, field), SYNC_PERIOD, chosen["strength"]
        ),
        strength=SHARE,
    ),
    "heun": Way("fields.heun(Players({g}, {d}))", lambda rates, _: fields.heun(rates)),
    "rk4": Way("fields.rk4(Players({g}, {d}))", lambda rates, _: fields.rk4(rates)),
    "consensus": Way("fields.consensus({s})", lambda _, gamma: fields.consensus(gamma), strength=PRODUCT),
    "sga": Way("fields.sga({s})", lambda _, strength: fields.sga(strength), strength=PRODUCT),
    "lola": Way("fields.lola({s})", lambda _, ahead: fields.lola(ahead), strength=AHEAD),
    "sos": Way("fields.sos({s})", lambda _, ahead: fields.sos(ahead), strength=AHEAD),
    "unrolled": Way(
        f"fields.unrolled({UNROLLED_STEPS}, {{s}} / {UNROLLED_STEPS})",
        lambda _, ahead: fields.unrolled(UNROLLED_STEPS, ahead / UNROLLED_STEPS),
        strength=AHEAD,
    ),
    "cgd": Way("fields.cgd(Players({g}, {d}))", lambda rates, _: fields.cgd(rates)),
    "instance noise": Way(
        "noise={s}",
        noisy=True,
        strength={"low": 0.01, "high": 3.0, "start": 0.3},
    ),
    "spectral norm": Way(
        "logit=penalties.spectral(networks.logit)", logit=penalties.spectral(networks.logit), smooth=False
    ),
    "weight clipping": Way(
        "penalties.clipped(optax.sgd({d}, momentum={m}), {s})",
        clips=True,
        strength={"low": 0.01, "high": 3.0, "start": 0.3},
    ),
}
"""What `METHODS` has, but for what an option of its own is here (momentum, R1, WGAN-GP), and for averages, which leave
the play as it is."""

OF_IMAGES = {"dirac": ("spectral norm",), "bilinear": ("spectral norm", "instance noise")}
"""Ways that a game does not have, as it has no images, or no weights of several numbers."""


def rates_of(chosen: Chosen) -> Players:
    return Players(chosen["generator rate"], chosen["discriminator rate"])


OUTSIDE = Objective(
    discriminator=(lambda real, fake: outside("d", real, fake), lambda real, fake: outside("e", real, fake)),
    generator=lambda real, fake: outside("g", real, fake),
)
"""An objective that the page fills in: `g` is G's loss, `d` and `e` are the two terms of D's."""


def game_of(place: str, way: Way, chosen: Chosen) -> Game:
    """The game of a place, as a way plays it."""
    if place == "bilinear":
        return games.bilinear()
    noise = chosen["strength"] if way.noisy else 0.0
    if place == "dirac":
        plain = games.dirac(OUTSIDE, noise=noise)
    else:
        plain = slanted_land(objective=OUTSIDE, noise=noise, logit=way.logit)
    return games.penalized(plain, penalties.r1(chosen["R1"]), penalties.wgan_gp(chosen["WGAN-GP"]))


def rule_of(way: Way, order: str, chosen: Chosen) -> Rule:
    rates, strength = rates_of(chosen), chosen["strength"]
    optimizers = Players(*(way.optimizer(rate, chosen["momentum"]) for rate in rates))
    if way.clips:
        optimizers = Players(optimizers.generator, penalties.clipped(optimizers.discriminator, strength))
    return way.rule(ORDERS[order], optimizers, way.field(rates, strength), chosen)


def chosen_of(numbers: Any) -> Chosen:
    return dict(zip(CHOSEN, numbers, strict=True))


def start(seed: jax.Array) -> tuple[Any, jax.Array]:
    """The players with which `train(jax.random.key(seed), ...)` starts, and the two words of the key of its samples."""
    key_init, key_latent = jax.random.split(seeded_key(seed))
    return slanted_land().init(key_init), jax.random.key_data(key_latent)


def shown(logit: Logit, players: Players, latent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The image of a latent, and D's logit of it."""
    image = generate(players.generator, latent)
    return faces.stack(image), logit(players.discriminator, image)


def judged(logit: Logit, players: Players, image: jax.Array) -> jax.Array:
    """D's logit of an image `[4]`."""
    return logit(players.discriminator, faces.unstack(image))


def measured(logit: Logit, players: Players) -> dict[str, jax.Array]:
    """Expected losses without noise, distance of the mean images, and where the run is in the plane of the slant.

    The plane's coordinates are e · (mean image - mean face) and e · u, for e = (1, -1, -1, 1) / 2. The page reads these
    numbers by their places: JAX sorts the names of a dictionary, and the letters keep the order.
    """
    slant = jnp.array([0.5, -0.5, -0.5, 0.5], jnp.float32)
    losses = games.expected_losses(slanted_land(objective=OUTSIDE, logit=logit), players)
    mean = faces.stack(distances.mean_image(players.generator))
    return {
        "a generator loss": losses.generator,
        "b discriminator loss": losses.discriminator,
        "c distance": distance(players),
        "d image": slant @ (mean - jnp.asarray(faces.FACES.mean(0), jnp.float32)),
        "e slope": slant @ faces.stack(players.discriminator.weights),
    }


def distance(players: Players) -> jax.Array:
    """The distance of the mean images alone, which the page takes at each epoch."""
    return distances.mean_gap(players.generator, faces.unstack(faces.FACES))


def of_discriminator(logit: Logit) -> list[Program]:
    """The programs that look at players with D's logit of a way."""
    return [
        printed("shown", partial(shown, logit), _PLAYERS, np.float32(0)),
        printed("judged", partial(judged, logit), _PLAYERS, np.zeros(4, np.float32)),
        printed("measured", partial(measured, logit), _PLAYERS),
    ]


def resting(players: Players) -> Players:
    """The equilibrium with the same weights of G."""
    return equilibria.project(players, faces.unstack(faces.FACES), OUTSIDE)


def tangents(players: Players) -> jax.Array:
    """Directions of the surface of equilibria at the weights of G, `[5, 13]`; the last is c's, if that is free."""
    along = equilibria.tangents(players.generator.weights, faces.unstack(faces.FACES), free_logit=True)
    return jax.vmap(to_vector)(along)


_PLAYERS = jax.eval_shape(lambda: slanted_land().init(jax.random.key(0)))
_PAIR = Players(np.float32(0), np.float32(0))


def programs_of(place: str, way: Way, order: str) -> tuple[list[Program], dict[str, Any]]:
    """The programs of a way in an order: its moves and its samples; and what the page has to know of them."""
    numbers, players = [np.float32(1)] * len(CHOSEN), _PLAYERS if place == "faces" else _PAIR

    def state_of(players: Any, chosen: Any) -> Any:
        return rule_of(way, order, chosen_of(chosen)).init(players)

    def sample_of(words: Any, step: Any, chosen: Any) -> Any:
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        return rule_of(way, order, chosen_of(chosen)).sample(game_of(place, way, chosen_of(chosen)), key, step)

    init = printed("init", state_of, players, numbers)
    draw = printed("draw", sample_of, np.zeros(2, np.uint32), np.uint32(0), numbers)
    state, sample = init.result, draw.result
    count = len(rule_of(way, order, chosen_of(numbers)).moves(game_of(place, way, chosen_of(numbers))))

    def moved(number: int, state: Any, sample: Any, chosen: Any) -> Any:
        rule = rule_of(way, order, chosen_of(chosen))
        return rule.moves(game_of(place, way, chosen_of(chosen)))[number](state, sample)

    moves = [printed(f"m{number}", partial(moved, number), state, sample, numbers) for number in range(count)]
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    about = {
        "players": len(jax.tree.leaves(players)),
        "state": len(paths),
        "step": paths.index(".step"),
        "counts": [
            place for place, leaf in enumerate(jax.tree.leaves(state)) if not jnp.issubdtype(leaf.dtype, np.floating)
        ],
        "sample": len(jax.tree.leaves(sample)),
        "places": {
            jax.tree_util.keystr(path).lstrip("."): place
            for place, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(sample))
        },
        "moves": count,
        "period": rule_of(way, order, chosen_of(numbers)).period,
    }
    return [*moves, init, draw], about


def objective_code(objective: Objective, used: set[str]) -> str:
    """The functions of an objective that programs use: those of `OUTSIDE`."""
    terms = dict(zip("gde", (objective.generator, *objective.discriminator, _none)[:3], strict=False))
    return "\n".join(_derivative(name, terms[name[0]]) for name in sorted(used))


def _none(real: Any, fake: Any) -> jax.Array:
    return jnp.zeros_like(fake)


def _derivative(name: str, term: Callable[[Any, Any], Any]) -> str:
    function = term
    for place, times in enumerate(map(int, name.split("_")[1])):
        for _ in range(times):
            function = jax.grad(function, place)
    program = printed("x", function, np.float32(0), np.float32(0))
    body = program.code.split("{\n", 1)[1].rsplit("o[0]=", 1)
    return f"const {name}=(a,b)=>{{{body[0]}return {body[1].rsplit(';', 1)[0]}}};".replace("i[0]", "a").replace(
        "i[1]", "b"
    )


def called(code: str) -> set[str]:
    """The names of the functions of `OUTSIDE` that a text calls."""
    return {f"{name}_{orders}" for name, orders in re.findall(r"\b([gde])_(\d\d)\(", code)}


def pieces() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """All texts of the page by name, with what the page has to know of each."""
    common = [
        printed("start", start, np.uint32(0)),
        *of_discriminator(networks.logit),
        printed("distance", distance, _PLAYERS),
        printed("resting", resting, _PLAYERS),
        printed("tangents", tangents, _PLAYERS),
    ]
    yield "common", _joined(common), {}
    for name, way in WAYS.items():
        if way.logit is not networks.logit:
            yield f"common of {name}", _joined(of_discriminator(way.logit)), {}
    for place in ("faces", "dirac", "bilinear"):
        for name, way in WAYS.items():
            for order in way.orders:
                if name not in OF_IMAGES.get(place, ()) and (place, order) != ("bilinear", "tutorial"):
                    programs, about = programs_of(place, way, order)
                    yield f"{place}: {name}, {order}", _joined(programs), about


def _joined(programs: list[Program]) -> str:
    return "\n".join(program.code for program in programs)


def page_data() -> dict[str, Any]:
    """All that the page is given: code by name, objectives, ways, faces, nodes, and the article's numbers."""
    code, about = {}, {}
    for name, text, known in pieces():
        code[name], about[name] = text, known
    used = set().union(*map(called, code.values()))
    stream = article_stream(42, 5000)
    with jax.enable_x64(True):
        nodes, weights = distributions.uniform_quadrature(NODES)
    return {
        "prelude": PRELUDE,
        "code": code,
        "about": about,
        "objectives": {name: objective_code(objective, used) for name, objective in OBJECTIVES.items()},
        "free_logit": [name for name, objective in OBJECTIVES.items() if equilibria.logit_is_free(objective)],
        "undecided": {name: undecided_losses(name) for name in OBJECTIVES},
        "one_term": [name for name, objective in OBJECTIVES.items() if len(objective.discriminator) == 1],
        "ways": {
            name: {
                "text": way.text, "strength": way.strength, "orders": way.orders, "smooth": way.smooth,
                "momentum": way.momentum, "of_game": way.text[:6] in OPTIONS,
            }
            for name, way in WAYS.items()
        },
        "faces": faces.FACES,
        "nodes": np.asarray(nodes, float),
        "weights": np.asarray(weights, float),
        "article": {
            "players": to_vector(article_players(stream)), "latents": stream.latents, "shown": stream.shown,
        },
    }  # fmt: skip
