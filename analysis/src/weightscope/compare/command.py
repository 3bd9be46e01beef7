"""weightscope-compare RUN RUN... [-o compare.html] [--json FILE] [--markdown FILE] [--figures DIR] [--extracts DIR]
[--format text|json]"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from weightscope.command_line import add_runs, parser
from weightscope.compare.extract import write_extracts
from weightscope.compare.figures import write_figures
from weightscope.compare.markdown import markdown
from weightscope.compare.numbers import as_json
from weightscope.compare.page import render
from weightscope.compare.result import Comparison, compare, sentences
from weightscope.compare.table import table
from weightscope.errors import run_command
from weightscope.report.command import write_text
from weightscope.run import usable
from weightscope.seeds.decide import CLAIMS
from weightscope.seeds.words import contrast_sentence, sampled, sentence, summary

_EXAMPLES = """examples:
  weightscope-compare runs/seed-* -o seeds.html
  weightscope-compare runs/sweep-init/*/experiment.h5 -o init.html --json init.json --markdown init.md --figures figures
  weightscope-compare runs/small runs/large --format json
  weightscope-compare runs/sweep-init/*/experiment.h5 --extracts kept
  weightscope-compare kept/*.h5 runs/more-*

Runs that differ only in their seed are one group. Verdicts are given per group, over its seeds (three at least), never
over the layers of one run; docs/statistics.md, section 4, says how and how often they are wrong.
"""


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "weightscope-compare",
        "Sets runs beside each other and examines the claims over those that differ only in their seed.",
        _EXAMPLES,
    )
    add_runs(made)
    made.add_argument("-o", "--output", metavar="FILE", help="also write the comparison as one HTML page")
    made.add_argument("--json", metavar="FILE", help="also write every number as one JSON object")
    made.add_argument("--markdown", metavar="FILE", help="also write the verdicts as Markdown")
    made.add_argument("--figures", metavar="DIR", help="also write PNG figures here")
    made.add_argument(
        "--extracts",
        metavar="DIR",
        help="also write here what was read of each run, as small experiment files that can be compared again",
    )
    made.add_argument("--format", choices=("text", "json"), default="text", help="what goes to standard output")
    return made


def _text(c: Comparison) -> str:
    compared = table(c)
    rows = [compared["head"], *compared["rows"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [*sentences(c), ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for found in c.examined:
        lines += ["", f"{found.label}: {sampled(found)}", *(f"  {text}" for text in summary(found)), ""]
        for claim, title in CLAIMS.items():
            lines += [f"  {title}", *(f"    {sentence(d)}" for d in found.decisions if d.claim == claim)]
    decided = [contrast for contrast in c.contrasts if contrast.verdict != "undecided"]
    if c.contrasts:
        lines += ["", f"Groups against each other: {len(decided)} of {len(c.contrasts)} differences beyond chance."]
        lines += [f"  {contrast_sentence(contrast)}" for contrast in decided]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    def work() -> None:
        runs = [usable(path, histograms=False) for path in options.runs]
        if options.extracts:
            write_extracts(runs, Path(options.extracts))
        c = compare(runs)
        if options.output:
            write_text(Path(options.output), render(c))
        if options.json:
            write_text(Path(options.json), as_json(c) + "\n")
        if options.markdown:
            write_text(Path(options.markdown), markdown(c))
        if options.figures:
            write_figures(c, Path(options.figures))
        print(as_json(c) if options.format == "json" else _text(c))

    return run_command(work)
