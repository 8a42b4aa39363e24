"""The smallest GAN there is, on one page, to be read from top to bottom. Run it by `python examples/smallest_gan.py`.

A face is an image of 2×2 pixels with a dark diagonal (1 is dark, 0 is light). The generator turns a random number z
into an image. The discriminator tells faces from generated images. Each learns from the mistakes of the other.
"""

import jax
import jax.numpy as jnp
import optax

FACES = [[1, 0, 0, 1], [0.9, 0.1, 0.2, 0.8], [0.9, 0.2, 0.1, 0.8], [0.8, 0.1, 0.2, 0.9], [0.8, 0.2, 0.1, 0.9]]
OPTIMIZER = optax.sgd(learning_rate=0.01)


def generate(generator, z):
    """The generator's image: each of the four pixels is σ(weight · z + bias)."""
    return jax.nn.sigmoid(generator["weights"] * z + generator["biases"])


def logit(discriminator, image):
    """The discriminator's logit ℓ = weights · image + bias: it takes the image for a face with the probability σ(ℓ)."""
    return jnp.sum(discriminator["weights"] * image) + discriminator["bias"]


# softplus(ℓ) = ln(1 + exp ℓ) = -ln(1 - σ(ℓ)) and softplus(-ℓ) = -ln σ(ℓ). The derivative is σ; JAX's own is longer.
softplus = jax.custom_jvp(lambda a: jnp.logaddexp(a, 0))
softplus.defjvps(lambda tangent, value, a: jax.nn.sigmoid(a) * tangent)


def learn(player, state, loss):
    """One step of gradient descent on this loss, for one player and the state of its optimizer."""
    update, state = OPTIMIZER.update(jax.grad(loss)(player), state)
    return optax.apply_updates(player, update), state


def step(carry, seen):
    """The discriminator learns from a face, then from a generated image. Then the generator learns to deceive it."""
    (generator, discriminator, state_g, state_d), (face, z) = carry, seen
    discriminator, state_d = learn(discriminator, state_d, lambda d: softplus(-logit(d, face)))
    discriminator, state_d = learn(discriminator, state_d, lambda d: softplus(logit(d, generate(generator, z))))
    generator, state_g = learn(generator, state_g, lambda g: softplus(-logit(discriminator, generate(g, z))))
    return (generator, discriminator, state_g, state_d), None


@jax.jit(static_argnames="epochs")
def train(key, epochs):
    """Both networks, trained from a random start. In each epoch they see each of the five faces once."""
    key_start, key_z = jax.random.split(key)
    slopes, bias, weights, biases = jnp.split(jax.random.normal(key_start, 13), [4, 5, 9])
    generator, discriminator = {"weights": weights, "biases": biases}, {"weights": slopes, "bias": bias[0]}
    start = generator, discriminator, OPTIMIZER.init(generator), OPTIMIZER.init(discriminator)
    seen = jnp.tile(jnp.array(FACES), (epochs, 1)), jax.random.uniform(key_z, 5 * epochs)
    return jax.lax.scan(step, start, seen)[0][:2]


if __name__ == "__main__":
    generator, discriminator = train(jax.random.key(42), epochs=1000)
    for z in (0.1, 0.5, 0.9):
        image = generate(generator, z)
        print(f"z = {z}:  {image.round(2)}, a face with probability {jax.nn.sigmoid(logit(discriminator, image)):.2f}")
