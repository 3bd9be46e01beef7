"""Which snapshots and which points a report shows, when showing all would make it slow."""

from __future__ import annotations

from typing import Final

import numpy as np

from weightscope import schema
from weightscope.run import Run

MAX_POINTS: Final = 1500  # of a curve
MAX_HISTOGRAMS: Final = 96  # snapshots whose histograms are embedded
_MAX_CELLS: Final = 1_400_000  # numbers in the embedded histograms, at about 130 bins each


def evenly(n: int, limit: int) -> np.ndarray:
    """At most `limit` indices of 0 … n − 1, evenly spaced, both ends included."""
    if n <= limit:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, limit).round().astype(int))


def curve_rows(run: Run) -> np.ndarray:
    return evenly(run.snapshots.sizes[schema.SNAPSHOT], MAX_POINTS)


def histogram_rows(run: Run) -> np.ndarray:
    """Snapshots with embedded histograms: all if they fit; else the ones nearest to steps 0, 1, 2, 4, 8 … and the
    rest evenly."""
    steps = run.snapshots[schema.SNAPSHOT].values
    limit = min(MAX_HISTOGRAMS, max(24, _MAX_CELLS // (run.layers * len(schema.COMPONENTS) * 130)))
    if len(steps) <= limit:
        return np.arange(len(steps))
    doublings = [0] + [2**k for k in range(8) if 2**k <= steps[-1]]
    early = [int(np.abs(steps - step).argmin()) for step in doublings]
    return np.unique(np.concatenate([early, evenly(len(steps), limit - len(early))]))


def smoothed(values: np.ndarray, share: float = 0.02) -> np.ndarray:
    """Centred moving average over `share` of the points, the window shrinking at both ends; ignores what is not
    finite."""
    half = int(len(values) * share / 2)
    if half < 1:
        return values
    good = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(good, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(good)])
    index = np.arange(len(values))
    reach = np.minimum(half, np.minimum(index, len(values) - 1 - index))
    low, high = index - reach, index + reach + 1
    n = counts[high] - counts[low]
    return np.where(n > 0, (sums[high] - sums[low]) / np.maximum(n, 1), np.nan)
