# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The smallest GAN there is
#
# A generator draws slanted faces of 2×2 pixels, a discriminator tells them from real ones, and both learn from each
# other. Together they have thirteen parameters. Run the cells from top to bottom; cells with sliders draw again as you
# move them.
#
# The first cell installs the package, if it is not there, from the wheel that lies beside this notebook. In Colab,
# upload both.

# %%
import importlib.util
import subprocess
import sys

if not importlib.util.find_spec("slantgan_jax"):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "slantgan_jax.whl"], check=True)

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from slantgan_jax import (
    Discriminator,
    Generator,
    faces,
    games,
    generate,
    logit,
    penalties,
    plots,
    rules,
    slanted_land,
    train,
)
from slantgan_jax.analysis import distances

try:
    from ipywidgets import interact
except ImportError:  # without sliders, each figure is drawn once

    def interact(draw, **sliders):
        draw()


# %% [markdown]
# ## 1. Slanted land
#
# Everybody's face is dark on the diagonal and light elsewhere. 1 is dark ink, 0 is light. These five faces are all the
# data.

# %%
figure = plt.figure(figsize=(9, 2.2), layout="constrained")
plots.faces(figure, faces.FACES, columns=5)
plt.show()

# %% [markdown]
# ## 2. A detector made by hand
#
# Add the diagonal, subtract the rest, compare with 1. The sigmoid makes a probability of the result. **Try:** find an
# image that is taken for a face and is none.

# %%
DETECTOR = Discriminator(weights=(1.0, -1.0, -1.0, 1.0), bias=-1.0)


def detect(top_left=0.25, top_right=1.0, bottom_left=0.5, bottom_right=0.75):
    image = np.array([top_left, top_right, bottom_left, bottom_right])
    left, right = plt.figure(figsize=(9, 3.2), layout="constrained").subfigures(1, 2, width_ratios=(1, 3))
    plots.faces(left, image[None], columns=1)
    plots.network(right, discriminator=DETECTOR, image=image)
    plt.show()


pixel = (0.0, 1.0, 0.05)
_ = interact(detect, top_left=pixel, top_right=pixel, bottom_left=pixel, bottom_right=pixel)
# %% [markdown]
# ## 3. A painter made by hand
#
# The generator turns a random number z into an image: each pixel is σ(w z + b).

# %%
PAINTER = Generator(weights=(1.0, -1.0, -1.0, 1.0), biases=(1.0, -1.0, -1.0, 1.0))


def paint(z=0.7):
    plots.network(plt.figure(figsize=(9, 4.6), layout="constrained"), PAINTER, DETECTOR, latent=z)
    plt.show()


_ = interact(paint, z=(0.0, 1.0, 0.05))
# %% [markdown]
# ## 4. What each of them wants
#
# D should say 1 to real faces and 0 to generated ones; its loss is -ln D(x) - ln(1 - D(G(z))). G wants D to say 1; its
# loss is -ln D(G(z)). `jax.grad` gives the slope of both, without a formula typed in.

# %%
z, face = 0.7, tuple(faces.FACES[0])


def loss_of_d(detector):
    return jax.nn.softplus(-logit(detector, face)) + jax.nn.softplus(logit(detector, generate(PAINTER, z)))


def loss_of_g(painter):
    return jax.nn.softplus(-logit(DETECTOR, generate(painter, z)))


of_d, of_g = jax.grad(loss_of_d)(DETECTOR), jax.grad(loss_of_g)(PAINTER)
print("slopes of D's loss: u", faces.stack(of_d.weights).round(2), "c", of_d.bias.round(2), "(D moves the other way)")
print("slopes of G's loss: w", faces.stack(of_g.weights).round(2), "b", faces.stack(of_g.biases).round(2))

# %% [markdown]
# ## 5. Training
#
# In each step D learns from a face, then from a generated image, and then G learns. 5000 steps are 1000 times the five
# faces.

# %%
SLANT = jnp.array([0.5, -0.5, -0.5, 0.5])


def seen(info):
    """After a step: G's mean image, what D says of the faces and of it, the slant of G and the taste of D."""
    generator, discriminator = info.players
    mean = faces.stack(distances.mean_image(generator))
    says = jax.nn.sigmoid(
        jnp.stack([logit(discriminator, tuple(faces.FACES.mean(0))), logit(discriminator, tuple(mean))])
    )
    return mean, says, SLANT @ (mean - faces.FACES.mean(0)), SLANT @ faces.stack(discriminator.weights)


@jax.jit(static_argnames="epochs")
def trained(seed, rate, gamma=0.0, epochs=1000):
    game = games.penalized(slanted_land(), penalties.r1(gamma))
    rule = rules.tutorial(optax.sgd(rate))
    return train(jax.random.key(seed), game, rule, 5 * epochs, record=seen, record_every=5)


run = trained(42, 0.01)
for z in (0.1, 0.5, 0.9):
    print(f"z = {z}:", faces.stack(generate(run.players.generator, z)).round(2))

# %% [markdown]
# ## 6. Has it converged?
#
# The images look good. **Look at the verdicts:** D takes generated images for faces rather than faces.

# %%
_, says, _, _ = run.history
plt.plot(says[:, 0], label="faces")
plt.plot(says[:, 1], label="generated images")
plt.axhline(0.5, color="gray", linestyle=":")
plt.xlabel("epoch")
plt.ylabel("D says")
plt.legend()
plt.show()

# %% [markdown]
# ## 7. It circles
#
# Train longer. The slant of G says how much darker its diagonals are than those of the faces; the taste of D says how
# much it likes dark diagonals. Together they go around. **Try:** a penalty γ on D's slope. How much is best?


# %%
def spiral(log10_rate=-2.0, gamma=0.0, epochs=12_000):
    _, _, slants, tastes = trained(42, 10.0**log10_rate, gamma, epochs).history
    plt.figure(figsize=(5, 5))
    plt.plot(slants, tastes, linewidth=0.8)
    plt.plot(slants[-1], tastes[-1], "o", label="the end")
    plt.plot(0, 0, "k+", label="equilibrium")
    plt.xlabel("slant of G")
    plt.ylabel("taste of D")
    plt.legend()
    plt.show()


_ = interact(spiral, log10_rate=(-2.0, 0.0, 0.25), gamma=(0.0, 0.3, 0.02), epochs=[12_000, 1_000, 4_000])
# %% [markdown]
# ## 8. A thousand runs at once
#
# A run is a pure function of its seed, so `jax.vmap` makes a thousand of them.

# %%
many = jax.vmap(lambda seed: trained(seed, 0.01, epochs=200))(jnp.arange(1000))
_, _, slants, tastes = many.history
plt.scatter(slants[:, -1], tastes[:, -1], s=4)
plt.xlabel("slant of G")
plt.ylabel("taste of D")
plt.title("A thousand seeds after 200 epochs")
plt.show()
