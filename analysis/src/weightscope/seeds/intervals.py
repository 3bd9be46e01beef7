"""Intervals and p-values of a mean over seeds. The first axis is always the seed; NaN is a seed that is missing
there.

Why Student's t and, beside it, the studentized bootstrap: `python -m weightscope.seeds.calibrate` measures the coverage
of both, and of the percentile and BCa bootstraps, at 3, 5 and 10 seeds; the latter two cover 70 to 90 % where they
promise 95 % (docs/statistics.md).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats takes a second to import

LEVEL: Final = 0.95
LEAST: Final = 3  # fewer seeds decide nothing
RESAMPLES: Final = 1999
_ROUNDING: Final = 1e-12  # of the mean: equal numbers spread no less once their mean is rounded
BOOTSTRAP_LEAST: Final = 5  # seeds; of three, one resample in nine holds one seed only and has no error


class Means(NamedTuple):
    """Mean over seeds, its 95 % interval, two-sided p of "the mean is zero", one-sided p of "not above zero", and the
    number of seeds that had a value."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    p_above: np.ndarray
    n: np.ndarray


def means(values: np.ndarray, floor: float = 0.0, level: float = LEVEL) -> Means:
    """The t interval over the first axis. `floor`: least standard deviation between seeds to be believed, for effects
    that come in steps; without one, seeds that agree but for rounding are one sample, and nothing follows from them."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, values, 0.0).sum(axis=0) / np.where(n > 0, n, np.nan)
        spread = np.sqrt((np.where(finite, values - mean, 0.0) ** 2).sum(axis=0) / np.where(n > 1, n - 1, np.nan))
        error = np.maximum(spread, floor) / np.sqrt(n)
        known = (n > 1) & (error > _ROUNDING * np.abs(mean))
        df = np.where(known, n - 1, 1)
        half = np.where(known, stdtrit(df, 0.5 + level / 2) * error, np.inf)
        t = np.where(known, mean / np.where(known, error, 1.0), 0.0)
    p, above = 2 * stdtr(df, -np.abs(t)), stdtr(df, -t)
    return Means(mean, mean - half, mean + half, np.where(known, p, 1.0), np.where(known, above, 1.0), n)


def difference(a: np.ndarray, b: np.ndarray, floor: float = 0.0) -> Means:
    """Mean of `a` minus mean of `b`, seeds independent: Welch's t. `n`: the smaller number of seeds."""
    first, second = means(a, floor), means(b, floor)
    n = np.minimum(first.n, second.n)
    with np.errstate(invalid="ignore", divide="ignore"):
        ea, eb = (np.square(_error(x, m, floor)) for x, m in ((a, first), (b, second)))
        known = (n > 1) & (np.sqrt(ea + eb) > _ROUNDING * np.maximum(np.abs(first.mean), np.abs(second.mean)))
        df = np.where(known, (ea + eb) ** 2 / (ea**2 / (first.n - 1) + eb**2 / (second.n - 1)), 1.0)
        error = np.sqrt(ea + eb)
        gap = first.mean - second.mean
        half = np.where(known, stdtrit(df, 0.5 + LEVEL / 2) * error, np.inf)
        t = np.where(known, gap / np.where(known, error, 1.0), 0.0)
    p, above = np.where(known, 2 * stdtr(df, -np.abs(t)), 1.0), np.where(known, stdtr(df, -t), 1.0)
    return Means(gap, gap - half, gap + half, p, above, n)


def _error(values: np.ndarray, found: Means, floor: float) -> np.ndarray:
    squares = np.nansum((np.asarray(values, dtype=float) - found.mean) ** 2, axis=0)
    return np.maximum(np.sqrt(squares / np.where(found.n > 1, found.n - 1, np.nan)), floor) / np.sqrt(found.n)


def studentized(values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap-t (Efron 1981) over the first axis, all values finite: quantiles of (mean* − mean)/error* instead of
    Student's. Resamples that hold one seed only have no error; they count as infinitely far out, on both sides."""
    n = len(values)
    index = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    drawn = values[index]
    mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(n)
    gap, scale = drawn.mean(axis=1) - mean, drawn.std(axis=1, ddof=1) / np.sqrt(n)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(scale > 1e-12 * (error + 1e-300), gap / scale, np.sign(gap) * np.inf)
        t = np.where(np.isnan(t), 0.0, t)
        low, high = np.quantile(t, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0, method="inverted_cdf")
        return np.where(error > 0, mean - high * error, mean), np.where(error > 0, mean - low * error, mean)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted for their family (last axis), Holm 1979. NaN: not tested, and not counted."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(np.where(np.isnan(p), np.inf, p), axis=-1)
    ordered = np.take_along_axis(p, order, axis=-1)
    tests = np.isfinite(p).sum(axis=-1, keepdims=True)
    factor = np.maximum(tests - np.arange(p.shape[-1]), 1)
    stepped = np.maximum.accumulate(np.where(np.isnan(ordered), 0.0, ordered * factor), axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), axis=-1)
    return np.where(np.isnan(p), np.nan, adjusted)
