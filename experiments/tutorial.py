"""The whole tutorial, in the order of the article: its worked examples, its training run, its figures, its numbers."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import results
from article_stream import article_players, article_stream, replayed
from PIL import Image
from tqdm import tqdm

from slantgan_jax import (
    Discriminator,
    Game,
    Generator,
    Players,
    Rule,
    faces,
    games,
    generate,
    logit,
    losses,
    plots,
    rules,
    slanted_land,
    train,
)
from slantgan_jax.networks import pixel_scores
from slantgan_jax.numerics import as_float
from slantgan_jax.rules import State
from slantgan_jax.training import DIVERGENCE_BOUND, StepInfo

NON_FACE = (0.25, 1.0, 0.5, 0.75)
DETECTOR = Discriminator(weights=(1.0, -1.0, -1.0, 1.0), bias=-1.0)
PAINTER = Generator(weights=(1.0, -1.0, -1.0, 1.0), biases=(1.0, -1.0, -1.0, 1.0))
FRAMES = 48
TRAINED = ("generated.png", "network.png", "overview.png", "training.gif")
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


class Curves(NamedTuple):
    """Errors at one step, as the article records them: after D's step on the face, before its step on the fake."""

    generator_error: jax.Array
    discriminator_error: jax.Array
    discriminator_loss: jax.Array


class Outcome(NamedTuple):
    """A whole run as NumPy arrays; `trajectory` holds the players before each step and after the last one."""

    trajectory: Players
    curves: Curves
    shown: Any
    generated: Any


def tutorial(
    seed: int = 42,
    learning_rate: float = 0.01,
    epochs: int = 1000,
    out: Path = Path("results/tutorial"),
    source: Literal["numpy", "jax"] = "numpy",
) -> None:
    """Run the tutorial GAN from beginning to end: every step of the article, every figure, every printed number.

    Args:
        seed: of the random source.
        learning_rate: of both players' gradient descent.
        epochs: passes over the five faces.
        out: folder for figures and data; an earlier result is replaced when the new one is complete.
        source: of random numbers: numpy replays the article's program in float64, jax uses jax.random in float32.
    """
    results.check_positive("--learning-rate", learning_rate)
    if not 1 <= epochs <= 1_000_000:
        raise ValueError(f"--epochs is {epochs}: give a whole number from 1 to 1000000")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed is {seed}: give a whole number from 0 to 4294967295")
    with results.complete_folder(out, TRAINED) as folder:
        show_data(folder, seed)
        show_worked_examples(folder)
        outcome = show_training(seed, learning_rate, epochs, source)
        settings = {
            "seed": seed,
            "learning_rate": learning_rate,
            "epochs": epochs,
            "source": source,
            "command": results.command(),
        }
        reason = divergence(outcome)
        save(folder, outcome, {**settings, "precision": outcome.generated.dtype.name, "diverged": reason})
        draw_errors(folder, outcome, " (diverged)" if reason else "")
        if reason:
            print(
                f"\nThis run DIVERGED: {reason}. Its error curves are drawn, the figures of a trained network are not:"
            )
            print("Try a smaller --learning-rate.")
        else:
            show_result(folder, outcome)
        if not reason and (seed, learning_rate, epochs, source) == (42, 0.01, 1000, "numpy"):
            compare_with_published(outcome)
    print(f"\nEverything is in {out}/.")


def show_data(folder: Path, seed: int) -> None:
    heading("Sections 4 and 5: slanted land")
    print("A face has a dark diagonal and a light rest; noise has anything anywhere. 1 is dark, 0 is light.")
    noise = np.asarray(faces.noise(jax.random.key(seed), 20))
    results.save_figure(
        folder / "faces.png", plots.faces, 9, 2.4, faces.FACES, 5, title="The five faces of slanted land"
    )
    results.save_figure(
        folder / "noise.png", plots.faces, 7, 6.2, noise, 5, title="Twenty images that are no faces", numbers=False
    )


def show_worked_examples(folder: Path) -> None:
    heading("Section 6: a discriminator made by hand")
    print("Add the diagonal, subtract the rest, compare with 1: weights (1, -1, -1, 1) and bias -1.")
    print("  image                               score  logit  verdict")
    for name, image in (("face    ", faces.FACES[0]), ("non-face", NON_FACE)):
        score = logit(DETECTOR._replace(bias=0.0), tuple(image))
        value = logit(DETECTOR, tuple(image))
        print(f"  {name} {numbers(image)}  {score:5.1f}  {value:5.1f}  {verdict(value)}")
    print(f"The article leaves out the bias in its last line: σ(-0.5) = {jax.nn.sigmoid(-0.5):.2f}, not a face either.")

    heading("Section 7: a generator made by hand")
    print("Weights (1, -1, -1, 1), biases (1, -1, -1, 1), and the random number z = 0.7:")
    latent = 0.7
    image = generate(PAINTER, latent)
    print(f"  pixel scores w z + b   {numbers(pixel_scores(PAINTER, latent))}")
    print(f"  pixels σ(w z + b)      {numbers(image)}   {verdict(logit(DETECTOR, image))}")

    heading("Section 8: error functions")
    print("-ln(p) where the label is 1, -ln(1 - p) where it is 0: small when right, large when wrong.")
    for p in (0.1, 0.9):
        logit_of_p = np.log(p / (1 - p))
        errors = losses.softplus(-logit_of_p), losses.softplus(logit_of_p)
        print(f"  prediction {p}:  -ln(p) = {errors[0]:.2f}   -ln(1 - p) = {errors[1]:.2f}")
    results.save_figure(folder / "error_functions.png", plots.error_functions, 8, 3.6)


def show_training(seed: int, learning_rate: float, epochs: int, source: str) -> Outcome:
    heading(f"Sections 10 to 15: training for {epochs} epochs at rate {learning_rate:g}")
    print("Each step: D learns from a face, D learns from a fake, G learns to fool the D just updated.")
    stream = "the article's NumPy stream, in float64" if source == "numpy" else "jax.random, in float32"
    print(f"Random numbers: {stream}.")
    outcome = run(seed, learning_rate, epochs, source)
    for name, curve, undecided in (
        ("generator", outcome.curves.generator_error, "ln 2 = 0.693: D undecided"),
        ("discriminator", outcome.curves.discriminator_loss, "2 ln 2 = 1.386: D undecided"),
    ):
        with np.errstate(over="ignore"):  # of a run that diverges
            first, last = np.mean(curve[:5]), np.mean(curve[-5:])
        print(f"  {name + ' loss':18}  {first:.4g} in the first epoch, {last:.4g} in the last ({undecided})")
    return outcome


def show_result(folder: Path, outcome: Outcome) -> None:
    heading("Section 16: the result")
    generator, discriminator = last_players(outcome)
    print("Four images from the trained generator, and its parameters:")
    for latent, image in zip(outcome.shown, outcome.generated, strict=True):
        print(f"  z = {latent:.2f}   {numbers(image, 8)}")
    print(f"  generator weights      {numbers(generator.weights, 8)}")
    print(f"  generator biases       {numbers(generator.biases, 8)}")
    print(f"  discriminator weights  {numbers(discriminator.weights, 8)}")
    print(f"  discriminator bias     {discriminator.bias:.8f}")
    labels = [f"z = {latent:.2f}" for latent in outcome.shown]
    results.save_figure(
        folder / "generated.png", plots.faces, 8, 2.7, outcome.generated, 4, labels, "What the trained generator draws"
    )
    results.save_figure(folder / "network.png", plots.network, 9, 6, generator, discriminator, "The trained GAN")
    curves, count = outcome.curves, len(faces.FACES)
    losses_by_step = curves.generator_error, curves.discriminator_loss
    picture = (faces.FACES, outcome.generated, labels, generator, discriminator, *losses_by_step, count)
    results.save_figure(folder / "overview.png", plots.overview, 11, 6, *picture)
    save_animation(folder / "training.gif", outcome)


def run(seed: int, learning_rate: float, epochs: int, source: str) -> Outcome:
    """Trains, and computes from the players before each step everything that the figures need."""
    steps = epochs * len(faces.FACES)
    with jax.enable_x64(source == "numpy"):
        if source == "numpy":
            stream = article_stream(seed, steps)
            start, latents, shown = article_players(stream), stream.latents, stream.shown
        else:
            key_init, key_latent = jax.random.split(jax.random.key(seed))
            start = slanted_land().init(key_init)
            # The four latents drawn after training are the next ones of the run's stream, as in the article.
            latents, shown = jnp.split(jax.random.uniform(key_latent, (steps + 4,)), [steps])
        return jax.tree.map(np.asarray, _run(start, jnp.asarray(latents), jnp.asarray(shown), learning_rate))


@jax.jit
def _run(start: Players, latents: jax.Array, shown: jax.Array, learning_rate: jax.Array) -> Outcome:
    game, rule = replayed(latents), rules.tutorial(optax.sgd(learning_rate))

    def record(info: StepInfo) -> tuple[Players, Curves]:
        return info.players, curves_of(rule, game, info.before, info.sample)

    key = jax.random.key(0)  # it is not used: the game replays given numbers
    result = train(key, game, rule, len(latents), players=start, record=record)
    players, curves = result.history
    trajectory = jax.tree.map(lambda first, rest: jnp.concatenate([as_float(first)[None], rest]), start, players)
    generated = faces.stack(jax.vmap(generate, (None, 0))(result.players.generator, shown))
    return Outcome(as_arrays(trajectory), curves, shown, generated)


def curves_of(rule: Rule, game: Game, before: State, sample: games.Sample) -> Curves:
    """What the article's program records in the step that starts at the state `before`.

    Its discriminator error is `sum(-ln D(x) - ln(1 - D(z)))` with the scalar z in the place of an image, which
    broadcasts to one value σ(u_i z + c) for each weight: `discriminator_error`. The loss that D minimizes is
    `discriminator_loss`.
    """
    first_move = rule.moves(game)[0]
    seen = first_move(before, sample).players
    weights, bias = seen.discriminator
    real = losses.softplus(-logit(seen.discriminator, sample.real))
    broadcast = [real + losses.softplus(u * sample.latent + bias) for u in jax.tree.leaves(weights)]
    true = games.total_losses(game, seen, sample)
    return Curves(true.generator, jnp.asarray(sum(broadcast)), true.discriminator)


def as_arrays(players: Players) -> Players:
    """`players` with every image as one array, pixels last."""
    (weights, biases), (inputs, bias) = players
    return Players(Generator(faces.stack(weights), faces.stack(biases)), Discriminator(faces.stack(inputs), bias))


def last_players(outcome: Outcome) -> Players:
    return jax.tree.map(lambda leaf: leaf[-1], outcome.trajectory)


def divergence(outcome: Outcome) -> str | None:
    """Why the run counts as diverged, or None."""
    sizes = [np.max(np.abs(leaf)) for leaf in jax.tree.leaves(last_players(outcome))]
    if not np.all(np.isfinite(sizes)):
        return "parameters are infinite or NaN"
    if max(sizes) > DIVERGENCE_BOUND:
        return f"a parameter reached {max(sizes):.3g}, where every sigmoid is 0 or 1 and learning has stopped"
    return None


def save(folder: Path, outcome: Outcome, settings: dict[str, Any]) -> None:
    generator, discriminator = last_players(outcome)
    record = {
        "generator": generator._asdict(),
        "discriminator": discriminator._asdict(),
        "generated": outcome.generated,
        "settings": settings,
        "versions": results.record(),
    }
    results.write_json(folder / "run.json", record)
    np.savez(folder / "errors.npz", **outcome.curves._asdict())


def draw_errors(folder: Path, outcome: Outcome, note: str) -> None:
    curves, count = outcome.curves, len(faces.FACES)
    results.save_figure(
        folder / "generator_error.png", plots.generator_error, 7, 4, curves.generator_error, count, note
    )
    results.save_figure(folder / "discriminator_error.png", plots.discriminator_error, 10, 4.2,
                curves.discriminator_error, curves.discriminator_loss, count, note)  # fmt: skip


def save_animation(path: Path, outcome: Outcome) -> None:
    """Writes the faces drawn for fixed latents as training proceeds; frames are dense where it changes fast."""
    count = len(faces.FACES)
    epochs = (len(outcome.trajectory.discriminator.bias) - 1) // count
    chosen = np.unique(np.rint(np.linspace(0, np.sqrt(epochs), FRAMES) ** 2).astype(int))
    latents = np.array([0.1, 0.4, 0.6, 0.9])
    generator, discriminator = jax.tree.map(lambda leaf: leaf[chosen * count], outcome.trajectory)
    over_latents = jax.vmap(generate, (None, 0))
    images = jax.vmap(over_latents, (0, None))(generator, latents)
    logits = jax.vmap(jax.vmap(logit, (None, 0)))(discriminator, images)
    losses_by_epoch = [
        np.reshape(curve, (-1, count)).mean(1)
        for curve in (outcome.curves.generator_error, outcome.curves.discriminator_loss)
    ]
    frames = plots.training_frames(
        plots.new_figure(7, 4.6, dpi=80),
        chosen,
        np.asarray(images),
        latents,
        np.asarray(jax.nn.sigmoid(logits)),
        *losses_by_epoch,
    )
    drawn = [
        Image.fromarray(frame)
        for frame in tqdm(frames, "animation", len(chosen), unit=" frames", disable=None, leave=False)
    ]
    colors = drawn[-1].copy()
    for i, name in enumerate((plots.NEGATIVE, plots.POSITIVE, plots.GENERATOR, plots.DISCRIMINATOR)):
        colors.paste(name, (colors.width // 4, 40 * i, colors.width // 2, 40 * i + 40))
    for row in range(256):  # the last frame has few of the greys that the first ones need
        colors.paste((row, row, row), (0, row, colors.width // 4, row + 1))
    palette = colors.quantize(224)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in drawn]
    indexed[0].save(
        path, save_all=True, append_images=indexed[1:], loop=0, duration=[600] + [110] * (len(drawn) - 2) + [2500]
    )


def compare_with_published(outcome: Outcome) -> None:
    heading("Published and ours")
    generator, discriminator = last_players(outcome)
    ours = dict(
        zip(
            PUBLISHED,
            (outcome.generated, generator.weights, generator.biases, discriminator.weights, discriminator.bias),
            strict=True,
        )
    )
    largest, count = 0.0, 0
    for name, published in PUBLISHED.items():
        pairs = list(zip(np.ravel(published), np.ravel(ours[name]), strict=True))
        for i, (theirs, mine) in enumerate(pairs):
            print(f"  {name if i == 0 else '':22} {theirs:14.8f} {mine:14.8f}   {mine - theirs:+.0e}")
            largest, count = max(largest, abs(mine - theirs)), count + 1
    print(f"Largest difference of the {count} numbers: {largest:.1e} (half a unit of the last printed digit is 5e-09).")


def verdict(value: jax.Array) -> str:
    return f"probability {jax.nn.sigmoid(value):.2f}: {'a face' if value > 0 else 'not a face'}"


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def numbers(values: Any, digits: int = 2) -> str:
    return "[" + " ".join(f"{float(value):{digits + 3}.{digits}f}" for value in values) + "]"


if __name__ == "__main__":
    matplotlib.use("agg")
    results.command_line(tutorial)
