"""A run as named curves over update numbers, the common ground of all exporters.

A tag is the dataset's name, then component, layer, head or parameter: `std/q/layer_3`, `update_ratio/wte.weight`,
`attention_entropy/layer_0/head_1`. Names that two groups share carry their group: `train/loss`, `eval/loss`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import xarray as xr

from weightscope import schema
from weightscope.run import Run

_SNAPSHOT: Final = ("std", "kurtosis", "displacement", "update_ratio")
_FAULTS: Final = ("nonfinite", "overflow")  # only of matrices that have some: hundreds of curves of zeros otherwise
_LABELS: Final = {  # axis → how its part of a tag is written; in this order
    "component": "{}",
    "parameter": "{}",
    "layer": "layer_{}",
    "residual_layer": "layer_{}",
    "head": "head_{}",
}


@dataclass(frozen=True)
class Series:
    """`step`: (n,) update numbers as recorded, increasing; `value`: (n,)."""

    tag: str
    step: np.ndarray
    value: np.ndarray


def _split(data: xr.DataArray, prefix: str, key: str, keep_nan: bool) -> Iterator[Series]:
    axes = [axis for axis in _LABELS if axis in data.dims]
    labels = [[_LABELS[axis].format(label) for label in data[axis].values] for axis in axes]
    steps, values = data[key].values, data.transpose(key, *axes).values.astype(float)
    for index in np.ndindex(values.shape[1:]):
        column = values[(slice(None), *index)]
        known = np.full(len(steps), True) if keep_nan else ~np.isnan(column)
        if known.any():
            parts = [names[i] for names, i in zip(labels, index, strict=True)]
            yield Series("/".join([f"{prefix}{data.name}", *parts]), steps[known], column[known])


def _snapshot_series(data: xr.Dataset) -> Iterator[Series]:
    for name in _SNAPSHOT:
        if name in data:
            yield from _split(data[name], "", schema.SNAPSHOT, keep_nan=name == "std")
    for name in _FAULTS:
        if name in data:
            yield from (s for s in _split(data[name], "", schema.SNAPSHOT, keep_nan=False) if s.value.any())


def all_series(run: Run) -> list[Series]:
    """Losses and the rest of /train and /eval, std, kurtosis, displacement and update ratios of the snapshots,
    /spectra, /probe. NaN is left out where it says that a number does not exist (the update ratio of step 0, the alpha
    of a matrix of zeros), and kept where it is what was measured (losses, logits, std)."""
    found = list(_snapshot_series(run.snapshots))
    groups = ((run.train, "train/", True), (run.eval, "eval/", True), (run.spectra, "", False), (run.probe, "", True))
    for data, prefix, keep_nan in groups:
        for name in data.data_vars:
            if "step" in data[name].dims and data[name].dtype.kind in "fiu":
                found += _split(data[name], prefix, "step", keep_nan)
    return found


def wall_times(run: Run, steps: np.ndarray) -> np.ndarray:
    """Seconds since 1970 of these update numbers: the run's creation and its recorded seconds of training, linear
    between snapshots. Pauses between restarts are not in it. (n,) → (n,)"""
    try:
        start = datetime.fromisoformat(str(run.attrs["created"])).timestamp()
    except (KeyError, ValueError):
        start = 0.0
    if "wall_time" not in run.snapshots or not run.snapshots.sizes[schema.SNAPSHOT]:
        return np.full(len(steps), start)
    return start + np.interp(steps, run.snapshots[schema.SNAPSHOT].values, run.snapshots["wall_time"].values)


def by_step(series: list[Series]) -> dict[int, dict[str, float]]:
    """Update number → tag → value."""
    rows: dict[int, dict[str, float]] = {}
    for one in series:
        for step, value in zip(one.step.tolist(), one.value.tolist(), strict=True):
            rows.setdefault(step, {})[one.tag] = value
    return rows


def alarm_rows(run: Run) -> list[dict[str, object]]:
    """One row per alarm: step, rule, severity, target, value, threshold, message, as far as the file has them."""
    if "step" not in run.alarms:
        return []
    columns = {str(name): run.alarms[name].values.tolist() for name in run.alarms.data_vars}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
