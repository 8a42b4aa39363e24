"""The reproductions, curve by curve, against plain loops of NumPy that use nothing of the library."""

import _finite_sum
import chavdarova_2021
import daskalakis_2018
import gidel_2019
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from _curves import path

pytestmark = pytest.mark.usefixtures("x64", "quick_compile")

CLOSE = 1e-10
"""Both round each operation to 1e-16 of its result, but not in the same order."""


def assert_close(found, expected, floor):
    """To `CLOSE` of each value, and to rounding where values fall below `floor`."""
    np.testing.assert_allclose(found, expected, rtol=CLOSE, atol=floor)


# Gidel 2019: x is θ, y is φ; a step is a function of a dictionary of numbers.


def simultaneous(s):
    x, y = s["x"] - 0.1 * s["y"], s["y"] + 0.1 * s["x"]
    return s | {"x": x, "y": min(max(y, -1), 1)}


def discriminator_first(s):
    y = min(max(s["y"] + 0.1 * s["x"], -1), 1)
    return s | {"x": s["x"] - 0.1 * y, "y": y}


def generator_first(s):
    x = s["x"] - 0.1 * s["y"]
    return s | {"x": x, "y": min(max(s["y"] + 0.1 * x, -1), 1)}


def adam(correct, s):
    gx, gy, count = s["y"], -s["x"], s.get("count", 0) + 1
    vx, vy = 0.99 * s.get("vx", 0) + 0.01 * gx**2, 0.99 * s.get("vy", 0) + 0.01 * gy**2
    by = 1 - 0.99**count if correct else 1
    x = s["x"] - 0.01 * gx / (np.sqrt(vx / by) + 1e-8)
    y = s["y"] - 0.01 * gy / (np.sqrt(vy / by) + 1e-8)
    return {"x": x, "y": min(max(y, -1), 1), "vx": vx, "vy": vy, "count": count}


def past(s):
    ahead = s.get("ahead", (s["x"], s["y"]))
    x, y = s["x"] - 0.5 * ahead[1], min(max(s["y"] + 0.5 * ahead[0], -1), 1)
    return {"x": s["x"] - 0.5 * y, "y": min(max(s["y"] + 0.5 * x, -1), 1), "ahead": (x, y)}


def extragradient(project, s):
    x, y = s["x"] - 0.6 * s["y"], s["y"] + 0.6 * s["x"]
    y = min(max(y, -1), 1) if project else y
    return {"x": s["x"] - 0.6 * y, "y": min(max(s["y"] + 0.6 * x, -1), 1)}


def looped(step, count):
    s = {"x": 2.0, "y": 0.5}
    rows = [(s["x"], s["y"])]
    for _ in range(count):
        s = step(s)
        rows.append((s["x"], s["y"]))
    return np.array(rows)


def averages(weighted, count):
    x, y = 2.0, 0.5
    points, rates = [(x, y)], 2 / np.sqrt(1 + np.arange(count + 1))
    for rate in rates[:count]:
        x, y = x - rate * y, min(max(y + rate * x, -1), 1)
        points.append((x, y))
    weights = rates if weighted else np.ones(count + 1)
    return (weights[:, None] * points).cumsum(0) / weights.cumsum()[:, None]


GIDEL = {
    "code": {
        "simultaneous": lambda n: looped(simultaneous, n),
        "alternating": lambda n: looped(discriminator_first, n),
        "Adam": lambda n: looped(lambda s: adam(False, s), n),
        "averaging": lambda n: averages(False, n),
        "past extragradient": lambda n: looped(past, n),
        "extragradient": lambda n: looped(lambda s: extragradient(False, s), n),
    },
    "paper": {
        "alternating": lambda n: looped(generator_first, n),
        "Adam": lambda n: looped(lambda s: adam(True, s), n),
        "averaging": lambda n: averages(True, n),
        "extragradient": lambda n: looped(lambda s: extragradient(True, s), n),
    },
}


def names_of(ways):
    return [(source, name) for source, own in ways.items() for name in own]


def test_every_method_of_every_script_has_a_loop():
    assert names_of(gidel_2019.ways()) == names_of(GIDEL)


@pytest.mark.parametrize(("source", "name"), names_of(GIDEL))
def test_gidel(source, name):
    way = gidel_2019.ways()[source][name]
    found = jax.jit(lambda: path(gidel_2019.GAME, way, 100, gidel_2019.START))()
    assert_close(np.stack(found, -1), GIDEL[source][name](100), 1e-15)


# Daskalakis 2018: every row of w and θ, of G's steps and those between.


def descended(count, penalty=0.0, momentum=0.0, every=1, ahead=False, bound=np.inf, at_players=True):
    v, w, theta = np.array([3.0, 4.0]), np.full(2, 1.4), np.full(2, 1.7)
    m, n = (w, -theta) if at_players else (np.zeros(2), np.zeros(2))
    rows = [(theta, w)]
    for t in range(1, count * every + 1):
        place = w + momentum * m if ahead else w
        m = momentum * m + 0.1 * (v - theta) - 0.2 * penalty * place * (1 - 1 / np.linalg.norm(place))
        following = np.clip(w + m, -bound, bound)
        if t % every == 0:
            n = momentum * n + 0.1 * w
            theta = theta + n
        w = following
        rows.append((theta, w))
    return np.array(rows)


def optimistic(count):
    v, w, theta = np.array([3.0, 4.0]), np.full(2, 1.4), np.full(2, 1.7)
    rows, before = [(theta, w)], (theta, w)
    for _ in range(count):
        now = theta, w
        theta, w = theta + 0.2 * w - 0.1 * before[1], w + 0.2 * (v - theta) - 0.1 * (v - before[0])
        before = now
        rows.append((theta, w))
    return np.array(rows)


DASKALAKIS = {
    "optimism": {},
    "descent": {"bound": 1.0},
    "penalty": {"penalty": 0.1},
    "momentum": {"momentum": 0.5, "bound": 1.0},
    "momentum, penalty, 15 steps of D": {"penalty": 0.1, "momentum": 0.2, "every": 15},
    "Nesterov, penalty, 15 steps of D": {"penalty": 1.0, "momentum": 0.2, "every": 15, "ahead": True},
}
TEXT = {name: options | {"at_players": False} for name, options in DASKALAKIS.items() if "momentum" in options}
TEXT = {"descent": {}} | TEXT
PRINTED = {
    "optimism": [2.99125639, 3.98489638],
    "descent": [3.48000545, 5.07760794],
    "penalty": [1.77182765, 2.26763725],
    "momentum": [1.97080644, 2.50190771],
    "momentum, penalty, 15 steps of D": [2.7099578, 4.13706972],
    "Nesterov, penalty, 15 steps of D": [3.21714755, 3.84955942],
}
"""The last place of G that the published notebook prints. It has one step less, for its first row is the start."""


def test_every_method_of_daskalakis_has_a_loop():
    assert names_of(daskalakis_2018.ways()) == names_of({"code": DASKALAKIS, "text": TEXT})


@pytest.mark.parametrize(
    ("source", "name"),
    [
        pytest.param(*own, marks=pytest.mark.slow if own[0] == "text" or "15" in own[1] else [])
        for own in names_of({"code": DASKALAKIS, "text": TEXT})
    ],
)
def test_daskalakis(source, name):
    game, way, every = daskalakis_2018.ways()[source][name]
    found = np.stack(jax.jit(lambda: path(game, way, 1000 * every, daskalakis_2018.START))(), 1)
    options = (DASKALAKIS if source == "code" else TEXT)[name]
    expected = optimistic(1000) if name == "optimism" else descended(1000, **options)
    # Coordinates pass through 0 as sums of numbers of size 1. With Nesterov's momentum w itself comes near to 0, where
    # the direction of the penalty multiplies rounding by a million; then the floor is the size of the curve.
    assert_close(found, expected, CLOSE * np.abs(expected).max() if "Nesterov" in name else 1e-12)
    if source == "code":
        last = -3 if name == "optimism" else -2  # the notebook's optimism stands still at its first step
        np.testing.assert_allclose(found[last, 0], PRINTED[name], atol=5e-9)  # eight digits are printed


# Chavdarova 2021: `[runs, 100]` numbers in each row of the five runs.


def notebook_problems():
    """Starts and rows aᵢ, bᵢ of the first notebook, drawn from NumPy's global generator in its order."""
    np.random.seed(3)

    def vector(size):
        return 1 / np.sqrt(size) * np.random.randn(100)

    def two():
        sizes = [int(np.random.randint(100**2)) + 1 for _ in range(2)]
        return vector(sizes[0]), vector(sizes[1])

    starts = [two() for _ in range(5)]
    rows = []
    for _ in range(5):
        a, b = zip(*[two() for _ in range(100)], strict=True)
        rows.append((np.array(a), np.array(b)))
    return starts, rows


def test_the_problems_are_those_of_the_notebooks():
    starts, rows = notebook_problems()
    found = _finite_sum.batch_problems()
    for run in range(5):
        np.testing.assert_array_equal(
            [*found.start.generator[run : run + 1], found.start.discriminator[run]], starts[run]
        )
        np.testing.assert_array_equal([found.a[run], found.b[run]], rows[run])
    found = _finite_sum.minibatch_problems()
    for seed in range(5):
        np.random.seed(seed)
        x, y = (1 / np.sqrt(100) * np.random.randn(100) for _ in range(2))
        np.testing.assert_array_equal([found.start.generator[seed], found.start.discriminator[seed]], [x, y])
        for i in range(100):
            a, b = (1 / np.sqrt(100) * np.random.randn(100) for _ in range(2))
            np.testing.assert_array_equal([found.a[seed, i], found.b[seed, i]], [a, b])


def gap(x, y, x_star, y_star):
    return np.linalg.norm(x - x_star, axis=1) + np.linalg.norm(y - y_star, axis=1)


def batch_loop(problem, steps, rate=0.3, ahead=None, alpha=None, late=True, extra=False):
    """`ahead`: from (a, b, x, y) to the places at which each player sees the other."""
    a, b = problem.a.sum(1), problem.b.sum(1)
    x, y = problem.start
    slow, rows = (x, y), [gap(x, y, -b, -a)]
    for t in range(steps):
        if alpha is not None and late and t > 0 and t % 6 == 0:
            slow = x, y = slow[0] + alpha * (x - slow[0]), slow[1] + alpha * (y - slow[1])
        gx, gy = y + a, x + b
        if extra:
            gx, gy = (y + rate * gy) + a, (x - rate * gx) + b
        if ahead:
            gx, gy = ahead(a, b, x, y)
        x, y = x - rate * gx, y + rate * gy
        if alpha is not None and not late and (t + 1) % 6 == 0:
            slow = x, y = slow[0] + alpha * (x - slow[0]), slow[1] + alpha * (y - slow[1])
        rows.append(gap(x, y, -b, -a))
    return np.array(rows).T


def y_unrolled(through, a, b, x, y):
    """x's slope of x·(y + 6γ(x + b)) + a·x + b·(y + 6γ(x + b)), of which `through` keeps what comes from the steps."""
    y_ahead = y
    for _ in range(6):
        y_ahead = y_ahead + 0.3 * (x + b)
    return y_ahead + a + through * 6 * 0.3 * (x + b), x + b


def both_unrolled(through, a, b, x, y):
    gx, _ = y_unrolled(through, a, b, x, y)
    x_ahead = x
    for _ in range(6):
        x_ahead = x_ahead - 0.3 * (y + a)
    return gx, x_ahead + b - through * 6 * 0.3 * (y + a)


def batch_options(source, name):
    options = {"through": source == "paper"}
    if name.startswith("lookahead"):
        return (
            {"extra": True, "alpha": 0.5, "late": source == "code"}
            if "extra" in name
            else {"alpha": float(name[-3:]), "late": source == "code"}
        )
    return {
        "descent": {},
        "descent, γ = 0.0001": {"rate": 1e-4},
        "extragradient": {"extra": True},
        "x sees y unrolled": {"ahead": lambda *s: y_unrolled(options["through"], *s)},
        "both unrolled": {"ahead": lambda *s: both_unrolled(options["through"], *s)},
    }[name]


QUICK = "extragradient", "lookahead, α = 0.5", "both unrolled"
BATCH = names_of(chavdarova_2021.batch_rules())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "name"), [pytest.param(*own, marks=[] if own[1] in QUICK else pytest.mark.long) for own in BATCH]
)
def test_chavdarova_in_full_batch(source, name):
    rule, cost = chavdarova_2021.batch_rules()[source][name]
    problems = _finite_sum.batch_problems()
    found = _finite_sum.distances(rule, 800 // cost, problems)
    expected = batch_loop(problems, 800 // cost, **batch_options(source, name))
    assert_close(found, expected, 1e-13)  # rounding of x*, whose numbers have the size 1


def minibatches(rule, size, steps):
    """What the five runs draw for each read of the rule: zeros and ones `[steps, runs, 100]`."""
    game = _finite_sum.game_of(jax.tree.map(lambda leaf: leaf[0], _finite_sum.minibatch_problems()), size)

    def drawn(step, seed):
        sample = rule.sample(game, jax.random.split(jax.random.key(seed))[1], step)
        return jax.tree.map(jnp.float64, tuple(own.terms for own in (sample if len(rule.reads) > 1 else (sample,))))

    return jax.jit(jax.vmap(jax.vmap(drawn, (None, 0)), (0, None)))(jnp.arange(steps), jnp.arange(5))


class Adam:
    """Moments of one player in five runs; `correct` is whether the second one is corrected."""

    def __init__(self, rate, beta, correct, halves):
        self.rate, self.beta, self.correct, self.halves = rate, beta, correct, halves
        self.first = self.second = 0.0
        self.count = 0

    def __call__(self, slope):
        self.first = self.beta * self.first + (1 - self.beta) * slope
        self.second = 0.999 * self.second + (1 - 0.999) * slope**2
        mean = self.first / (1 - self.beta ** (self.count // self.halves + 1))
        self.count += 1
        square = self.second / (1 - 0.999**self.count) if self.correct else self.second
        return self.rate * mean / (np.sqrt(square) + 1e-8)


def minibatch_loop(problem, draws, steps, updates, extra, period=None):
    """Descent by the functions `updates` of a slope; with `extra` each step is made from the place ahead."""
    x, y = problem.start
    x_star, y_star = -problem.b.sum(1), -problem.a.sum(1)
    slow, rows = (x, y), [gap(x, y, x_star, y_star)]
    for t in range(steps):
        if period is not None and t > 0 and t % period == 0:
            slow = x, y = slow[0] + 0.3 * (x - slow[0]), slow[1] + 0.3 * (y - slow[1])
        seen = [draws[min(number, len(draws) - 1)][t] for number in range(3)]
        sums = [[np.einsum("ri,rid->rd", own, rows_of) for rows_of in (problem.a, problem.b)] for own in seen]
        dx, dy = updates[0](seen[0] * y + sums[0][0]), updates[1](seen[0] * x + sums[0][1])
        if extra:
            ahead = x - dx, y + dy
            dx = updates[0](seen[1] * ahead[1] + sums[1][0])
            dy = updates[1](seen[2] * ahead[0] + sums[2][1])
        x, y = x - dx, y + dy
        rows.append(gap(x, y, x_star, y_star))
    return np.array(rows).T


def minibatch_updates(source, name, size):
    """The updates of both players, and the other options of the loop, from the settings of the notebook."""
    rate, period, beta, extra_rate, extra_beta, plain_rate = {
        100: (0.2, 15, -0.9, 0.02, -0.6, 0.8),
        64: (0.005, 450, -0.6, 0.01, -0.2, 0.005),
        16: (0.01, 1500, -0.3, 0.005, 0.0, 0.005),
        4: (0.03, 2350, -0.1, 0.01, 0.0, 0.04),
        1: (0.05, 2450, 0.0, 0.005, 0.0, 0.005),
    }[size]
    if name == "lookahead":
        return [lambda slope: rate * slope] * 2, {"extra": False, "period": period}
    if name == "extragradient":
        return [lambda slope: plain_rate * slope] * 2, {"extra": True}
    correct = source == "paper"
    if name == "Adam":
        return [Adam(0.005, beta, correct, 1) for _ in range(2)], {"extra": False}
    return [Adam(extra_rate, extra_beta, correct, 1 if correct else 2) for _ in range(2)], {"extra": True}


CHAOTIC = {("code", "Extra-Adam"): 1000, ("paper", "Extra-Adam"): 100}
"""With all terms, the loop of NumPy departs from itself, started 1e-15 away, by more than `CLOSE` after 1,400 and after
200 steps. Until then the curves agree."""
QUICKLY = [(100, "code", "lookahead", 600), (4, "code", "Extra-Adam", 600), (16, "paper", "Adam", 300)]
COMPLETE = [
    pytest.param(int(size), source, name, 20_000, marks=pytest.mark.long)
    for size in chavdarova_2021.SIZES
    for source, name in names_of(chavdarova_2021.minibatch_rules(size))
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "source", "name", "passes"), [*QUICKLY, *COMPLETE])
def test_chavdarova_in_minibatches(size, source, name, passes):
    rule, cost = chavdarova_2021.minibatch_rules(str(size))[source][name]
    steps = min(passes // cost, CHAOTIC.get((source, name), passes) if size == 100 else passes)
    problems = _finite_sum.minibatch_problems()
    found = _finite_sum.distances(rule, steps, problems, size)
    draws = jax.tree.map(np.asarray, minibatches(rule, size, steps))
    assert {int(own.sum()) for own in draws[0][:, 0]} == {size}
    updates, options = minibatch_updates(source, name, size)
    assert_close(found, minibatch_loop(problems, draws, steps, updates, **options), 1e-12)  # rounding of x*, of size 10
