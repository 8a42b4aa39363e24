"""The figure of benchmark.py: the time of a training step, for each program."""

from typing import Any

from slantgan_jax.plots import GENERATOR, QUIET, Panel


def draw(panel: Panel, data: dict[str, Any]) -> None:
    """Bars of nanoseconds per GAN and step, the slowest first, on a logarithmic scale; the library's are colored."""
    ax = panel.subplots()
    costs = dict(sorted(data["ns_per_gan_and_step"].items(), key=lambda row: -row[1]))
    colors = [GENERATOR if name.startswith("JAX") else QUIET for name in costs]
    ax.barh(list(costs), list(costs.values()), color=colors)
    for i, value in enumerate(costs.values()):
        ax.text(value * 1.1, i, f"{value:,.0f}" if value >= 100 else f"{value:.2f}", va="center", fontsize=9)
    ax.invert_yaxis()
    ax.set(
        xscale="log",
        xlabel="nanoseconds per GAN and step",
        xlim=(min(1, 0.5 * min(costs.values())), 8 * max(costs.values())),
    )
    ax.set_title(data["answer"], fontsize=11)
