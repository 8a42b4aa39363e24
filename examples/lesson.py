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
# ## 4. How wrong is a prediction?
#
# A prediction p of a probability is punished with -ln(p) if the label is 1, and with -ln(1 - p) if it is 0. A right
# prediction that is sure costs little, a wrong one that is sure costs much. **Try:** which p costs as much with both
# labels?


# %%
def errors(p=0.9):
    predictions = np.linspace(0.005, 0.995, 199)
    plt.figure(figsize=(6, 3))
    plt.plot(predictions, -np.log(predictions), label=f"label 1, a face: {-np.log(p):.2f}")
    plt.plot(predictions, -np.log(1 - predictions), label=f"label 0, no face: {-np.log(1 - p):.2f}")
    plt.plot([p, p], [-np.log(p), -np.log(1 - p)], "ko")
    plt.xlabel("prediction p")
    plt.ylabel("error")
    plt.legend()
    plt.show()


_ = interact(errors, p=(0.05, 0.95, 0.05))
# %% [markdown]
# ## 5. What each of them wants, and the derivatives
#
# D should say 1 to real faces and 0 to generated ones; its loss is $-\ln D(x) - \ln(1 - D(G(z)))$. G wants D to say 1;
# its loss is $-\ln D(G(z))$. With the logit $\ell = u \cdot x + c$ and $D = \sigma(\ell)$, and since
# $\sigma' = \sigma (1 - \sigma)$,
#
# $$\frac{d(-\ln D)}{d\ell} = -(1 - D), \qquad \frac{d(-\ln(1 - D))}{d\ell} = D.$$
#
# The chain rule does the rest. For D, $\partial \ell / \partial u_i = x_i$ and $\partial \ell / \partial c = 1$.
# For G the way is longer: $\partial \ell / \partial x_i = u_i$, and a pixel $x_i = \sigma(w_i z + b_i)$ has
# $\partial x_i / \partial b_i = x_i (1 - x_i)$ and $\partial x_i / \partial w_i = x_i (1 - x_i) z$. So
#
# | | from a face x | from a generated x = G(z) |
# |---|---|---|
# | $\partial L_D / \partial u_i$ | $-(1 - D) x_i$ | $D x_i$ |
# | $\partial L_D / \partial c$ | $-(1 - D)$ | $D$ |
# | $\partial L_G / \partial b_i$ | | $-(1 - D) u_i x_i (1 - x_i)$ |
# | $\partial L_G / \partial w_i$ | | $-(1 - D) u_i x_i (1 - x_i) z$ |
#
# `jax.grad` finds the same slopes from the losses alone.

# %%
z, face = 0.7, tuple(faces.FACES[0])


def loss_of_d(detector):
    return jax.nn.softplus(-logit(detector, face)) + jax.nn.softplus(logit(detector, generate(PAINTER, z)))


def loss_of_g(painter):
    return jax.nn.softplus(-logit(DETECTOR, generate(painter, z)))


of_d, of_g = jax.grad(loss_of_d)(DETECTOR), jax.grad(loss_of_g)(PAINTER)
print("slopes of D's loss: u", faces.stack(of_d.weights).round(2), "c", of_d.bias.round(2), "(D moves the other way)")
print("slopes of G's loss: w", faces.stack(of_g.weights).round(2), "b", faces.stack(of_g.biases).round(2))

# %%
x, fake, u = np.array(face), np.array(generate(PAINTER, z)), np.array(DETECTOR.weights)
real_says, fake_says = (float(jax.nn.sigmoid(logit(DETECTOR, tuple(image)))) for image in (x, fake))
by_hand = {
    "u": -(1 - real_says) * x + fake_says * fake,
    "c": -(1 - real_says) + fake_says,
    "b": -(1 - fake_says) * u * fake * (1 - fake),
    "w": -(1 - fake_says) * u * fake * (1 - fake) * z,
}
by_jax = {"u": faces.stack(of_d.weights), "c": of_d.bias, "b": faces.stack(of_g.biases), "w": faces.stack(of_g.weights)}
for name, slope in by_hand.items():
    print(f"{name}: largest difference from jax.grad {np.max(np.abs(slope - by_jax[name])):.0e}")

# %% [markdown]
# ## 6. Training
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
for latent in (0.1, 0.5, 0.9):
    print(f"z = {latent}:", faces.stack(generate(run.players.generator, latent)).round(2))

# %% [markdown]
# ## 7. The article's own run
#
# The key 42 is not NumPy's seed 42. With NumPy's numbers and the formulas of section 5, in the article's order, these
# are the 29 numbers that it prints: thirteen parameters, and four images.

# %%
random, rate = np.random.RandomState(42), 0.01
u, c, w, b = random.normal(size=4), random.normal(), random.normal(size=4), random.normal(size=4)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


for _ in range(1000):
    for x in faces.FACES:
        slope = sigmoid(u @ x + c) - 1  # D learns from a face
        u, c = u - rate * slope * x, c - rate * slope
        latent = random.rand()
        fake = sigmoid(w * latent + b)
        slope = sigmoid(u @ fake + c)  # and from a generated image
        u, c = u - rate * slope * fake, c - rate * slope
        slope = (sigmoid(u @ fake + c) - 1) * u * fake * (1 - fake)  # G learns from what D now says
        w, b = w - rate * slope * latent, b - rate * slope
images = [sigmoid(w * latent + b) for latent in random.rand(4)]
print("G: w", w, "b", b)
print("D: u", u, "c", c)
print(np.array(images))

# %% [markdown]
# Where the article is loose:
#
# - Its "discriminator error" feeds the number z, not the image G(z), to D. It is not D's loss.
# - Its discriminator made by hand leaves out the bias, and calls a non-face of probability 0.38 "a face".
# - Its generator made by hand needs the biases (1, -1, -1, 1): with 1 everywhere the light pixels are not light.
# - It says that both players minimize the sum of both errors. D does, with the error on faces; G minimizes one of them.
# - It ends with "the generator becomes stable". The next sections look.

# %% [markdown]
# ## 8. Has it converged?
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
# ## 9. It circles
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
# ## 10. A thousand runs at once
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
