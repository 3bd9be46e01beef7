"""The histogram's bins, fixed for all time: by the bits of the float32 (sign, exponent, top 3 mantissa bits).

Positive edges run from 2^-24 to 2^4, eight to an octave; one middle bin holds (-2^-24, 2^-24).
"""

from __future__ import annotations

from typing import Final

import numpy as np

SIDE: Final = 224
BINS: Final = 2 * SIDE + 1
LOWEST: Final = 2.0**-24
HIGHEST: Final = 2.0**4


def edges() -> np.ndarray:
    """The BINS + 1 edges, increasing, exact in float64."""
    key = np.arange(SIDE + 1)
    positive = np.ldexp(1.0 + (key % 8) / 8.0, key // 8 - 24)
    return np.concatenate([-positive[::-1], positive])


def count(values: np.ndarray) -> np.ndarray:
    """Histogram of float32 values; finite magnitudes of 2^4 and above are not in it (they are `overflow`)."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).ravel()
    key = ((bits & 0x7FFFFFFF) >> 20).astype(np.int64) - (103 << 3)
    index = np.where(bits >> 31 == 0, SIDE + 1 + key, SIDE - 1 - key)
    index = np.where(key < 0, SIDE, index)
    return np.bincount(index[key < SIDE], minlength=BINS).astype(np.uint64)


def density(counts: np.ndarray, edge: np.ndarray, total: np.ndarray | float) -> np.ndarray:
    """Linear probability density: count / (total · bin width). Unit: 1 / weight. Last axis: bins."""
    n = np.asarray(total, dtype=float)
    return counts / (np.where(n > 0, n, np.nan)[..., None] * np.diff(edge))


def fold(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of |x| (last axis SIDE + 1) and their edges, the first bin being [0, 2^-24)."""
    positive = counts[..., SIDE + 1 :] + counts[..., :SIDE][..., ::-1]
    folded = np.concatenate([counts[..., SIDE : SIDE + 1], positive], axis=-1)
    return folded, np.concatenate([[0.0], edges()[SIDE + 1 :]])


def coarse_groups(width: float) -> np.ndarray:
    """First bin of each group when neighbours are joined, outwards from zero, until a group is at least
    `width` wide. For drawing: near zero the bins are far finer than a curve needs. Joining is exact: counts
    add. The edges of the groups are `edges()[groups]` and the last edge."""
    edge = edges()
    right: list[int] = []  # edge indices, the first one closing the group around zero
    low, wanted = 0.0, width / 2
    for index in range(SIDE + 1, BINS + 1):
        if edge[index] - low >= wanted or index == BINS:
            right.append(index)
            low, wanted = float(edge[index]), width
    outer = np.array(right)
    return np.concatenate([BINS - outer[::-1], outer[:-1]])


def joined(counts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Counts added up over the groups of `coarse_groups` (last axis)."""
    return np.add.reduceat(counts, groups, axis=-1)
