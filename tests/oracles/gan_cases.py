"""GANs of two perceptrons, as plain settings and numbers: what `torch_gans.py` trains, and the library after it.

Nothing here knows PyTorch or JAX. The numbers come from NumPy's legacy generator, whose streams never change.
"""

import itertools
from typing import NamedTuple

import numpy as np

BATCH, LATENT, HIDDEN, POINT = 16, 4, 8, 2
ITEMS = 100
"""The data set's points; no multiple of the batch, so that batches of different epochs differ."""

STEPS, RECORD_EVERY = 200, 10

Named = tuple
"""A name, followed by numbers."""


class Case(NamedTuple):
    """The settings of one run.

    Attributes:
      objective: a name of `losses.OBJECTIVES`.
      smoothing: D's target for real points is 1 less this.
      penalties: of D, as (name, strength, ...).
      noise: the deviation of the instance noise.
      spectral: whether D's weights are divided by their largest singular value.
      clip: the bound of D's parameters; 0 for none.
      rule: "simultaneous", "alternating", "tutorial", "past extragradient" or "unrolled", with its numbers.
      order: the players in the order of their moves, for "alternating".
      fresh: whether each move sees a batch of its own.
      field: a transform of the gradients, with its numbers. A last entry that is a tuple is the field inside.
      optimizer: its name and numbers.
      rates: the learning rates of G and D.
      lookahead: the period and the share; () for none.
      average: "ema" with its decay, or "mean"; () for none.
      lazy: the penalties apply at every so manieth step only; 0 for always.
      activation: "tanh", "relu", "leaky_relu" or "softplus".
      batch_norm: whether G and D normalize over the batch.
      packing: how many points D judges at once.
      independent_latents: whether G's loss has latents of its own.
      scale: of the weights at the start.
    """

    objective: str = "non-saturating"
    smoothing: float = 0.0
    penalties: tuple[Named, ...] = ()
    noise: float = 0.0
    spectral: bool = False
    clip: float = 0.0
    rule: Named = ("simultaneous",)
    order: tuple[str, ...] = ("discriminator", "generator")
    fresh: bool = False
    field: Named = ("gradients",)
    optimizer: Named = ("sgd",)
    rates: tuple[float, float] = (0.1, 0.2)
    lookahead: tuple = ()
    average: Named = ()
    lazy: int = 0
    activation: str = "tanh"
    batch_norm: tuple[bool, bool] = (False, False)
    packing: int = 1
    independent_latents: bool = False
    scale: float = 1.0


PLAIN, ALTERNATING = Case(), Case(rule=("alternating",))
G_FIRST, D_TWICE = ("generator", "discriminator"), ("discriminator", "discriminator", "generator")
OF_ADAM = {"optimizer": ("adam", 0.5), "rates": (0.002, 0.005)}
OF_SCORES = ALTERNATING._replace(objective="Wasserstein", rates=(0.02, 0.05))

CASES = {
    "non-saturating": PLAIN,
    "saturating": PLAIN._replace(objective="saturating"),
    "KL-type": PLAIN._replace(objective="KL-type", rates=(0.02, 0.1)),
    "Wasserstein": OF_SCORES._replace(rule=("simultaneous",), rates=(0.01, 0.01)),
    "least squares": PLAIN._replace(objective="least squares"),
    "hinge": PLAIN._replace(objective="hinge", activation="leaky_relu", rates=(0.02, 0.1)),
    "relativistic": PLAIN._replace(objective="relativistic"),
    "smoothed": PLAIN._replace(smoothing=0.1),
    "ReLU": PLAIN._replace(activation="relu"),
    "softplus": PLAIN._replace(activation="softplus"),
    "r1": ALTERNATING._replace(penalties=(("r1", 0.5),)),
    "r2": ALTERNATING._replace(penalties=(("r2", 0.5),)),
    "r1 and r2, relativistic": ALTERNATING._replace(objective="relativistic", penalties=(("r1", 0.2), ("r2", 0.3))),
    "r1 of ReLU": ALTERNATING._replace(penalties=(("r1", 0.5),), activation="relu"),
    "wgan_gp": OF_SCORES._replace(penalties=(("wgan_gp", 0.5),)),
    "wgan_gp of ReLU": OF_SCORES._replace(penalties=(("wgan_gp", 0.5),), activation="relu"),
    "zero_centered": ALTERNATING._replace(penalties=(("zero_centered", 0.5),)),
    "dragan": ALTERNATING._replace(penalties=(("dragan", 0.5, 0.04, 0.8),)),
    "instance noise": ALTERNATING._replace(noise=0.3),
    "instance noise and wgan_gp": ALTERNATING._replace(noise=0.3, penalties=(("wgan_gp", 0.3),)),
    "spectral": OF_SCORES._replace(spectral=True),
    "spectral and hinge": ALTERNATING._replace(spectral=True, objective="hinge"),
    "clipping": OF_SCORES._replace(clip=0.3, rates=(0.05, 0.05)),
    "clipping with RMSProp": OF_SCORES._replace(clip=0.1, optimizer=("rmsprop",), rates=(0.005, 0.005)),
    "lazy r1": ALTERNATING._replace(penalties=(("r1", 2.0),), lazy=4),
    "lazy r1, D twice": ALTERNATING._replace(penalties=(("r1", 1.0),), lazy=3, order=D_TWICE),
    "alternating": ALTERNATING,
    "alternating, G first": ALTERNATING._replace(order=G_FIRST),
    "alternating, D twice": ALTERNATING._replace(order=D_TWICE),
    "fresh": ALTERNATING._replace(fresh=True),
    "fresh, D twice": ALTERNATING._replace(fresh=True, order=D_TWICE, penalties=(("wgan_gp", 0.3),)),
    "tutorial": Case(rule=("tutorial",)),
    "tutorial with r1": Case(rule=("tutorial",), penalties=(("r1", 0.3),)),
    "tutorial with Adam": Case(rule=("tutorial",), **OF_ADAM),
    "extragradient": PLAIN._replace(field=("extragradient", 0.2)),
    "extragradient with Adam": PLAIN._replace(field=("extragradient", 0.1), **OF_ADAM),
    "extragradient in turn": ALTERNATING._replace(field=("extragradient", 0.2)),
    "past extragradient": Case(rule=("past extragradient", 0.2)),
    "optimistic": PLAIN._replace(optimizer=("optimistic",)),
    "lookahead": ALTERNATING._replace(lookahead=(5, 0.5)),
    "lookahead with Adam": ALTERNATING._replace(lookahead=(7, 0.3), **OF_ADAM),
    "average ema": ALTERNATING._replace(average=("ema", 0.9)),
    "average mean": PLAIN._replace(average=("mean",)),
    "consensus": PLAIN._replace(field=("consensus", 0.5)),
    "consensus with RMSProp": PLAIN._replace(field=("consensus", 10.0), optimizer=("rmsprop",), rates=(0.002, 0.002)),
    "sga": PLAIN._replace(field=("sga", 1.0)),
    # From there the sign is -1 in some steps and +1 in others.
    "sga aligned": PLAIN._replace(field=("sga aligned", 0.1), objective="hinge", rates=(0.01, 0.01), scale=1.5),
    "lola": PLAIN._replace(field=("lola", 0.5)),
    "lola in turn": ALTERNATING._replace(field=("lola", 0.5)),
    "sos": PLAIN._replace(field=("sos", 0.5)),
    "cgd": PLAIN._replace(field=("cgd", 0.5)),
    "unrolled field": PLAIN._replace(field=("unrolled", 3, 0.3)),
    "unrolled field in turn": ALTERNATING._replace(field=("unrolled", 3, 0.3)),
    "unrolled through SGD": Case(rule=("unrolled", 3)),
    "unrolled through momentum": Case(rule=("unrolled", 3), optimizer=("sgd", 0.5)),
    "unrolled through Adam": Case(rule=("unrolled", 3), **OF_ADAM),
    "unrolled through Adam, fresh": Case(rule=("unrolled", 5), fresh=True, objective="saturating", **OF_ADAM),
    "unrolled through RMSProp": Case(rule=("unrolled", 2), optimizer=("rmsprop",), rates=(0.002, 0.005)),
    "heun": PLAIN._replace(field=("heun", 0.3)),
    "heun, frozen": PLAIN._replace(field=("heun frozen", 0.3)),
    "rk4": PLAIN._replace(field=("rk4", 0.5)),
    "rk4, frozen": PLAIN._replace(field=("rk4 frozen", 0.5)),
    "opponent penalty of G": PLAIN._replace(field=("opponent_penalty", 0.5, 0.0), objective="saturating"),
    "opponent penalty of D": PLAIN._replace(field=("opponent_penalty", 0.0, 0.5)),
    "opponent penalty in rk4": PLAIN._replace(field=("rk4", 0.3, ("opponent_penalty", 0.0, 0.3))),
    "opponent penalty on frozen rk4": PLAIN._replace(field=("opponent_penalty", 0.1, 0.3, ("rk4 frozen", 0.3))),
    "momentum": ALTERNATING._replace(optimizer=("sgd", 0.7), rates=(0.05, 0.05)),
    "negative momentum": ALTERNATING._replace(optimizer=("sgd", -0.5)),
    "Adam": ALTERNATING._replace(**OF_ADAM),
    "RMSProp": PLAIN._replace(optimizer=("rmsprop",), rates=(0.005, 0.005)),
    "batch norm": ALTERNATING._replace(batch_norm=(True, False), activation="relu", **OF_ADAM),
    "batch norm of both, r1": ALTERNATING._replace(batch_norm=(True, True), penalties=(("r1", 0.3),)),
    "batch norm, consensus": PLAIN._replace(batch_norm=(True, False), field=("consensus", 0.3)),
    "packing": ALTERNATING._replace(packing=2),
    "packing, wgan_gp": OF_SCORES._replace(packing=2, penalties=(("wgan_gp", 0.3),)),
    "packing, batch norm, Adam": ALTERNATING._replace(packing=2, batch_norm=(True, False), noise=0.1, **OF_ADAM),
    "independent latents": ALTERNATING._replace(independent_latents=True),
    "independent latents, relativistic": PLAIN._replace(independent_latents=True, objective="relativistic"),
}


def sizes(case: Case) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The widths of the layers of G and of D."""
    return (LATENT, HIDDEN, HIDDEN, POINT), (POINT * case.packing, HIDDEN, HIDDEN, 1)


def start(case: Case) -> np.ndarray:
    """All parameters, G's and then D's: of each layer the weights `[outputs, inputs]`, and the biases."""
    legacy, numbers = np.random.RandomState(0), []
    for widths in sizes(case):
        for inputs, outputs in itertools.pairwise(widths):
            bound = np.sqrt(6 / (inputs + outputs))
            weights = case.scale * legacy.uniform(-bound, bound, inputs * outputs)
            numbers += [weights, legacy.uniform(-0.2, 0.2, outputs)]
    return np.concatenate(numbers)


def data() -> np.ndarray:
    """Points `[ITEMS, POINT]` on a ring around (0.3, 0), with noise."""
    legacy = np.random.RandomState(1)
    angles = legacy.uniform(0, 2 * np.pi, ITEMS)
    ring = np.stack([np.cos(angles) + 0.3, np.sin(angles)], -1)
    return ring + 0.1 * legacy.normal(size=ring.shape)


def samples(case: Case) -> int:
    """How many batches a run sees."""
    names = case.order if case.rule == ("alternating",) else ("discriminator", "generator")
    return STEPS * (len(names) if case.fresh else max(map(names.count, names)))


def draws(case: Case) -> dict[str, np.ndarray]:
    """All that is random in a run but the data, one after the other. A pack is one item."""
    count, pack = samples(case) * BATCH, (case.packing,) if case.packing > 1 else ()
    normal = {
        "latent": (count * case.packing, LATENT),
        "generator_latent": (count * case.packing, LATENT),
        "real_noise": (count, *pack, POINT),
        "fake_noise": (count, *pack, POINT),
        "penalty_noise": (count, *pack, POINT),
    }
    found = {name: np.random.RandomState(2 + i).normal(size=shape) for i, (name, shape) in enumerate(normal.items())}
    return found | {"epsilon": np.random.RandomState(9).uniform(size=count)}
