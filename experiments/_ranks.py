"""Rank correlations of indicators with truths, over runs of which several start from the same seed."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats

Correlation = Callable[[np.ndarray, int], np.ndarray]
"""`(table [rows, runs], truths) -> [truths, rows]`: how each of the first rows orders the runs as each row does."""


def spearman(table: np.ndarray, truths: int) -> np.ndarray:
    """Spearman's ρ."""
    return np.corrcoef(stats.rankdata(table, axis=1))[:truths]


def kendall(table: np.ndarray, truths: int) -> np.ndarray:
    """Kendall's τ_b of the first truth. It takes long, so the others have NaN."""
    tau = [stats.kendalltau(table[0], row)[0] for row in table]
    return np.concatenate([[tau], np.full((truths - 1, len(table)), np.nan)])


def rank_correlations(
    truths: Mapping[str, np.ndarray],
    indicators: Mapping[str, np.ndarray],
    seeds: np.ndarray,
    seed_count: int,
    resamples: int,
    correlation: Correlation = spearman,
) -> dict[str, dict[str, list[float]]]:
    """The correlation and both ends of its 95 % interval, for each truth and indicator: values `[runs]` by name.

    Runs of one seed, a number below `seed_count`, share their start, so the interval comes from drawing seeds anew, so
    often as `resamples` says. It is NaN without resamples.
    """
    table, random, again = np.stack([*truths.values(), *indicators.values()]), np.random.default_rng(1), []
    value = correlation(table, len(truths))
    for _ in range(resamples):
        drawn = np.bincount(random.choice(seed_count, seed_count), minlength=seed_count)
        runs = np.repeat(np.arange(len(seeds)), drawn[seeds])
        again.append(correlation(table[:, runs], len(truths)))
    low, high = np.quantile(again, (0.025, 0.975), axis=0) if again else (value * np.nan, value * np.nan)
    found = np.stack([value, low, high], axis=-1)[:, len(truths) :].tolist()
    return {truth: dict(zip(indicators, row, strict=True)) for truth, row in zip(truths, found, strict=True)}
