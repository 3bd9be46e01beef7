"""The Hill index of the upper tail of |w|, from counts in bins: P(|w| > x) ∝ x^−index beyond a threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weightscope import bins, quantiles

SHARE = 0.01  # of the weights, the largest ones, are the tail
LEAST = 10  # weights in the tail; with fewer there is no index
NORMAL_HILL = 9.004  # of a normal distribution with mean 0, for that share
_ROUNDS = 40


class Hill(NamedTuple):
    """`value`: index (no unit), large for light tails. `error`: its standard error. `low` and `high`: between them lies
    for certain what Hill's estimator gives of the same weights before they were binned."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: np.ndarray


def _solve(left: np.ndarray, width: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood of an exponential law of y = ln(x / u) from counts n in [left, left + width), last axis bins.
    The score falls and is convex: Newton's steps from the left cannot overshoot. Returns index and error."""
    bounded = np.where(np.isfinite(width), width, 0.0)  # of weights in an open bin only their left edge is known
    k, sum_left, sum_right = n.sum(axis=-1), (n * left).sum(axis=-1), (n * (left + np.minimum(width, 1e3))).sum(axis=-1)
    a = k / np.where(sum_right > 0, sum_right, np.nan)
    information = np.full_like(a, np.nan)
    for _ in range(_ROUNDS):
        x = np.minimum(a[..., None] * bounded, 500.0)
        grown = np.expm1(x)
        ratio = bounded / np.where(grown > 0, grown, np.inf)
        score = (n * ratio).sum(axis=-1) - sum_left
        information = (n * ratio**2 * (grown + 1)).sum(axis=-1)
        step = score / np.where(information > 0, information, np.nan)
        a = a + step
        if not np.any(np.abs(step) > 1e-10 * a):
            break
    return a, 1 / np.sqrt(information)


def hill(
    counts: np.ndarray,
    overflow: np.ndarray | float = 0,
    largest: np.ndarray | float = bins.HIGHEST,
    share: float = SHARE,
) -> Hill:
    """counts: (…, 449); overflow, largest: (…). The threshold u is the 1 − `share` quantile of |x|, interpolated; the
    estimator is the grouped maximum likelihood of a Pareto law beyond u (Hill 1975 for single values; Virkar & Clauset
    2014, eq. 3.6, for bins), which for bins of no width is Hill's. Error: from the observed information, index/√k where
    bins are narrow. NaN with fewer than LEAST weights in the tail, or where all of them lie in one bin."""
    folded, edge = bins.fold(counts)
    shape = folded.shape[:-1]
    over = np.broadcast_to(np.asarray(overflow, dtype=float), shape)
    top = np.maximum(np.broadcast_to(np.asarray(largest, dtype=float), shape), bins.HIGHEST)
    n = np.concatenate([folded.astype(float), over[..., None]], axis=-1)
    u = quantiles.absolute_quantile(counts, 1 - share, over, top).value
    k = share * n.sum(axis=-1)
    # Of the bin that holds u, only what lies beyond it belongs to the tail: k less what is in the bins above.
    index = np.clip(np.searchsorted(edge, u, side="right") - 1, 0, len(edge) - 1)[..., None]
    bin_of = np.arange(len(edge))
    above = np.where(bin_of > index, n, 0.0)
    in_tail = np.where(bin_of == index, np.maximum(k - above.sum(axis=-1), 0)[..., None], above)
    lower, upper = np.maximum(edge, u[..., None]), np.append(edge[1:], np.inf) * np.ones_like(in_tail)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        left = np.where(in_tail > 0, np.log(lower / u[..., None]), 0.0)
        width = np.where(in_tail > 0, np.log(upper / lower), 0.0)
        value, error = _solve(left, width, in_tail)
        # Certain bounds: each weight at the lower, then at the upper edge of its bin, u at the other end of its own.
        upper = np.where(np.isfinite(upper), upper, top[..., None])
        u_low, u_high = edge[index], np.take_along_axis(upper, index, axis=-1)
        least = np.where(bin_of > index, n * np.log(np.maximum(edge, u_high) / u_high), 0.0).sum(axis=-1)
        most = (in_tail * np.where(in_tail > 0, np.log(upper / u_low), 0.0)).sum(axis=-1)
    usable = np.where((k >= LEAST) & (least > 0) & (u > bins.LOWEST), 1.0, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Hill(value * usable, k / most * usable, k / least * usable, error * usable)
