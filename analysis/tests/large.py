"""A long run of a deep model, computed instead of drawn: normal weights of exactly known width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import synthetic
from h5write import write
from scipy.special import ndtr
from weightscope import bins

COUNT = 589_824


def _counts(std: np.ndarray) -> np.ndarray:
    edge = bins.edges()
    counts = np.empty((*std.shape, bins.BINS), dtype=np.uint32)
    for index in np.ndindex(std.shape[:2]):
        counts[index] = np.diff(ndtr(edge / std[index][:, None])) * COUNT
    counts[..., bins.SIDE + 60] += (COUNT - counts.sum(axis=-1)).astype(np.uint32)
    return counts


def experiment(path: Path, layers: int = 12, heads: int = 12, snapshots: int = 1000) -> Path:
    """12 layers × 1000 snapshots in the schema, with all that a report reads."""
    small = synthetic.Truth(
        layers=layers, heads=heads, width=heads, walk=(1.0,) * layers, steps=(0, 100 * (snapshots - 1)), vocab=50257
    )
    attrs, groups = synthetic.groups(small)
    root = groups[""]
    step = 100 * np.arange(snapshots)
    share = np.sqrt(step / step[-1])
    walk = np.linspace(2, 1, layers)[:, None] * np.linspace(0.7, 1.3, 7)
    displacement = share[:, None, None] * walk
    std = 0.02 * np.sqrt(1 + displacement**2)
    same = np.zeros_like(std)
    root |= {
        "snapshot_step": step, "epoch": step / 1e4, "tokens": step * 5e5, "wall_time": step * 0.14, "std": std,
        "rms": std, "mean": same, "skewness": same, "kurtosis": same, "min": -4.8 * std, "max": 4.8 * std,
        "displacement": displacement, "cosine": 1 / np.sqrt(1 + displacement**2),
        "count": np.full(std.shape, COUNT, dtype=np.uint64), "histogram": _counts(std),
    }  # fmt: skip
    for name in ("zeros", "nonfinite", "overflow"):
        root[name] = np.zeros(std.shape, dtype=np.uint64)
    rng = np.random.default_rng(1)
    for name in [key for key in root if key.startswith("head_")]:
        root[name] = std[:, :, 1:4, None] * rng.uniform(0.8, 1.2, (snapshots, layers, 3, heads))
    rows = np.minimum(np.arange(snapshots), 1)
    for name in [key for key in root if key.startswith("parameter_") and root[key].ndim == 2]:
        root[name] = root[name][rows]
    root["update_ratio"] = 1e-3 * rng.uniform(0.5, 2, (snapshots, len(root["parameter"])))
    return write(path, attrs, groups)
