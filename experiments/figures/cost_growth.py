"""The figure of cost_growth.py."""

from typing import Any

from slantgan_jax.plots import DISCRIMINATOR, GENERATOR, POSITIVE, Panel

COLORS = GENERATOR, DISCRIMINATOR, POSITIVE
LABELS = {
    "memory, MiB": "memory, MiB",
    "open, s": "to open the store, s",
    "second, s": "to compute, compiled before, s",
}


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """Left time and storage of a run, middle memory and opening, against runs; right time of a step against pixels."""
    left, middle, right = panel.subplots(1, 3)
    sizes, rows = list(map(int, data["runs"])), list(data["runs"].values())
    for ax, names in ((left, ("µs a run", "store, bytes a run")), (middle, LABELS)):
        for name, color in zip(names, COLORS[: len(names)], strict=True):
            ax.plot(sizes, [row[name] for row in rows], "o-", color=color, label=LABELS.get(name, name))
        ax.set(xscale="log", yscale="log", xlabel="runs of the sweep")
        ax.legend(fontsize=9)
    for kind, color, label in (
        ("array", GENERATOR, "one array"),
        ("scalars", DISCRIMINATOR, "a number for each pixel"),
    ):
        pixels = [int(side) ** 2 for side in data[kind]]
        values = list(data[kind].values())
        right.plot(pixels, [row["ns a step"] for row in values], "o-", color=color, label=f"{label}: ns a step")
        right.plot(
            pixels, [1e3 * row["first, s"] for row in values], "x--", color=color, label=f"{label}: first call, ms"
        )
    right.set(xscale="log", yscale="log", xlabel="pixels", ylim=(10, 2e6))
    right.legend(fontsize=8, loc="upper left")
    left.set_title("A run costs less in a larger sweep", fontsize=10)
    middle.set_title("The whole sweep", fontsize=10)
    right.set_title("A step of one of 64 GANs", fontsize=10)
    panel.suptitle(data["answer"], fontsize=11)
