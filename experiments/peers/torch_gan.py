"""The tutorial GAN in PyTorch, many at once, with gradients by hand: a row of the benchmark. A GPU is used, if any."""

import torch  # pyright: ignore[reportMissingImports]  # not a dependency: the benchmark uses it where it is there
from numpy_gan import FACES

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def epoch(w, b, u, c, rate, faces, latents):
    """One pass over the faces; `w`, `b`, `u` are `[4, runs]`, `c` and `rate` `[runs]`, `latents` `[5, runs]`."""
    for face, z in zip(faces, latents, strict=True):
        x = face[:, None]
        slope = rate * torch.sigmoid(-((u * x).sum(0) + c))
        u, c = u + slope * x, c + slope
        fake = torch.sigmoid(w * z + b)
        slope = rate * torch.sigmoid((u * fake).sum(0) + c)
        u, c = u - slope * fake, c - slope
        slope = rate * torch.sigmoid(-((u * fake).sum(0) + c)) * u * fake * (1 - fake)
        w, b = w + slope * z, b + slope
    return w, b, u, c


def trainer(runs, epochs):
    """A function that trains `runs` GANs for `epochs` epochs at rate 0.01, compiled."""
    compiled = torch.compile(epoch)
    rate = torch.full((runs,), 0.01, device=DEVICE)
    faces = torch.tensor(FACES, dtype=torch.float32, device=DEVICE)

    @torch.no_grad()
    def work():
        w, b, u = torch.randn(3, 4, runs, device=DEVICE)
        c = torch.randn(runs, device=DEVICE)
        for _ in range(epochs):
            w, b, u, c = compiled(w, b, u, c, rate, faces, torch.rand(len(FACES), runs, device=DEVICE))
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        return w, b, u, c

    return work
