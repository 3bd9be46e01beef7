"""The recorded histograms for programs that keep a histogram as edges and counts. Nothing is binned anew: edges are the
file's, only neighbouring bins that are both empty are joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from weightscope import bins, schema
from weightscope.report.sampling import evenly
from weightscope.run import Run

_EDGES: Final = bins.edges()


@dataclass(frozen=True)
class WeightHistogram:
    """`edge`: (k + 1,), `count`: (k,) integers, the first and the last not 0. `low`, `high`: smallest and largest
    weight, within the edges. `total`, `squares`: sum of all finite weights and of their squares."""

    tag: str
    edge: np.ndarray
    count: np.ndarray
    low: float
    high: float
    total: float
    squares: float


def compact(count: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts (k,) and edges (k + 1,) without the empty bins at both ends, runs of empty bins in between as one. Some
    count must not be 0."""
    used = np.flatnonzero(count)
    count, edge = count[used[0] : used[-1] + 1], edge[used[0] : used[-1] + 2]
    starts = np.flatnonzero(np.append(True, (count[1:] > 0) | (count[:-1] > 0)))
    return np.add.reduceat(count, starts), np.append(edge[starts], edge[-1])


def rows_of(run: Run, limit: int) -> np.ndarray:
    """Indices of at most `limit` snapshots, evenly spaced, both ends included; none if the file has no histograms."""
    if limit < 1 or "histogram" not in run.snapshots:
        return np.arange(0)
    return evenly(run.snapshots.sizes[schema.SNAPSHOT], limit)


def histograms(run: Run, row: int) -> Iterator[WeightHistogram]:
    """Those of one snapshot, `weights/COMPONENT/layer_LAYER`. Weights of magnitude 2⁴ and above are in none: the curve
    `overflow` counts them. Matrices without a weight to show are left out."""
    data = run.snapshots
    names = ("min", "max", "mean", "rms", "count", "nonfinite")
    counts, *numbers = (data[name].values[row] for name in ("histogram", *names))
    for c, component in enumerate(data["component"].values.tolist()):
        for place, layer in enumerate(data["layer"].values.tolist()):
            if not counts[place, c].any():
                continue
            count, edge = compact(counts[place, c].astype(np.int64), _EDGES)
            low, high, mean, rms, number, nonfinite = (float(column[place, c]) for column in numbers)
            finite = number - nonfinite
            yield WeightHistogram(
                f"weights/{component}/layer_{layer}", edge, count, max(low, edge[0]), min(high, edge[-1]),
                mean * finite, rms**2 * finite,
            )  # fmt: skip
