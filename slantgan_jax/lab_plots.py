"""The figure of the zoo of methods: arrays in, drawings out, as in `plots`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm

from slantgan_jax.plots import Panel

VERDICT_WORDS = {
    "approaching": "nearing", "circling": "circles", "resting": "rests\naway", "drifting": "drifts",
    "diverged": "diverges", "converged": "some",
}  # fmt: skip
VERDICT_COLORS = {"circling": "#9ca3af", "resting": "#a8a29e", "drifting": "#bfb9ae", "diverged": "#3f3f46"}


def zoo(
    panel: Panel,
    entries: Sequence[Mapping[str, Any]],
    methods: Sequence[str],
    columns: Sequence[tuple[str, str]],
    steps: int,
) -> None:
    """One cell for each of the `methods` (rows) in each objective and rule (`columns`): median steps to equilibrium.

    An entry has `objective`, `rule`, `method`, `rate`, `converged` (a share), `steps` (quartiles), `verdict`.
    """
    ax = panel.subplots()
    cells = {(e["method"], e["objective"], e["rule"]): e for e in entries}
    norm, colors = LogNorm(max(steps / 100, 1), steps), colormaps["viridis_r"]
    for row, method in enumerate(methods):
        for column, (objective, rule) in enumerate(columns):
            entry = cells.get((method, objective, rule))
            if entry is None:
                continue
            median = entry["steps"][1]
            reached = np.isfinite(median)
            face = colors(norm(median)) if reached else VERDICT_COLORS.get(entry["verdict"], "#cbd5e1")
            dark = entry["verdict"] == "diverged" if not reached else norm(median) > 0.5
            ax.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=face, linewidth=0)
            text = f"{median:.0f}\n{entry['rate']:g}" if reached else VERDICT_WORDS.get(entry["verdict"], "")
            ax.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if dark else "black",
                linespacing=0.9,
            )
    objectives = list(dict.fromkeys(objective for objective, _ in columns))
    for objective in objectives:
        where = [i for i, (name, _) in enumerate(columns) if name == objective]
        ax.text((where[0] + where[-1]) / 2, -0.75, objective, ha="center", va="bottom", fontsize=9)
        ax.axvline(where[-1] + 0.5, color="white", linewidth=3)
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(methods) - 0.5, -0.5))
    ax.set_xticks(range(len(columns)), [rule for _, rule in columns], rotation=60, ha="right", fontsize=8)
    ax.set_yticks(range(len(methods)), methods, fontsize=9)
    ax.tick_params(length=0)
    reached = [e for e in entries if np.isfinite(e["steps"][1])]
    winner = min(reached, key=lambda e: e["steps"][1]) if reached else None
    best = "" if winner is None else f"\nfastest: {winner['method']}, {winner['objective']}, {winner['rule']}"
    ax.set_title(f"Median steps to equilibrium; below, at which rate: {len(reached)} of {len(entries)} get there{best}",
                 fontsize=10, pad=24)  # fmt: skip
