"""The page: its engine in Node.js against JAX, and the page itself in headless Chromium."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import playground
import pytest
from _methods import METHODS
from _page import WAYS, chosen_of, rule_of
from tutorial import trained

from slantgan_jax import Players, faces, games, generate, losses, networks, penalties, slanted_land, train
from slantgan_jax.analysis import distances, equilibria, spectra

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page"), pytest.mark.usefixtures("quick_compile")]
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
SETTINGS = {
    "seed": 3, "rateG": 0.01, "rateD": 0.01, "epochs": 1000, "objective": "non-saturating", "penalty": "none",
    "penaltyStrength": 0.1, "order": "tutorial", "way": "plain", "strength": 1.0, "momentum": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The folder of the page, built once, or that which the variable PLAYGROUND names."""
    if built := os.environ.get("PLAYGROUND"):
        return Path(built)
    return playground.parse(["--out", str(tmp_path_factory.mktemp("page") / "page"), "--no-open"])


def node(page, script):
    """What a script prints as JSON; it has the engine `E` and its data."""
    code = f"""
const fs = require("fs");
const read = name => fs.readFileSync({json.dumps(str(page))} + "/" + name, "utf8");
const text = read("programs.js") + read("engine.js") + "return unpacked(PROGRAMS).then(d => [engine(d), d])";
new Function(text)().then(([E, data]) => console.log(JSON.stringify((() => {{ {script} }})())));
"""
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    return json.loads(done.stdout)


def numbers_of(settings):
    penalty = settings["penalty"]
    strengths = [settings["penaltyStrength"] * (penalty == name) for name in ("R1", "WGAN-GP")]
    rates = settings["rateG"], settings["rateD"]
    return chosen_of(np.float32([*rates, settings["momentum"], *strengths, settings["strength"]]))


def in_jax(settings):
    """The players of the same run by the library, `[13]`, with the game as a user would make it."""
    chosen, way = numbers_of(settings), WAYS[settings["way"]]
    noise = chosen["strength"] if way.noisy else 0.0
    game = slanted_land(objective=losses.OBJECTIVES[settings["objective"]], noise=noise, logit=way.logit)
    added = {"R1": penalties.r1, "WGAN-GP": penalties.wgan_gp}.get(settings["penalty"])
    game = games.penalized(game, added(np.float32(settings["penaltyStrength"]))) if added else game
    rule = rule_of(way, settings["order"], chosen)
    run = jax.jit(lambda key: train(key, game, rule, settings["epochs"] * 5).state.players)
    return np.asarray(networks.to_vector(run(jax.random.key(settings["seed"]))))


def with_way(name, order):
    scale = WAYS[name].strength
    return SETTINGS | {"way": name, "order": order, "strength": scale["start"] if scale else 1.0}


FAR = {"lola": 2e-3, "sos": 2e-3, "unrolled": 2e-3, "Adam": 2e-3}
"""Of ways whose runs part from each other: how far apart rounding leaves them after 5,000 steps, as far as measured."""


@needs_node
@pytest.mark.parametrize("name", WAYS)
def test_a_run_of_every_way_is_that_of_the_library(page, name):
    """After 5,000 steps, in the first order that a way has; both round to float32, not in the same places."""
    settings = with_way(name, WAYS[name].orders[0])
    found = node(page, f"return new E.Run({json.dumps(settings)}).advance(5000).players()")
    np.testing.assert_allclose(found, in_jax(settings), rtol=0, atol=FAR.get(name, 1e-4))


@needs_node
@pytest.mark.long
@pytest.mark.parametrize(
    "changed",
    [{"objective": name} for name in losses.OBJECTIVES if name != "relativistic"]
    + [{"objective": "relativistic", "order": "alternating"}]
    + [{"penalty": "R1"}, {"penalty": "WGAN-GP"}, {"momentum": -0.5}, {"order": "simultaneous"}, {"rateD": 0.03}],
    ids=str,
)
def test_a_run_of_every_option_is_that_of_the_library(page, changed):
    settings = SETTINGS | changed
    found = node(page, f"return new E.Run({json.dumps(settings)}).advance(5000).players()")
    np.testing.assert_allclose(found, in_jax(settings), rtol=0, atol=1e-4)


@needs_node
def test_players_and_latents_of_a_seed_are_exact(page):
    script = """
      const r = new E.Run(S), latents = [];
      const players = r.players();
      for (let t = 0; t < 20; t++) { r.draw(); latents.push(r.sample("latent")); r.count(); }
      return [players, latents];
    """
    players, latents = node(page, f"const S = {json.dumps(SETTINGS | {'seed': 2**32 - 1})}; {script}")
    key_init, key_latent = jax.random.split(jax.random.wrap_key_data(np.array([0, 2**32 - 1], np.uint32)))
    expected = networks.to_vector(slanted_land().init(key_init))
    np.testing.assert_allclose(players, expected, rtol=3e-7)  # erf⁻¹ in the last places
    np.testing.assert_array_equal(np.float32(latents), np.asarray(jax.random.uniform(key_latent, (20,))))


@needs_node
def test_the_article_is_the_first_preset(page):
    found = node(
        page,
        f"const r = E.trained({json.dumps(SETTINGS | {'seed': 'article'})}).run;"
        "return [r.players(), data.article.shown.map(z => r.shown(Math.fround(z)).slice(0, 4))]",
    )
    run = trained(42, 0.01, 1000, "numpy")
    np.testing.assert_allclose(found[0], run["trajectory"][-1], rtol=0, atol=2e-5)
    np.testing.assert_allclose(found[1], run["generated"], rtol=0, atol=2e-5)


@needs_node
def test_every_state_can_be_reached_again(page):
    script = """
      const r = new E.Run(S).advance(4321), wanted = r.x.slice().join();
      r.to(17); r.to(4999); r.to(4321);
      return [wanted === r.x.slice().join(), new E.Run(S).advance(17).players().join() === r.to(17).players().join()];
    """
    for name in ("plain", "lookahead", "Adam"):
        settings = with_way(name, "tutorial")
        assert node(page, f"const S = {json.dumps(settings)}; {script}") == [True, True]


PER_SAMPLE = {"consensus": 2e-3, "extragradient": 1e-4}
"""Of ways whose field is not linear in the losses: how far its mean over samples is from the field of mean losses."""


@needs_node
@pytest.mark.parametrize(
    ("changed", "rate"),
    [
        ({}, 0.3),
        ({"order": "simultaneous"}, 0.05),
        ({"objective": "Wasserstein", "order": "simultaneous"}, 0.001),
        ({"objective": "Wasserstein", "order": "alternating"}, 0.001),
        ({"objective": "Wasserstein"}, 0.3),
        ({"objective": "relativistic", "order": "alternating", "momentum": -0.5}, 0.1),
        ({"way": "optimistic", "order": "simultaneous"}, 0.05),
        ({"way": "optimistic", "order": "alternating"}, 0.05),
        ({"way": "past extragradient", "order": "simultaneous"}, 0.05),
        ({"way": "lookahead", "strength": 0.5}, 0.05),
        ({"way": "lookahead", "strength": 0.5, "order": "alternating"}, 0.0001),
        ({"way": "instance noise", "strength": 0.3, "order": "simultaneous"}, 0.05),
        ({"penalty": "R1", "order": "alternating"}, 0.05),
        ({"way": "consensus", "strength": 10.0, "order": "simultaneous"}, 0.05),
        ({"way": "extragradient", "order": "simultaneous"}, 0.05),
    ],
    ids=str,
)
def test_eigenvalues_are_those_of_the_library(page, x64, changed, rate):
    """At the fixed point, for a whole period of steps, with the zero modes; and what they say of growth and turns.

    The page rounds the rate to float32, by 6e-8 of it at most, so μ - 1 by as much. Of modes that die within a few
    steps the smallest are those of a matrix that is nearly defective."""
    settings = SETTINGS | {"rateG": rate, "rateD": rate} | changed
    weights = faces.unstack(np.array([0.5, -1.0, -0.3, 1.2]))
    objective, images, way = losses.OBJECTIVES[settings["objective"]], faces.unstack(faces.FACES), WAYS[settings["way"]]
    rest = jax.jit(lambda: equilibria.equilibrium(weights, images, objective))()
    script = f"""
      const found = E.spectrum({json.dumps(settings)}, {np.asarray(networks.to_vector(rest)).tolist()});
      return [found, E.forecast(found)];
    """
    found, told = node(page, script)
    rule = rule_of(way, settings["order"], {name: float(value) for name, value in numbers_of(settings).items()})
    game = slanted_land(objective=objective, noise=settings["strength"] if way.noisy else 0.0)
    game = games.penalized(game, penalties.r1(settings["penaltyStrength"])) if settings["penalty"] == "R1" else game
    known = equilibria.tangents(weights, images, equilibria.logit_is_free(objective))
    place = spectra.fixed_point(rule, game, rest, rule.period, known)
    expected = np.asarray(spectra.update_eigenvalues(rule, game, place.state, rule.period, known))
    values = [complex(*value) for value in found["values"]]
    assert len(values) == len(expected)
    tolerance = PER_SAMPLE.get(settings["way"], 1e-7 * rate)
    for value in expected[np.abs(expected) > 0.5]:
        nearest = int(np.argmin(np.abs(np.array(values) - value)))
        assert abs(values.pop(nearest) - value) < tolerance, value
    if settings["way"] in PER_SAMPLE:
        return
    assert found["drift"] < 1e-12
    summary = jax.jit(spectra.summarize_map)(expected)
    assert np.log(told["size"]) == pytest.approx(float(summary.growth), rel=1e-6, abs=1e-11)
    assert told["turn"] == pytest.approx(float(summary.period) * rule.period, rel=1e-6)


@needs_node
def test_what_a_mode_does_is_said_of_its_growth(page):
    """Wasserstein grows by η² κ / 2 with both at once, and neither grows nor decays with D first; -1 does not turn."""
    script = """
      const found = ["simultaneous", "alternating"].map(order => {
        const { size, fold } = E.forecast(E.spectrum({ ...S, order }, new E.Run(S).players()));
        return [size - 1, Number.isFinite(fold)];
      });
      const straight = { values: [[-1.1, 0], [0.9, 0]], period: 5 };
      return [...found, [E.forecast(straight), E.straight(straight)]];
    """
    settings = SETTINGS | {"objective": "Wasserstein", "rateG": 0.001, "rateD": 0.001}
    (grows, told), (neither, ends), beside = node(page, f"const S = {json.dumps(settings)}; {script}")
    assert told
    assert 1e-9 < grows < 1e-7
    assert not ends
    assert abs(neither) < 1e-11
    assert beside == [None, [-1.1, 0]]


@needs_node
def test_what_has_no_eigenvalues_says_why(page):
    changed = [{"way": "Adam"}, {"way": "spectral norm"}, {"penalty": "WGAN-GP"}, {"penalty": "R1"}, {"rateD": 10.0}]
    script = "return settings.map(s => E.spectrum(s, new E.Run(s).players()).why ?? null)"
    settings = json.dumps([SETTINGS | one for one in changed])
    found = node(page, f"const settings = {settings}; {script}")
    assert found == ["no_derivative"] * 3 + [None, "no_fixed_point"]


@needs_node
def test_eigenvalues_of_any_matrix(page):
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 13, 27):
        matrix = rng.normal(size=(size, size))
        found = [complex(*value) for value in node(page, f"return E.eigenvalues({json.dumps(matrix.tolist())})")]
        for value in np.linalg.eigvals(matrix):
            nearest = np.argmin(np.abs(np.array(found) - value))
            assert abs(found.pop(nearest) - value) < 1e-9


@needs_node
def test_what_is_shown_of_a_discriminator_is_that_of_its_way(page):
    """With spectral normalization: the logits and the losses of the normalized D."""
    settings = with_way("spectral norm", "tutorial")
    script = """
      const r = new E.Run(S).advance(500);
      return [r.players(), r.judged([1, 0, 0, 1]), r.shown(0.5)[4], ...r.measured().slice(0, 2)];
    """
    players, *found = node(page, f"const S = {json.dumps(settings)}; {script}")
    made, logit = networks.from_vector(jnp.asarray(players)), WAYS["spectral norm"].logit
    image = faces.unstack(jnp.array([1.0, 0, 0, 1]))
    drawn = generate(made.generator, jnp.float32(0.5))
    expected = [logit(made.discriminator, image), logit(made.discriminator, drawn)]
    expected += games.expected_losses(slanted_land(logit=logit), made)
    assert abs(logit(made.discriminator, image) - networks.logit(made.discriminator, image)) > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # float32


@needs_node
def test_losses_where_a_discriminator_cannot_tell_are_those_of_the_objective(page):
    found = node(page, "return data.undecided")
    for name, wanted in {
        "hinge": (None, 2),
        "least squares": (1 / 8, 1 / 4),
        "relativistic": (np.log(2), np.log(2)),
    }.items():
        assert found[name][0] == (wanted[0] and pytest.approx(wanted[0], rel=1e-6)), name
        assert found[name][1] == pytest.approx(wanted[1], rel=1e-6), name


@needs_node
def test_a_way_has_momentum_if_its_steps_depend_on_it(page):
    script = """
      return Object.entries(data.ways).map(([way, { orders, strength, momentum }]) => {
        const [one, other] = [0, 0.5].map(m => {
          const s = { ...S, way, order: orders[0], strength: strength?.start ?? 1, momentum: m };
          return new E.Run(s).advance(10).players().join();
        });
        return [way, momentum, one !== other];
      });
    """
    for way, offered, used in node(page, f"const S = {json.dumps(SETTINGS)}; {script}"):
        assert offered == used, way


@needs_node
def test_the_least_distance_is_that_of_all_epochs(page):
    """In the article's run that of epoch 382; in a longer one of an epoch that no curve has a point of."""
    article = trained(42, 0.01, 1000, "numpy")["trajectory"][::5]
    images = faces.unstack(faces.FACES)
    gaps = jax.jit(jax.vmap(lambda v: distances.mean_gap(networks.from_vector(v).generator, images)))(article)
    script = """
      const run = new E.Run({ ...S, epochs: 4000 }), all = [];
      for (let epoch = 0; epoch <= 4000; epoch++) all.push(run.advance(epoch * 5).distance());
      const { least, history } = E.trained({ ...S, epochs: 4000 });
      return [E.trained(S).least, least, Math.min(...all), history.epochs.includes(least.epoch), history.epochs.length];
    """
    short, least, wanted, drawn, count = node(page, f"const S = {json.dumps(SETTINGS | {'seed': 'article'})}; {script}")
    assert short["epoch"] == np.argmin(gaps) == 382
    assert short["distance"] == pytest.approx(min(gaps), rel=1e-4)  # float32
    assert least["distance"] == wanted
    assert not drawn
    assert count < 320


@needs_node
def test_two_numbers_follow_the_library(page):
    """The Dirac-GAN and x y, from a point: the run of the library with the same rule."""
    settings = SETTINGS | {"way": "extragradient", "order": "simultaneous", "rateG": 0.1, "rateD": 0.1}
    script = (
        f"return ['dirac', 'bilinear'].map(p => new E.Run({json.dumps(settings)}, p, [1, -0.5]).advance(300).players())"
    )
    rule = rule_of(WAYS["extragradient"], "simultaneous", numbers_of(settings))
    for found, game in zip(node(page, script), (games.dirac(), games.bilinear()), strict=True):
        start = Players(jnp.float32(1), jnp.float32(-0.5))
        expected = train(jax.random.key(0), game, rule, 300, players=start).players
        np.testing.assert_allclose(found, expected, atol=1e-5)


@needs_node
def test_every_way_plays_every_game_that_has_it(page):
    """A step of each program, from (1, -1): finite numbers, and another place."""
    script = """
      return Object.keys(data.about).filter(name => name.includes(": ")).map(name => {
        const [, place, way, order] = name.match(/^(\\w+): (.*), (\\w+)$/);
        const run = new E.Run({ ...S, way, order, strength: 0.3 }, place, place === "faces" ? null : [1, -1]);
        const start = run.players();
        return [name, run.advance(1).players(), start];
      });
    """
    found = node(page, f"const S = {json.dumps(SETTINGS)}; {script}")
    assert len(found) > 100
    for name, after, before in found:
        assert np.isfinite(after).all(), name
        assert after != before, name


# In a browser


@pytest.fixture
def opened(page, browser):
    """Opens the page at an address; at the end nothing has gone wrong, and nothing was asked for from elsewhere."""
    contexts, wrong, asked = [], [], []

    def open_at(address="", **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto((page / "index.html").resolve().as_uri() + address)
        tab.wait_for_function("window.ready === true", timeout=60_000)
        return tab

    yield open_at
    for context in contexts:
        context.close()
    assert not wrong
    assert all(url.startswith(("file:", "blob:", "data:")) for url in asked)


def values_of(tab):
    """The thirteen numbers that the page shows."""
    text = tab.text_content("#values").split("\n")
    return np.array([float(value) for line in text[:4] for value in line.split()[1:]])


def test_the_first_screen_has_the_published_numbers(opened):
    """All 29: thirteen parameters, and four images of four pixels."""
    tab = opened()
    run = trained(42, 0.01, 1000, "numpy")
    np.testing.assert_allclose(values_of(tab), run["trajectory"][-1], atol=2e-5)
    lines = tab.text_content("#values").split("\n")[-4:]
    np.testing.assert_allclose([list(map(float, line.split())) for line in lines], run["generated"], atol=2e-5)


def test_a_movement_of_a_slider_trains_again(opened, capsys):
    tab = opened("#seed=1")
    tab.wait_for_timeout(2000)
    before, spent = values_of(tab), []
    for key in ["ArrowRight"] * 8:
        tab.press("#set-rateG", key)
        tab.wait_for_timeout(120)
        spent.append(tab.evaluate("window.spent"))
    assert np.abs(values_of(tab) - before).max() > 1e-3
    with capsys.disabled():
        print(f" [a movement of a slider: {np.median(spent):.0f} ms, the median of {len(spent)}]", end="")


def test_time_goes_back_exactly(opened):
    tab = opened("#seed=5&epochs=100")
    said = []
    for step in (250, 10, 499, 250):
        tab.evaluate(f"go({step})")
        said.append(tab.text_content("#values"))
    assert said[0] == said[3] != said[1]
    tab.evaluate("go(7)")
    moved = [tab.text_content("#move")]
    for _ in range(3):
        tab.click("#next")
        moved.append(tab.text_content("#move"))
    assert len({*moved}) == 4
    assert tab.text_content("#at").startswith("8 /")
    now = tab.text_content("#values")
    tab.evaluate("go(500); go(8)")
    assert tab.text_content("#values") == now  # three single moves are one step


def test_a_link_restores_everything(opened):
    tab = opened(
        "#seed=12&rateG=0.05&rateD=0.02&epochs=300&penalty=R1&penaltyStrength=0.3&way=consensus&strength=5&t=777"
    )
    tab.select_option("#game", "bilinear")
    tab.fill("#start_x", "2")
    tab.click("#painted button")
    for _ in range(2):
        tab.click("#next")
    again = opened(tab.evaluate("location.hash"))
    state = "JSON.stringify([S, at, moves, z, painted, game, from, other, language])"
    assert again.evaluate(state) == tab.evaluate(state)
    assert again.evaluate("[moves, painted[0], game, from[0]]") == [2, 0, "bilinear", 2]
    for name in ("#values", "#field_says", "#painted", "#move"):
        assert again.text_content(name) == tab.text_content(name)
    assert [again.input_value(name) for name in ("#game", "#start_x")] == ["bilinear", "2"]


@pytest.mark.parametrize(
    "address",
    [
        "#t=1500",
        "#seed=7&way=consensus&strength=3&order=alternating&penalty=R1&epochs=200",
        "#seed=2&way=Adam&momentum=0.5&rateG=0.001&rateD=0.002&epochs=100",
        "#seed=2&way=lookahead&objective=hinge&epochs=100",
        "#seed=2&way=past extragradient&objective=relativistic&epochs=100",
        "#seed=2&way=weight clipping&strength=0.3&epochs=100",
        "#seed=2&way=spectral norm&momentum=-0.3&epochs=100",
        "#epochs=100&t=123&moves=2",
        "#seed=3&t=0&moves=1",
    ],
)
def test_the_lines_of_python_give_the_numbers(opened, address, tmp_path):
    tab = opened(address)
    tab.click("#python")
    (tmp_path / "lines.py").write_text(tab.text_content("#lines") + "\n", encoding="utf-8")
    experiments = Path(playground.__file__).parent
    done = subprocess.run(
        [sys.executable, tmp_path / "lines.py"], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": f"{experiments}:{experiments.parent}", "PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-600:]
    found = [float(value) for value in re.sub(r"[\[\]]", " ", done.stdout).split()]
    np.testing.assert_allclose(found, values_of(tab), atol=1e-4)


def test_the_numbers_are_a_run_that_can_be_analyzed(opened, tmp_path):
    import analyze

    tab = opened("#seed=4")
    with tab.expect_download() as waited:
        tab.click("#json")
    waited.value.save_as(tmp_path / "run.json")
    found = analyze.players_of(tmp_path / "run.json")
    np.testing.assert_allclose(networks.to_vector(found), values_of(tab), atol=1e-7)
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["seed"] == 4
    assert analyze.play_of(tmp_path / "run.json") == analyze.PLAIN
    (tmp_path / "run.json").write_text(opened("#seed=4&way=spectral norm&penalty=R1").evaluate("numbers()"))
    assert analyze.play_of(tmp_path / "run.json") == analyze.Play(way="spectral norm", without=("the penalty R1",))


def test_every_way_of_the_page_can_be_analyzed():
    assert WAYS.keys() <= METHODS.keys()
    for name, way in WAYS.items():
        assert (way.logit is networks.logit) == (METHODS[name].logit is networks.logit)
        assert way.noisy == METHODS[name].noisy


def test_both_languages_have_every_word(opened):
    tab = opened()
    keys = tab.evaluate("Object.fromEntries(Object.entries(TEXTS).map(([name, words]) => [name, Object.keys(words)]))")
    assert keys["en"] == keys["zh"]
    tab.click("#language")
    assert "最小的" in tab.text_content("h1")
    assert tab.evaluate("document.documentElement.lang") == "zh"
    assert not tab.evaluate("[...document.querySelectorAll('[data-t]')].filter(n => !n.textContent.trim()).length")


def test_a_phone_has_no_sideways_scrolling(opened):
    tab = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    tab.wait_for_timeout(1500)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_keyboard_is_enough(opened):
    """Tab reaches every control, and keys change it: a choice, a pixel, a time, a cell of the map."""
    tab = opened("#seed=1&epochs=50")
    reached = []
    for _ in range(100):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.textContent.slice(0, 8)"))
    needed = {"set-rateG", "set-way", "play", "next", "step", "latent", "change", "game", "start_x", "map", "python"}
    assert needed <= {*reached}
    tab.focus("#step")
    tab.keyboard.press("Home")
    assert tab.text_content("#at").startswith("0 /")
    tab.focus("#painted button")
    tab.keyboard.press("Enter")
    assert tab.text_content("#painted button") == "0.00"
    tab.focus("#map")
    for key in ("ArrowUp", "ArrowRight", "Enter"):
        tab.keyboard.press(key)
    assert tab.evaluate("S.rateG > 0.05 && S.rateG === S.rateD")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("#rateG=NaN", "NaN"),
        ("#rateG=1e9", "1e9"),
        ("#way=magic", "magic"),
        ("#t=1e30", "1e30"),
        ("#t=-1", "-1"),
        ("#epochs=1.5", "1.5"),
        ("#seed=-3", "-3"),
        ("#objective=relativistic&order=tutorial", "tutorial"),
        ("#change=way&to=magic", "magic"),
        ("#z=two", "two"),
        ("#t=", "5000"),
        ("#language=constructor", "constructor"),
        ("#constructor=1", "constructor"),
        ("#change=strength&to=1", "strength"),
        ("#<b>=1", "<b>"),
        ("#t=10&moves=3", "3"),
        ("#moves=1", "1"),
        ("#game=chess", "chess"),
        ("#x=1e9", "1e9"),
        ("#painted=1,2,0,0", "1,2,0,0"),
        ("#way=optimistic&change=momentum&to=0.5", "momentum"),
    ],
)
def test_a_wrong_address_says_so_and_shows_the_default(opened, address, said):
    tab = opened(address)
    assert said in tab.text_content("#status")
    assert np.isfinite(values_of(tab)).all()


def test_a_run_that_diverges_says_so_and_leaves_the_page_usable(opened):
    tab = opened("#seed=1&objective=Wasserstein&way=lola&strength=100&rateG=10&rateD=10")
    assert "diverged" in tab.text_content("#status")
    tab.click("#reset")
    tab.wait_for_timeout(500)
    assert "5000 steps" in tab.text_content("#status")


@needs_node
@pytest.mark.parametrize(
    "changed", [{"penalty": "R1", "penaltyStrength": 10.0}, {"objective": "Wasserstein", "momentum": 0.95}]
)
def test_a_run_ends_at_the_step_at_which_it_diverges(page, changed):
    """However many epochs were asked for."""
    settings = SETTINGS | {"seed": 1, "rateG": 10.0, "rateD": 10.0} | changed
    script = f"""
      const S = {json.dumps(settings)}, run = new E.Run(S);
      while (run.finite()) run.advance(run.step + 1);
      return [[run.step, Math.ceil(run.step / 5)], ...[300, 1000, 5000, 20000].map(epochs => {{
        const {{ steps, diverged }} = E.trained({{ ...S, epochs }});
        return [steps, diverged];
      }})];
    """
    wanted, *found = node(page, script)
    assert found == [wanted] * 4


def test_what_is_shown_follows_the_settings(opened):
    """The lines of Python, a run that no longer diverges, the captions of the population, a second run."""
    tab = opened("#seed=1&epochs=3000")
    tab.click("#python")
    tab.fill("#set-seed", "77")
    tab.press("#set-seed", "Enter")
    assert "key(77)" in tab.text_content("#lines")
    assert "?" not in tab.evaluate("location.href")
    tab.wait_for_function("document.querySelector('#population_says').textContent.includes('200')", timeout=60_000)
    assert "after 2000 epochs" in tab.text_content("#population")
    assert "seed 77 after 300 epochs" in tab.text_content("#population")
    for penalty, strength in (("R1", 10), ("none", 0.1)):
        tab.evaluate(f"set('penalty', '{penalty}'); set('penaltyStrength', {strength}); set('rateG', {strength * 0.1})")
        tab.evaluate("set('rateG', 10)" if strength == 10 else "set('rateG', 0.01)")
        tab.wait_for_timeout(300)
        assert ("diverged" in tab.text_content("#status")) == (penalty == "R1")
        assert tab.evaluate("at === now.steps")
    assert tab.text_content("#at") == "15000 / 15000"
    for name in ("penalty", "seed", "order"):
        tab.select_option("#change", name)
        tab.wait_for_timeout(100)
        assert tab.evaluate(f"String(S.{name}) !== other.value")


def test_numbers_within_a_step_are_those_that_are_shown(opened):
    tab = opened("#seed=1&epochs=50&t=10")
    before = json.loads(tab.evaluate("numbers()"))
    tab.click("#next")
    now = json.loads(tab.evaluate("numbers()"))
    assert now["discriminator"]["bias"] == pytest.approx(values_of(tab)[12], abs=1e-8)
    assert now["discriminator"]["bias"] != before["discriminator"]["bias"]
    assert now["settings"]["moves"] == 1


def test_every_slider_and_drawing_has_a_name(opened):
    tab = opened("#penalty=R1&way=consensus&change=rateG&to=0.1")
    sliders = tab.evaluate(
        "[...document.querySelectorAll('input[type=range]')].map(input => [input.id, input.labels.length])"
    )
    assert len(sliders) > 7
    assert all(count == 1 for _, count in sliders)
    assert tab.evaluate(
        "[...document.querySelectorAll('canvas, svg')].every(one => one.getAttribute('aria-label')"
        " || document.getElementById(one.getAttribute('aria-labelledby')).textContent)"
    )


def test_what_is_drawn_from_the_population_fits_the_window(opened):
    tab = opened("#seed=1&epochs=50")
    tab.wait_for_function("document.querySelector('#population_says').textContent.includes('200')", timeout=60_000)
    tab.set_viewport_size({"width": 360, "height": 800})
    tab.wait_for_timeout(300)
    for name in ("histogram", "map"):
        assert tab.evaluate(f"$('{name}').width === Math.round($('{name}').clientWidth * devicePixelRatio)"), name


def test_a_second_run_and_the_population(opened):
    tab = opened("#seed=1&epochs=100&change=penalty&to=R1")
    said = tab.text_content("#compared")
    one, other = re.findall(r"[\d.]+(?:e-?\d+)?", said)
    assert one != other
    tab.wait_for_function("document.querySelector('#population_says').textContent.includes('200')", timeout=30_000)
    assert 0 < float(re.search(r"[\d.]+", tab.text_content("#population_says")).group()) < 1


def test_a_second_run_says_its_order_and_its_divergence(opened):
    tab = opened("#seed=1&epochs=50&change=way&to=past extragradient")
    assert "both at once" in tab.text_content("#compared")
    tab = opened("#seed=1&epochs=50&change=way&to=Adam")
    assert "order" not in tab.text_content("#compared")
    tab = opened("#seed=1&epochs=50&change=order&to=simultaneous")
    assert "order" not in tab.text_content("#compared")
    tab = opened("#seed=1&epochs=50&rateG=1&penaltyStrength=10&change=penalty&to=R1")
    assert re.search(
        r"first run: distance [\d.]+\. The second run: diverged in epoch \d+", tab.text_content("#compared")
    )


def test_the_plane_says_what_is_played(opened):
    tab = opened("#seed=1&epochs=50&penalty=R1&game=bilinear")
    assert all(part in tab.text_content("#field_says") for part in ("D, then G", "R1 does not act"))
    tab.select_option("#game", "dirac")
    assert not any(part in tab.text_content("#field_says") for part in ("D, then G", "does not act"))


@pytest.mark.parametrize("changed", ["way=Adam", "momentum=0.5", "penalty=R1", "order=alternating"])
def test_what_a_move_does_is_said_only_of_plain_descent(opened, changed):
    assert "times the slope" in opened("#seed=1&epochs=50&t=10").text_content("#move")
    assert opened(f"#seed=1&epochs=50&t=10&{changed}").text_content("#move").startswith("Next: move 1 of")


def test_captions_follow_the_settings(opened):
    """Losses where D cannot tell, what the losses leave out, and how many steps the eigenvalues are of."""
    tab = opened("#epochs=50&objective=hinge")
    assert "dashed: no fixed level for G, 2 for D" in tab.text_content("#alive")
    tab = opened("#seed=1&epochs=50&way=instance noise&penalty=R1")
    assert "without the noise and the penalty" in tab.text_content("#alive")
    assert "Eigenvalues μ of a step" in tab.text_content("#converged")
    assert "Eigenvalues μ of 5 steps" in opened("#epochs=50&way=lookahead").text_content("#converged")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("#rateG=0.001&objective=Wasserstein&order=alternating", "neither grows nor decays"),
        ("#rateG=0.001&objective=Wasserstein&order=simultaneous", "grows by a factor"),
        ("#rateG=0.3", "decays by a factor"),
        ("#rateG=1.6&order=alternating", "does not turn grows: μ = -1.0"),
        ("#rateG=10", "No fixed point was found"),
        ("#way=Adam", "no derivative"),
        ("#way=extragradient", "drifts"),
    ],
)
def test_what_the_eigenvalues_say_is_said(opened, address, said):
    tab = opened(address)
    tab.wait_for_function("now.spectrum")
    assert said in tab.text_content("#forecast")


def test_a_cell_of_the_map_counts_the_seeds_anew_and_keeps_the_map(opened):
    tab = opened("#seed=1&epochs=20")
    told = "document.querySelector('#population_says').textContent"
    tab.wait_for_function(f"{told}.includes('of 200') && done.map", timeout=120_000)
    before = tab.text_content("#population_says")
    tab.evaluate("map.at = [20, 20]; chooseCell()")
    tab.wait_for_function(f"{told}.includes('of 200') && {told} !== {json.dumps(before)}", timeout=60_000)
    assert tab.evaluate("map.cells.size > 500 && done.histogram && done.map")


def test_sliders_reach_their_ends_and_numbers_can_be_typed(opened):
    tab = opened("#seed=1&epochs=50&rateD=0.02&penalty=R1&way=weight clipping&change=momentum&to=0")
    fields = tab.evaluate(
        "FIELDS.filter(f => $(`set-${f.name}`)?.type === 'range').map(f => [f.name, limits(f).low, limits(f).high])"
    )
    assert len(fields) == 6
    for name, low, high in fields:
        for key, end in (("End", high), ("Home", low)):
            tab.press(f"#set-{name}", key)
            assert tab.evaluate(f"S.{name}") == end, name
    for typed, kept in (("12000", 12000), ("20001", 12000), ("1.5", 12000), ("", 12000), ("20000", 20000)):
        tab.fill(".setting:has(#set-epochs) .value", typed)
        tab.press(".setting:has(#set-epochs) .value", "Enter")
        tab.wait_for_function(f"S.epochs === {kept} && now.run.s.epochs === {kept}")
        assert ("cannot be" in tab.text_content("#status")) == (typed != str(kept)), typed
        assert tab.input_value(".setting:has(#set-epochs) .value") == str(kept)


@pytest.mark.parametrize("typed", ["-3", "1.5", "4294967296", "abc"])
def test_a_wrong_seed_is_complained_about(opened, typed):
    tab = opened("#seed=1&epochs=50")
    tab.fill("#set-seed", typed)
    tab.press("#set-seed", "Enter")
    assert typed in tab.text_content("#status")
    assert [tab.evaluate("S.seed"), tab.input_value("#set-seed")] == [1, "1"]
    tab.fill("#set-seed", "")
    tab.press("#set-seed", "Enter")
    assert tab.evaluate("S.seed") == "article"
    assert "cannot be" not in tab.text_content("#status")


def test_momentum_is_offered_only_where_it_acts(opened):
    tab = opened("#seed=1&epochs=50&change=momentum&to=0.5")
    tab.select_option("#set-way", "optimistic")
    tab.wait_for_timeout(100)
    names = "[...$('change').options].map(one => one.value)"
    assert "momentum" not in tab.evaluate(names)
    assert tab.evaluate("[$('set-momentum'), other.name]") == [None, "none"]


def test_the_page_is_small_and_whole(page):
    assert sum(file.stat().st_size for file in page.iterdir()) < 1_000_000
    assert {file.name for file in page.iterdir()} == {*playground.FILES, "programs.js"}
