"""weightscope-export-wandb RUN -o DIR: an offline run of Weights & Biases, which `wandb sync` uploads."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weightscope import schema
from weightscope.command_line import ONE_RUN, add_histogram_limit, parser
from weightscope.errors import MissingPackageError, run_command
from weightscope.export.histograms import histograms, rows_of
from weightscope.export.series import alarm_rows, all_series, by_step, wall_times
from weightscope.run import Run, usable

_EXAMPLES = """examples:
  weightscope-export-wandb runs/quickstart -o wandb-export
  wandb sync wandb-export/wandb/offline-run-*               # uploads; needs an account, and is yours to start

Works offline: nothing is sent, no port is opened. The step is the update number, _timestamp the time of the recording.
The id is that of the experiment file: a later export is the same run there. Needs the package wandb:
pip install 'weightscope[wandb]'
"""


def _import_wandb() -> Any:
    """The package, with its crash reports to its maker and a service of somebody else's switched off."""
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ.pop("WANDB_SERVICE", None)
    try:
        import wandb
    except ImportError:
        raise MissingPackageError(
            "the package wandb is missing (only this command needs it); pip install 'weightscope[wandb]'"
        ) from None
    return wandb


def _key(tag: str) -> str:
    """Weights & Biases takes dots for nesting."""
    return tag.replace(".", "/")


def _rows(wandb: Any, run: Run, histogram_limit: int) -> dict[int, dict[str, Any]]:
    """Update number → key → number or histogram."""
    rows: dict[int, dict[str, Any]] = {
        step: {_key(tag): value for tag, value in row.items()} for step, row in by_step(all_series(run)).items()
    }
    for row in rows_of(run, histogram_limit):
        into = rows.setdefault(int(run.snapshots[schema.SNAPSHOT].values[row]), {})
        for one in histograms(run, int(row)):
            into[_key(one.tag)] = wandb.Histogram(np_histogram=(one.count, one.edge))
    return rows


def write(run: Run, directory: Path, project: str, histogram_limit: int) -> Path:
    """Writes one offline run below `directory`/wandb and returns its folder. MissingPackageError without wandb; OSError
    where nothing can be written."""
    wandb = _import_wandb()
    directory.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(
        mode="offline", root_dir=str(directory), console="off", silent=True, disable_git=True, disable_code=True,
        save_code=False, x_disable_stats=True, x_disable_meta=True, x_save_requirements=False,
    )  # fmt: skip
    made = wandb.init(
        project=project,
        name=run.name,
        id=str(run.attrs.get("uuid", "")) or None,
        config=run.config,
        settings=settings,
    )
    rows = _rows(wandb, run, histogram_limit)
    steps = sorted(rows)
    for step, time in zip(steps, wall_times(run, np.array(steps)).tolist(), strict=True):
        made.log({**rows[step], "_timestamp": time}, step=step)
    alarms = alarm_rows(run)
    if alarms:
        table = wandb.Table(columns=list(alarms[0]), data=[list(row.values()) for row in alarms])
        made.log({"alarms": table}, step=steps[-1])
    folder = Path(made.dir).parent
    made.finish()
    return folder


def _parser() -> argparse.ArgumentParser:
    made = parser("weightscope-export-wandb", "Writes a run as an offline run of Weights & Biases.", _EXAMPLES)
    made.add_argument("run", metavar="FILE_OR_DIR", help=ONE_RUN)
    made.add_argument("-o", "--output", required=True, metavar="DIR", help="gets wandb/offline-run-TIME-ID")
    made.add_argument("--project", default="weightscope", help="project of the run (default weightscope)")
    add_histogram_limit(made, 50)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    return run_command(
        lambda: print(write(usable(options.run), Path(options.output), options.project, options.histograms))
    )


if __name__ == "__main__":
    raise SystemExit(main())
