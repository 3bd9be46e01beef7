"""Rank correlation of layer index and growth, with exact p-values for the few layers a model has."""

from __future__ import annotations

from functools import cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr  # Student's t; scipy.stats takes a second to import

_ENUMERABLE = 8  # 8! = 40320 orders; above it Spearman's p comes from the t distribution


class RankCorrelation(NamedTuple):
    """Kendall's τ and Spearman's ρ with two-sided p-values under "every order of the layers is equally
    likely". τ < 0: early layers have the larger values."""

    tau: float
    tau_p: float
    rho: float
    rho_p: float
    exact: bool


@cache
def kendall_counts(n: int) -> tuple[int, ...]:
    """Number of orders of n things with 0, 1, … n(n−1)/2 inversions (Kendall 1938)."""
    counts = [1]
    for size in range(2, n + 1):
        longer = [0] * (len(counts) + size - 1)
        for inversions, ways in enumerate(counts):
            for extra in range(size):
                longer[inversions + extra] += ways
        counts = longer
    return tuple(counts)


def _kendall_distribution(n: int) -> np.ndarray:
    counts = np.array([float(ways) for ways in kendall_counts(n)])
    return counts / counts.sum()


def two_sided(distribution: np.ndarray, total: float) -> float:
    """Probability of a total at least as far from the middle; the distribution is symmetric."""
    middle = (len(distribution) - 1) / 2
    index = np.arange(len(distribution))
    return float(min(1.0, distribution[np.abs(index - middle) >= abs(total - middle) - 1e-9].sum()))


def inversions(values: np.ndarray) -> int:
    """Pairs (i < j) with values[i] > values[j]."""
    return sum(int((values[i] > values[i + 1 :]).sum()) for i in range(len(values)))


@cache
def _spearman_table(n: int) -> np.ndarray:
    ranks = np.arange(n, dtype=float)
    centred = ranks - ranks.mean()
    orders = np.array(list(permutations(centred)))
    return np.abs(orders @ centred / (centred @ centred))


def _spearman_p(rho: float, n: int) -> float:
    if n <= _ENUMERABLE:
        return float((_spearman_table(n) >= abs(rho) - 1e-9).mean())
    if abs(rho) >= 1:
        return float(2.0 / np.prod(np.arange(1.0, n + 1)))
    t = rho * np.sqrt((n - 2) / (1 - rho**2))
    return float(2 * stdtr(n - 2, -abs(t)))


def _average_ranks(values: np.ndarray) -> np.ndarray:
    """1 for the smallest; equal values share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def depth_correlation(growth: np.ndarray) -> RankCorrelation:
    """Correlation of 0, 1, … L−1 with `growth`. NaN and p = 1 for fewer than two layers."""
    n = len(growth)
    if n < 2 or not np.all(np.isfinite(growth)):
        return RankCorrelation(np.nan, 1.0, np.nan, 1.0, exact=False)
    pairs = n * (n - 1) // 2
    swapped = inversions(growth)
    ties = pairs - swapped - inversions(-growth)
    tau = 1.0 - (2.0 * swapped + ties) / pairs
    tau_p = two_sided(_kendall_distribution(n), swapped + ties / 2)
    rank = _average_ranks(growth)
    spread = np.std(rank)
    rho = float(np.corrcoef(np.arange(n), rank)[0, 1]) if spread > 0 else 0.0
    return RankCorrelation(tau, tau_p, rho, _spearman_p(rho, n), exact=n <= _ENUMERABLE)


@cache
def summed_distribution(n: int, runs: int) -> np.ndarray:
    """Probabilities of 0, 1, … inversions of n layers in all of several independent runs together, exact: Kendall's
    distribution convolved with itself."""
    distribution = np.ones(1)
    for _ in range(runs):
        distribution = np.convolve(distribution, _kendall_distribution(n))
    return distribution
