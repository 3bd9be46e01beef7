"""weightscope-compare RUN RUN... [-o compare.html] [--format text|json]"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weightscope import grouping
from weightscope.compare.page import render, sentences, table
from weightscope.errors import run_command
from weightscope.findings import examine_seeds
from weightscope.report.command import usable, write_text
from weightscope.run import Run

_EXAMPLES = """examples:
  weightscope-compare runs/seed-* -o seeds.html
  weightscope-compare runs/small runs/large --format json
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="weightscope-compare",
        description="Sets runs beside each other and examines the claims over those that differ only in their seed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="FILE_OR_DIR", help="experiment.h5 or a run directory")
    parser.add_argument("-o", "--output", metavar="FILE", help="also write the comparison as one HTML page")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what goes to standard output")
    return parser


def _plain(finding: Any) -> dict[str, Any]:
    fields = dataclasses.asdict(finding)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in fields.items()}


def _json(runs: Sequence[Run]) -> str:
    compared = table(runs)
    groups = [
        {"runs": grouping.labels(group), "findings": [_plain(finding) for finding in examine_seeds(group)]}
        for group in grouping.by_configuration(runs)
    ]
    rows = [dict(zip(compared["head"], row, strict=True)) for row in compared["rows"]]
    return json.dumps({"runs": rows, "experiments": groups}, ensure_ascii=False)


def _text(runs: Sequence[Run]) -> str:
    compared = table(runs)
    rows = [compared["head"], *compared["rows"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [*sentences(runs), ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for group in grouping.by_configuration(runs):
        lines += ["", f"{', '.join(grouping.labels(group))}:"]
        lines += [f"  {f.title}, {f.summary}. {f.text}" for f in examine_seeds(group)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    def work() -> None:
        runs = [usable(path) for path in options.runs]
        if options.output:
            write_text(Path(options.output), render(runs))
        print(_json(runs) if options.format == "json" else _text(runs))

    return run_command(work)
