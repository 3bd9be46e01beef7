"""A live run in the terminal: one line per new snapshot, until the run ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from weightscope import schema
from weightscope.finding import fixed, number
from weightscope.report.command import write_text
from weightscope.report.render import render
from weightscope.run import Run, open_run, refuse_extract

_HEAD = "    step      loss       val   tokens/s   Q wider   K wider   V wider  alarms"


def _before(run: Run, group: str, name: str, step: int) -> float:
    """The last value at or before a step, NaN when there is none."""
    data = getattr(run, group)
    if name not in data or not data[name].size:
        return np.nan
    index = int(np.searchsorted(data["step"].values, step, side="right")) - 1
    return float(data[name].values[index]) if index >= 0 else np.nan


def line(run: Run, index: int) -> str:
    """Step, last training and validation loss, speed, mean std(t)/std(0) of Q, K, V, alarms so far."""
    step = int(run.snapshots[schema.SNAPSHOT].values[index])
    std = run.snapshots["std"].sel(component=["q", "k", "v"]).values
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = (std[index] / std[0]).mean(axis=0)
    alarms = int((run.alarms["step"].values <= step).sum()) if "step" in run.alarms else 0
    wide = "".join(f"{'× ' + fixed(float(value)):>10}" for value in growth)
    # Step t of training is the update *after* snapshot t: what lies before the snapshot ends with t − 1.
    loss, val = fixed(_before(run, "train", "loss", step - 1), 4), fixed(_before(run, "eval", "loss", step), 4)
    speed = number(_before(run, "train", "tokens_per_second", step - 1), 4)
    return f"{step:8d}{loss:>10}{val:>10}{speed:>11}{wide}{alarms:8d}"


def _snapshots(run: Run) -> list[tuple[str, int, float]]:
    """What tells snapshots apart. A run that went back to a checkpoint records a step once more, at another time."""
    steps = run.snapshots[schema.SNAPSHOT].values.tolist()
    times = run.snapshots["wall_time"].fillna(0).values.tolist() if "wall_time" in run.snapshots else [0.0] * len(steps)
    return [(str(run.attrs.get("uuid", "")), step, time) for step, time in zip(steps, times, strict=True)]


def states(path: str, every: float, once: bool) -> Iterator[tuple[Run, list[int]]]:
    """The run and the indices of its snapshots not there before: each time there are some, and when it has ended."""
    seen: set[tuple[str, int, float]] = set()
    while True:
        run = open_run(path)
        there = _snapshots(run)
        new = [index for index, snapshot in enumerate(there) if snapshot not in seen]
        seen = set(there)  # and not those before: what a rewind takes away may come again
        ended = once or not run.live
        if new or ended:
            yield run, new
        if ended:
            return
        time.sleep(every)


def follow(path: str, every: float, once: bool, output: str | None) -> None:
    """Prints until the run ends; `output`: the report, written again at each new snapshot."""
    print(_HEAD, flush=True)
    run: Run | None = None
    for run, new in states(path, every, once):
        if output:
            refuse_extract(path, run)
        for index in new:
            print(line(run, index), flush=True)
        if output and run.snapshots.sizes[schema.SNAPSHOT]:
            write_text(Path(output), render([run]))
    status = "nothing recorded yet" if run is None else run.attrs.get("status", "unknown")
    print(f"status: {status}", flush=True)
