"""The figure of critical_penalty.py."""

from typing import Any

from matplotlib.axes import Axes

from slantgan_jax import plots

COLORS = {"flow": plots.GENERATOR, "simultaneous": plots.POSITIVE, "alternating": plots.DISCRIMINATOR}


def draw(figure: plots.Figure, data: dict[str, Any]) -> None:
    """Against the penalty's strength: left the decay rate of the flow, right the factor of a step."""
    left, right = figure.subplots(1, 2)
    curves(left, data, "flow")
    left.set(ylabel="decay rate: smallest real part of an eigenvalue", ylim=(0, None))
    left.set_title(f"The flow is fastest at γ = {data['flow']['best']:.3g}, where the eigenvalues meet", fontsize=10)
    curves(right, data, "simultaneous", "alternating")
    right.set(ylabel="factor of the distance in a step: spectral radius")
    right.set_title("Updates are fastest there, or just below if players alternate", fontsize=10)
    figure.suptitle(data["answer"], fontsize=12)


def curves(ax: Axes, data: dict[str, Any], *names: str) -> None:
    for name in names:
        curve, color = data[name], COLORS[name]
        ax.plot(data["strengths"], curve["closed"], color=color, label=f"{name}: closed form")
        ax.plot(
            data["measured strengths"], curve["measured"], "o", color=color, markersize=3.5, label=f"{name}: measured"
        )
        ax.axvline(curve["best"], color=color, linestyle=":", linewidth=1)
    ax.set_xlabel("strength γ of the penalty R1")
    ax.legend(fontsize=9)
