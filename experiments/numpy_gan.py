"""The tutorial's program in plain NumPy, kept independent of the library: the oracle of the tests, the baseline of
the benchmark.

Gradients are derived by hand, as in the article's section 11, and everything else is done the way such a program
does it: one object a network, one image at a time, activations computed anew wherever they are needed.
"""

from typing import NamedTuple

import numpy as np

FACES = np.array([[1, 0, 0, 1], [0.9, 0.1, 0.2, 0.8], [0.9, 0.2, 0.1, 0.8], [0.8, 0.1, 0.2, 0.9], [0.8, 0.2, 0.1, 0.9]])


def sigmoid(score):
    return np.exp(score) / (1.0 + np.exp(score))


class Discriminator:
    def __init__(self, weights, bias, rate):
        self.weights, self.bias, self.rate = weights, bias, rate

    def predict(self, image):
        return sigmoid(np.dot(image, self.weights) + self.bias)

    def error(self, image, label):
        return -np.log(self.predict(image) if label else 1.0 - self.predict(image))

    def learn(self, image, label):
        slope = self.predict(image) - label
        self.weights = self.weights - self.rate * slope * image
        self.bias = self.bias - self.rate * slope


class Generator:
    def __init__(self, weights, biases, rate):
        self.weights, self.biases, self.rate = weights, biases, rate

    def draw(self, latent):
        return sigmoid(self.weights * latent + self.biases)

    def error(self, latent, discriminator):
        return -np.log(discriminator.predict(self.draw(latent)))

    def learn(self, latent, discriminator):
        image = self.draw(latent)
        slope = -(1.0 - discriminator.predict(image)) * discriminator.weights * image * (1.0 - image)
        self.weights = self.weights - self.rate * slope * latent
        self.biases = self.biases - self.rate * slope


class Outcome(NamedTuple):
    discriminator: Discriminator
    generator: Generator
    generated: np.ndarray
    generator_errors: np.ndarray
    published_errors: np.ndarray
    discriminator_losses: np.ndarray


def train(seed=42, rate=0.01, epochs=1000, faces=FACES, true_losses=False):
    """Trains from NumPy's legacy stream. The curves hold one value a step, taken between D's two steps; the true loss
    of the discriminator, which the article does not look at, is recorded on demand."""
    stream = np.random.RandomState(seed)
    D = Discriminator(stream.normal(size=4), stream.normal(), rate)
    G = Generator(stream.normal(size=4), stream.normal(size=4), rate)
    generator_errors, published_errors, discriminator_losses = [], [], []
    for _ in range(epochs):
        for face in faces:
            D.learn(face, 1)
            latent = stream.rand()
            on_scalar = -np.log(1.0 - sigmoid(latent * D.weights + D.bias))
            published_errors.append(np.sum(D.error(face, 1) + on_scalar))
            generator_errors.append(G.error(latent, D))
            fake = G.draw(latent)
            if true_losses:
                discriminator_losses.append(D.error(face, 1) + D.error(fake, 0))
            D.learn(fake, 0)
            G.learn(latent, D)
    generated = np.array([G.draw(stream.rand()) for _ in range(4)])
    return Outcome(D, G, generated, *map(np.array, (generator_errors, published_errors, discriminator_losses)))


if __name__ == "__main__":
    print(train(42, 0.01, 1000).generated)
