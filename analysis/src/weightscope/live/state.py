"""What the live page shows: progress from log.jsonl, everything else from the experiment file and its tail."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from weightscope import schema, summary
from weightscope.config import lookup
from weightscope.errors import UnusableFileError
from weightscope.live.ends import ends
from weightscope.report import alarms, sampling, tables, width
from weightscope.report.payload import curves, encode, histograms
from weightscope.run import Run, open_run, refuse_extract
from weightscope.run_log import recent_events

_ATTEMPTS: Final = 5
_ALARMS: Final = 50  # the newest ones


def directory_of(path: Path) -> Path:
    """Where log.jsonl is."""
    return path if path.is_dir() or path.suffix != ".h5" else path.parent


def signature(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever a file that is shown changes: names, times and sizes."""
    directory = directory_of(path)
    files = [directory / "log.jsonl", *([path] if path != directory else [directory / "experiment.h5"])]
    files += sorted((directory / "tail").glob("*.h5")) if path == directory else []
    found = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue  # not yet there, or just sealed
        found.append((file.name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _payload(run: Run) -> str:
    rows = sampling.curve_rows(run)
    std = run.snapshots["std"].sel(component=list(schema.COMPONENTS)).values
    two = ends(run)
    alarm_arrays, alarm_meta = alarms.marks(run)
    arrays = {
        **alarm_arrays,
        **curves(run),
        "all_step": run.snapshots[schema.SNAPSHOT].values.astype(np.int32),
        "count": run.snapshots["count"].sel(component=list(schema.COMPONENTS)).values[-1].astype(np.uint32),
        **histograms(two, std),
        **width.arrays(run, rows),
    }
    last = run.snapshots.sizes[schema.SNAPSHOT] - 1
    arrays["histogram_row"] = np.array([0, last] if last else [0], dtype=np.int32)
    components = [schema.COMPONENT_NAMES[c] for c in schema.COMPONENTS]
    return encode(arrays, {"layers": run.layers, "heads": run.heads, "components": components, **alarm_meta})


def _what_is_missing(path: Path, error: OSError | KeyError) -> str:
    if isinstance(error, OSError):
        return f"{path}: cannot be read ({error})"
    name = re.search(r"'([\w/]+)'", str(error))  # xarray and HDF5 say more than the name of the dataset
    return f"{path}: no dataset {name[1] if name else error} (the file is incomplete)"


def _read(path: Path) -> tuple[Run, str]:
    """The run and its payload. Files may be sealed and replaced at any moment: then it is read again. What fails twice
    in the same way while no file has changed is missing, and not on its way."""
    failure = None
    for _ in range(_ATTEMPTS):
        there = signature(path)
        run = open_run(path, histograms=False)
        if not run.snapshots.sizes[schema.SNAPSHOT]:
            return run, ""
        refuse_extract(str(path), run)
        try:
            return run, _payload(run)
        except (OSError, KeyError) as error:
            if failure == (there, repr(error)):
                raise UnusableFileError(_what_is_missing(path, error)) from error
            failure = (there, repr(error))
    raise UnusableFileError(f"{path}: files keep changing while they are read")


def _progress(path: Path, run: Run) -> dict[str, Any]:
    trained = [event for event in recent_events(directory_of(path)) if event.get("event") == "train"]
    done = int(run.train["step"].values[-1]) + 1 if run.train.sizes.get("step") else run_last(run)
    done = max([done, *(event["step"] + 1 for event in trained)])
    steps = lookup(run.config, "train.steps", 0)
    steps = steps if isinstance(steps, int) else 0
    seconds = [e["step_seconds"] for e in trained[-50:] if isinstance(e.get("step_seconds"), int | float)]
    if not seconds and "step_seconds" in run.train:
        seconds = run.train["step_seconds"].values[-50:].tolist()
    left = (steps - done) * float(np.median(seconds)) if run.live and seconds and steps >= done else np.nan
    loss = [e["loss"] for e in trained[-20:] if isinstance(e.get("loss"), int | float)]
    return {
        "done": done,
        "steps": steps,
        "left": summary.duration(left) if np.isfinite(left) else "",
        "loss": f"{np.mean(loss):.4f}" if loss else "",
    }


def run_last(run: Run) -> int:
    return run.last_step if run.snapshots.sizes[schema.SNAPSHOT] else 0


def _readings(run: Run, progress: dict[str, Any]) -> list[list[str]]:
    found = summary.losses(run)
    rows = [["Training loss, last steps", progress["loss"]], ["Validation loss", _number(found.val)]]
    rows.append(["Speed", f"{summary.large(summary.speed(run))} tokens/s" if summary.speed(run) > 0 else ""])
    rows.append(["Last snapshot", f"step {run_last(run):,}"])
    rows.append(["Time left", progress["left"]])
    return [row for row in rows if row[1]]


def _number(value: float) -> str:
    return f"{value:.4f}" if value == value else ""


def state(path: Path) -> dict[str, Any]:
    """As JSON. `status`: waiting (nothing to be read yet, `message` says why), or that of the file. `newest`: when
    anything was written last (s since 1970): a job that was killed still says that it is running."""
    try:
        run, payload = _read(path)
    except UnusableFileError as error:
        return {"status": "waiting", "message": str(error), "name": path.name}
    progress = _progress(path, run)
    newest = max((time_ns for _, time_ns, _ in signature(path)), default=time.time_ns())
    return {
        "status": str(run.attrs.get("status", "unknown")),
        "name": run.name,
        "done": progress["done"],
        "steps": progress["steps"],
        "readings": _readings(run, progress),
        "alarms": tables.alarm_rows(run)[-_ALARMS:][::-1],
        "alarm_count": run.alarms.sizes.get("row", 0),
        "newest": newest / 1e9,
        "payload": payload,
        "layers": run.layers if payload else 0,
    }
