"""A Weibull law of |w|, fitted to the middle 80 % on probability paper: P(|w| ≤ x) = 1 − exp(−(x/λ)^k)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from weightscope import bins

BODY: Final = (0.1, 0.9)  # quantiles of |w| between which the line is fitted
NORMAL_K: Final = 1.2054  # of a normal distribution with mean 0
NORMAL_SCALE: Final = 0.8875  # its λ over σ
_POINTS: Final = 400

_p = BODY[0] + (BODY[1] - BODY[0]) * (np.arange(_POINTS) + 0.5) / _POINTS
_y = np.log(-np.log1p(-_p))


_NONE: Final = (np.nan, np.nan, np.nan, np.nan, np.nan)


class Weibull(NamedTuple):
    """`k`: shape (no unit); `scale`: λ (unit of the weight); `k_error`, `scale_error`: standard errors; `r2`: squared
    correlation of the points on the probability plot, 1 where the body is exactly Weibull."""

    k: np.ndarray
    scale: np.ndarray
    k_error: np.ndarray
    scale_error: np.ndarray
    r2: np.ndarray


def _one(folded: np.ndarray, over: float, edge: np.ndarray) -> tuple[float, float, float, float, float]:
    """One row of counts of |x|. Inside a bin ln x(p) is a straight line on the probability plot, which is exact for a
    Weibull law. The errors are those of a linear function of sample quantiles (their influence function, with the
    density of the histogram)."""
    total = folded.sum() + over
    if not total or folded[0] > BODY[0] * total or over > (1 - BODY[1]) * total:
        return _NONE
    cumulative = np.clip(np.cumsum(folded) / total, 1e-9, 1 - 1e-9)
    log_x = np.interp(_y, np.log(-np.log1p(-cumulative)), np.log(edge[1:]))
    x, lx, y = np.exp(log_x), log_x - log_x.mean(), _y - _y.mean()
    spread = (lx**2).sum()
    if not spread > 1e-12:
        return _NONE
    k = (lx * y).sum() / spread
    log_scale = log_x.mean() - _y.mean() / k
    of = np.clip(np.searchsorted(edge, x, side="right") - 1, 0, len(folded) - 1)
    pull = total * np.diff(edge)[of] / np.maximum(folded[of], 1) / x  # d ln x(p) / dp
    on_k = (y - 2 * k * lx) / spread
    on_scale = 1 / _POINTS + _y.mean() / k**2 * on_k

    def error(weights: np.ndarray) -> float:
        """Of Σ weights · ln x(p): each weight w below x(p) moves it by −(1 − p)·pull/n, each above by +p·pull/n."""
        moved = weights * pull
        below = np.append(np.cumsum(moved[::-1])[::-1], 0.0)  # index: how many of the points lie below the weight
        influence = (moved * _p).sum() - below
        mass = np.diff(np.concatenate([[0.0], _p, [1.0]]))
        return float(np.sqrt((mass * influence**2).sum() / total))

    r2 = k * (lx * y).sum() / (y**2).sum()
    scale = float(np.exp(log_scale))
    return k, scale, error(on_k), scale * error(on_scale), r2


def weibull(counts: np.ndarray, overflow: np.ndarray | float = 0) -> Weibull:
    """counts: (…, 449); overflow: (…). Least squares of ln(−ln(1 − p)) on ln x(p) over p from 10 to 90 %, every weight
    in between counting once (Ding 2026, arXiv 2605.18898). The middle bin, whose weights have no known logarithm,
    and the overflow lie outside the body; NaN where one of them reaches into it."""
    folded, edge = bins.fold(counts)
    over = np.broadcast_to(np.asarray(overflow, dtype=float), folded.shape[:-1])
    rows = [
        _one(row, o, edge) for row, o in zip(folded.reshape(-1, len(edge) - 1).astype(float), over.ravel(), strict=True)
    ]
    found = np.array(rows, dtype=float).reshape(*folded.shape[:-1], 5)
    return Weibull(*np.moveaxis(found, -1, 0))
