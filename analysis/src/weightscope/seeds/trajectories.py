"""The trajectories of one component in all runs of a group: arrays over (seed, step, layer), NaN where a run has no
snapshot of that step or the weights were not finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from weightscope import moments, schema
from weightscope.run import Run
from weightscope.seeds.intervals import LEAST

FUSED = "c_attn"
PARTS = ("q", "k", "v", "attn_proj", "mlp_fc", "mlp_proj")  # what verdicts are given on, in order
EXAMINED = (*PARTS, FUSED)


@dataclass(frozen=True)
class Trajectories:
    """`log_growth`: ln(std(t)/std(start)); `kurtosis_change`: κ(t) − κ(start); `steps`: every step that any run
    recorded. `mixture` (fused matrix only): the excess kurtosis that the widths of Q, K and V alone explain. `adamw`:
    log_growth of weights with random gradients (weightscope.adamw_course)."""

    component: str
    steps: np.ndarray
    log_growth: np.ndarray
    kurtosis_change: np.ndarray
    kurtosis: np.ndarray
    displacement: np.ndarray
    mixture: np.ndarray | None = None
    adamw: np.ndarray | None = None

    @property
    def seeds(self) -> int:
        return self.log_growth.shape[0]

    @property
    def layers(self) -> int:
        return self.log_growth.shape[2]


def _aligned(runs: Sequence[Run], steps: np.ndarray, values: Sequence[np.ndarray]) -> np.ndarray:
    """(seed, step, …): each run's rows at its own steps, NaN elsewhere."""
    out = np.full((len(runs), len(steps), *values[0].shape[1:]), np.nan)
    for s, (run, rows) in enumerate(zip(runs, values, strict=True)):
        out[s, np.searchsorted(steps, run.snapshots[schema.SNAPSHOT].values)] = rows
    return out


def _of(runs: Sequence[Run], name: str, component: str) -> list[np.ndarray]:
    index = [schema_index(run, component) for run in runs]
    missing = [np.full((run.snapshots.sizes[schema.SNAPSHOT], run.layers), np.nan) for run in runs]
    return [
        run.snapshots[name].values[:, :, i].astype(float) if name in run.snapshots else none
        for run, i, none in zip(runs, index, missing, strict=True)
    ]


def schema_index(run: Run, component: str) -> int:
    return list(run.snapshots["component"].values).index(component)


def _by_itself(course: xr.Dataset, component: str) -> np.ndarray:
    rms = course["random_rms"].sel(component=component).values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(rms / rms[:1])


def trajectories(runs: Sequence[Run], component: str, adamw: Sequence[xr.Dataset | None] | None = None) -> Trajectories:
    """All runs with the same layers and the same first step. `adamw`: adamw_course() of each, if it is wanted."""
    steps = np.unique(np.concatenate([run.snapshots[schema.SNAPSHOT].values for run in runs])).astype(int)
    std, kurtosis, displacement = (
        _aligned(runs, steps, _of(runs, name, component)) for name in ("std", "kurtosis", "displacement")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(std / std[:, :1])
    growth[~np.isfinite(growth)] = np.nan
    change = np.where(np.isfinite(growth), kurtosis - kurtosis[:, :1], np.nan)
    mixture = None
    if component == FUSED:
        parts = [np.stack([_of([run], n, c)[0] for c in "qkv"], axis=-1) for n in ("std", "mean") for run in runs]
        mixed = [moments.mixture_kurtosis(s, m) for s, m in zip(parts[: len(runs)], parts[len(runs) :], strict=True)]
        mixture = _aligned(runs, steps, mixed)
    courses = [course for course in adamw or [] if course is not None]
    alone = _aligned(runs, steps, [_by_itself(c, component) for c in courses]) if len(courses) == len(runs) else None
    return Trajectories(component, steps, growth, change, kurtosis, displacement, mixture, alone)


def verdict_index(recorded: np.ndarray) -> int:
    """Which step to judge, from `recorded` (seed, step): the last one that at least half of the seeds recorded, and
    three of them where there are three. One run that stopped early must not hold the others back, nor one that is
    ahead lead."""
    needed = max(min(LEAST, recorded.shape[0]), -(-recorded.shape[0] // 2))
    enough = np.flatnonzero(recorded.sum(axis=0) >= needed)
    return int(enough[-1]) if enough.size else 0
