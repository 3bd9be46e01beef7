"""Sampling errors of standard deviation and excess kurtosis, and the kurtosis of mixtures."""

from __future__ import annotations

import numpy as np

from weightscope import bins


def std_error(std: np.ndarray, excess_kurtosis: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of a sample standard deviation, σ·sqrt((κ + 2) / (4n)): delta method on Var(s²) =
    σ⁴·(κ + 2)/n. For a normal distribution σ/sqrt(2n). Unit: weight."""
    n = np.asarray(n, dtype=float)
    return std * np.sqrt(np.maximum(np.asarray(excess_kurtosis) + 2.0, 0.0) / (4.0 * n))


def log_std_error(excess_kurtosis: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of ln(std), sqrt((κ + 2) / (4n)). Unit-free."""
    return std_error(np.ones_like(np.asarray(excess_kurtosis, dtype=float)), excess_kurtosis, n)


def normal_kurtosis_error(n: np.ndarray) -> np.ndarray:
    """Standard error of the excess kurtosis of n normal values, sqrt(24/n)."""
    return np.sqrt(24.0 / np.asarray(n, dtype=float))


def standardized_moments(counts: np.ndarray, orders: tuple[int, ...]) -> list[np.ndarray]:
    """E[zᵏ] of the histogrammed values, each bin at its centre, z = (x − mean)/std of the histogram itself."""
    edge = bins.edges()
    centre = (edge[:-1] + edge[1:]) / 2
    total = np.maximum(counts.sum(axis=-1, dtype=float), 1.0)
    weights = counts / total[..., None]
    mean = weights @ centre
    deviation = centre - mean[..., None]
    variance = np.einsum("...b,...b->...", weights, deviation**2)
    z = deviation / np.sqrt(np.where(variance > 0, variance, np.nan))[..., None]
    return [np.einsum("...b,...b->...", weights, z**order) for order in orders]


def kurtosis_error(counts: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of the excess kurtosis for symmetric distributions of any tail: delta method,
    n·Var = β₈ − 4β₄β₆ + 4β₄³ − β₄² with β the standardized moments (24 for a normal), taken from the
    histogram, and never below the normal's sqrt(24/n)."""
    b4, b6, b8 = standardized_moments(counts, (4, 6, 8))
    variance = b8 - 4 * b4 * b6 + 4 * b4**3 - b4**2
    general = np.sqrt(np.maximum(variance, 0.0) / np.asarray(n, dtype=float))
    return np.fmax(general, normal_kurtosis_error(n))


def mixture_kurtosis(std: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Excess kurtosis that equal shares of *normal* parts with these standard deviations and means would have
    together (last axis: parts): what a fused matrix owes to its parts being different. Zero when they are
    equal, never negative unless the means lie far apart."""
    d = mean - mean.mean(axis=-1, keepdims=True)
    second = (std**2 + d**2).mean(axis=-1)
    fourth = (3 * std**4 + 6 * std**2 * d**2 + d**4).mean(axis=-1)
    return fourth / np.where(second > 0, second, np.nan) ** 2 - 3.0
