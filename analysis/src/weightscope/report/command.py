"""weightscope-report FILE_OR_DIR... -o report.html [--figures DIR]"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from weightscope.command_line import add_runs, parser
from weightscope.errors import run_command
from weightscope.report.figures import write_figures
from weightscope.report.render import render
from weightscope.run import Run, usable

_EXAMPLES = """examples:
  weightscope-report runs/quickstart -o report.html --figures figures
  weightscope-report runs/seed-*/experiment.h5 -o seeds.html
"""


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "weightscope-report",
        "Writes one self-contained HTML page about one or several runs.",
        _EXAMPLES,
    )
    add_runs(made)
    made.add_argument("-o", "--output", required=True, metavar="FILE", help="the page to write")
    made.add_argument("--figures", metavar="DIR", help="also write PNG figures here (a folder per run if several)")
    return made


def _figure_folders(runs: Sequence[Run], base: Path) -> list[Path]:
    if len(runs) == 1:
        return [base]
    return [base / f"{index}-{run.folder_name}" for index, run in enumerate(runs, 1)]


def write_text(path: Path, text: str) -> None:
    """Through a temporary name, so that a reader never sees half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    def work() -> None:
        runs = [usable(path) for path in options.runs]
        page, path = render(runs), Path(options.output)
        path.parent.mkdir(parents=True, exist_ok=True)
        if options.figures:
            for run, folder in zip(runs, _figure_folders(runs, Path(options.figures)), strict=True):
                write_figures(run, folder)
        # Last: scripts take a page that is newer than the experiment file for all that was asked.
        write_text(path, page)

    return run_command(work)
