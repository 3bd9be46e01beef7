"""The same experiment as a run directory: a sealed file up to some snapshot, and the rest in tail/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import synthetic
from h5write import Columns, write
from weightscope import schema

Groups = dict[str, Columns]


def _select(columns: Columns, group: str, rows: np.ndarray) -> Columns:
    key = schema.GROUP_KEY.get(group, schema.SNAPSHOT)
    return {
        name: values[rows] if (schema.dimensions(group, name, np.ndim(values)) or ("",))[0] == key else values
        for name, values in columns.items()
    }


def part(groups: Groups, snapshots: np.ndarray, low: int, high: int) -> Groups:
    """The snapshots with these indices; train rows of steps in [low, high), evaluations in (low, high]."""
    evaluated, trained = groups["eval"]["step"], groups["train"]["step"]
    after = (evaluated > low) | (low <= 0) & (evaluated == 0)
    alarms = groups["alarms"]["step"]
    return {
        **groups,
        "": _select(groups[""], "", snapshots),
        "train": _select(groups["train"], "train", np.flatnonzero((trained >= low) & (trained < high))),
        "eval": _select(groups["eval"], "eval", np.flatnonzero(after & (evaluated <= high))),
        "alarms": _select(groups["alarms"], "alarms", np.flatnonzero((alarms > low) & (alarms <= high))),
    }


def run_directory(folder: Path, truth: synthetic.Truth, sealed: int) -> Path:
    """`sealed`: how many snapshots the sealed file holds."""
    attrs, groups = synthetic.groups(truth)
    attrs = {**attrs, "status": "running"}
    steps = groups[""]["snapshot_step"]
    write(folder / "experiment.h5", attrs, part(groups, np.arange(sealed), -1, int(steps[sealed - 1])))
    for i in range(sealed, len(steps)):
        write_tail(folder, attrs, groups, i)
    return folder


def write_tail(folder: Path, attrs: dict[str, Any], groups: Groups, index: int) -> Path:
    """Named as the program names it (RunFiles::tail_file)."""
    steps = groups[""]["snapshot_step"]
    low, high = int(steps[index - 1]), int(steps[index])
    return write(folder / "tail" / f"{high:012d}.h5", attrs, part(groups, np.array([index]), low, high))
