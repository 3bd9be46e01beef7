"""The share of weights beyond a fixed magnitude, from the histogram, with the bracket it is certain to lie in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weightscope import bins


class TailMass(NamedTuple):
    """Shares of the finite weights, 0 to 1. `low` ≤ true share ≤ `high`; `value` interpolates inside the bin that holds
    the threshold; `error`: binomial standard error of `value`."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: np.ndarray


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]


def tail_mass(
    counts: np.ndarray,
    threshold: np.ndarray,
    overflow: np.ndarray | float = 0,
    largest: np.ndarray | float = np.inf,
) -> TailMass:
    """Share of |x| beyond `threshold`. counts: (…, 449); threshold, overflow, largest: (…). NaN where nothing is
    counted or the threshold is not above zero. `largest` |x|, where known, says that nothing lies beyond itself.

    Inside a bin the logarithm of the share beyond is interpolated, as in quantiles: for a normal distribution within
    2 % at 3 σ, 4 % at 4 σ, 8 % at 6 σ.
    """
    folded, edge = bins.fold(counts)
    shape = folded.shape[:-1]
    over = np.broadcast_to(np.asarray(overflow, dtype=float), shape)[..., None]
    t = np.broadcast_to(np.asarray(threshold, dtype=float), shape)
    # beyond[i]: values in bin i and above; one more entry for those above the last edge.
    beyond = np.cumsum(np.concatenate([folded, over], axis=-1)[..., ::-1], axis=-1, dtype=float)[..., ::-1]
    total = beyond[..., 0]
    index = np.clip(np.searchsorted(edge, t, side="right") - 1, 0, len(edge) - 1)
    inside = index < len(edge) - 1
    at, after = _at(beyond, index), _at(beyond, np.minimum(index + 1, len(edge) - 1))
    a, b = edge[index], edge[np.minimum(index + 1, len(edge) - 1)]
    part = np.where(inside, (t - a) / np.where(inside, b - a, 1.0), 0.5)
    after = np.where(inside, after, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(after > 0, at ** (1 - part) * after**part, at * (1 - part))
        n = np.where((total > 0) & (t > 0), total, np.nan)
        high = np.where(np.asarray(largest) <= t, 0.0, at) / n
        low = np.minimum(after / n, high)
        share = np.clip(value / n, low, high)
        return TailMass(share, low, high, np.sqrt(share * (1 - share) / total))
