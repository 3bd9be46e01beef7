"""Quantiles from the histogram, with the bracket they are certain to lie in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weightscope import bins

NORMAL_TAIL = 3.2905267314919255  # 99.9 % quantile of |x| / std of a normal distribution


class Quantile(NamedTuple):
    """`low` ≤ true sample quantile ≤ `high`; `value` interpolates inside that bin. A bin is at most 12.5 % of its
    lower edge wide, so |value − true| ≤ 0.125 · |true|, and mostly far less."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _inside(before: np.ndarray, here: np.ndarray, total: np.ndarray, wanted: np.ndarray, tail: bool) -> np.ndarray:
    """Where in its bin the wanted rank lies, 0 to 1. In a tail the share beyond x falls about exponentially, so its
    logarithm is interpolated (0.2 % instead of 2 % off for a normal distribution); else the count."""
    linear = (wanted - before) / np.maximum(here, 1.0)
    beyond = total - before - here
    if not tail:
        return np.clip(linear, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        fallen = np.log((total - before) / (total - wanted)) / np.log((total - before) / beyond)
    return np.clip(np.where((beyond > 0) & (here > 0), fallen, linear), 0.0, 1.0)


def _search(counts: np.ndarray, edge: np.ndarray, q: float, tail: bool = False) -> Quantile:
    total = counts.sum(axis=-1, dtype=float)
    wanted = np.maximum(q * total, 0.5)[..., None]  # rank of the value looked for, 1-based
    cumulative = np.cumsum(counts, axis=-1, dtype=float)
    index = np.minimum((cumulative < wanted).sum(axis=-1), counts.shape[-1] - 1)
    here = np.take_along_axis(counts.astype(float), index[..., None], axis=-1)[..., 0]
    upto = np.take_along_axis(cumulative, index[..., None], axis=-1)[..., 0]
    low, high = edge[index], edge[index + 1]
    inside = _inside(upto - here, here, total, wanted[..., 0], tail)
    nothing = np.where(total > 0, 1.0, np.nan)
    return Quantile((low + inside * (high - low)) * nothing, low * nothing, high * nothing)


def quantile(counts: np.ndarray, q: float) -> Quantile:
    """Quantile q of the values within ±2^4. counts: (..., 449)."""
    return _search(counts, bins.edges(), q)


def absolute_quantile(
    counts: np.ndarray, q: float, overflow: np.ndarray | float = 0, largest: np.ndarray | float = bins.HIGHEST
) -> Quantile:
    """Quantile q of |x|. `overflow` values lie between 2^4 and `largest`; where the quantile falls among
    them, the bracket says so. No quantile exceeds `largest`, which tightens the last bracket."""
    folded, edge = bins.fold(counts)
    shape = folded.shape[:-1]
    over = np.broadcast_to(np.asarray(overflow, dtype=folded.dtype), shape)[..., None]
    top = np.broadcast_to(np.asarray(largest, dtype=float), shape)
    found = _search(np.concatenate([folded, over], axis=-1), np.append(edge, np.inf), q, tail=q > 0.5)
    high = np.minimum(found.high, np.maximum(top, found.low))
    value = np.where(np.isfinite(found.value), np.minimum(found.value, high), (found.low + high) / 2)
    return Quantile(value, found.low, high)


def tail_ratio(
    counts: np.ndarray,
    std: np.ndarray,
    overflow: np.ndarray | float = 0,
    largest: np.ndarray | float = bins.HIGHEST,
    q: float = 0.999,
) -> Quantile:
    """99.9 % quantile of |x| over the standard deviation: 3.29 for a normal distribution, more with longer
    tails. Unit-free; scales of the weights cancel."""
    found = absolute_quantile(counts, q, overflow, largest)
    scale = np.where(std > 0, std, np.nan)
    return Quantile(found.value / scale, found.low / scale, found.high / scale)
