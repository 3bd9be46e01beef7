"""weightscope-export-tb RUN... -o LOGDIR: TensorBoard event files."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from weightscope.command_line import add_histogram_limit, add_runs, parser
from weightscope.config import flattened
from weightscope.errors import run_command
from weightscope.export.histograms import WeightHistogram, histograms, rows_of
from weightscope.export.series import alarm_rows, all_series, by_step, wall_times
from weightscope.run import Run, usable

_EXAMPLES = """examples:
  weightscope-export-tb runs/quickstart -o tensorboard
  weightscope-export-tb runs/sweep-init/*/experiment.h5 -o tensorboard --histograms 50
  tensorboard --logdir tensorboard --host 127.0.0.1

Each run becomes the folder LOGDIR/NAME with one event file, which a second export of it replaces; LOGDIR/NAME-ID where
NAME already holds another run. The step is the update number, the time that of the recording.
"""
_FILE: Final = "events.out.tfevents.{created:010d}.{id}.weightscope"  # TensorBoard reads files named `…tfevents…`


def _histogram(one: WeightHistogram) -> Any:
    """TensorBoard keeps right limits only: an empty bucket in front holds the first edge."""
    from tensorboardX.summary import histogram_raw

    number = int(one.count.sum())
    return histogram_raw(
        one.tag, one.low, one.high, number, one.total, one.squares, one.edge.tolist(), [0, *one.count.tolist()]
    )


def _texts(run: Run) -> dict[int, list[Any]]:
    """Update number → summaries: the configuration as it stands in the file, alarms, all those of a step in one."""
    from tensorboardX.summary import text

    said: dict[int, list[str]] = {}
    for row in alarm_rows(run):
        line = " ".join(str(row[name]) for name in ("rule", "target", "message") if name in row)
        said.setdefault(int(str(row["step"])), []).append(f"**{row.get('severity', 'alarm')}** {line}")
    found = {step: [text("alarms", "\n\n".join(lines))] for step, lines in said.items()}
    config = "\n".join("    " + line for line in str(run.attrs.get("config", "")).splitlines())
    if config:
        found.setdefault(0, []).append(text("config", config))
    return found


def _hparams(run: Run, tags: set[str]) -> list[Any]:
    from tensorboardX.summary import hparams

    plain = (bool, int, float, str)
    values = {key: value if isinstance(value, plain) else str(value) for key, value in flattened(run.config).items()}
    metrics = {tag: 0.0 for tag in ("train/loss", "eval/loss") if tag in tags}
    return list(hparams(values, metrics)) if values else []


def events(run: Run, histogram_limit: int) -> Iterator[Any]:
    """Event protocol buffers in the order of their steps. Scalars are float32, as TensorBoard keeps them."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

    series = all_series(run)
    scalars, texts = by_step(series), _texts(run)
    shown = {int(run.snapshots["snapshot_step"].values[row]): int(row) for row in rows_of(run, histogram_limit)}
    steps = np.array(sorted({*scalars, *texts, *shown}), dtype=np.int64)
    times = wall_times(run, steps)
    yield Event(wall_time=float(times[0]), file_version="brain.Event:2")
    for summary in _hparams(run, {one.tag for one in series}):
        yield Event(wall_time=float(times[0]), summary=summary)
    for step, time in zip(steps.tolist(), times.tolist(), strict=True):
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.get(step, {}).items()]
        made = [Summary(value=values), *texts.get(step, [])]
        made += [_histogram(one) for one in histograms(run, shown[step])] if step in shown else []
        for summary in made:
            if summary.value:
                yield Event(wall_time=time, step=step, summary=summary)


def write(run: Run, folder: Path, histogram_limit: int) -> Path:
    """Writes the run's event file into `folder`, in place of an earlier export's. OSError where there is no writing."""
    from tensorboardX.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "export.partial"
    writer = RecordWriter(str(partial))
    for event in events(run, histogram_limit):
        writer.write(event.SerializeToString())
    writer.flush()
    writer.close()
    return partial.replace(folder / _FILE.format(created=int(wall_times(run, np.zeros(1))[0]), id=_id(run)))


def _id(run: Run) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", str(run.attrs.get("uuid", "")))[:8] or "0"


def _folders(runs: Sequence[Run], base: Path) -> list[Path]:
    """A folder for each run, after its name; numbered where names are not enough. TensorBoard makes one curve of all
    event files in a folder: one that holds another run's is left alone."""
    names = [run.folder_name for run in runs]
    if len(set(names)) < len(names):
        names = [f"{index}-{name}" for index, name in enumerate(names, 1)]

    def free(run: Run, name: str) -> Path:
        there = [file.name.split(".")[-2] for file in (base / name).glob("events.out.tfevents.*.weightscope")]
        return base / name if all(one == _id(run) for one in there) else base / f"{name}-{_id(run)}"

    return [free(run, name) for run, name in zip(runs, names, strict=True)]


def _parser() -> argparse.ArgumentParser:
    made = parser("weightscope-export-tb", "Writes runs as TensorBoard event files.", _EXAMPLES)
    add_runs(made)
    made.add_argument("-o", "--output", required=True, metavar="LOGDIR", help="gets a folder for each run")
    add_histogram_limit(made, 200)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    def work() -> None:
        runs = [usable(path) for path in options.runs]
        for run, folder in zip(runs, _folders(runs, Path(options.output)), strict=True):
            print(write(run, folder, options.histograms))

    return run_command(work)


if __name__ == "__main__":
    raise SystemExit(main())
