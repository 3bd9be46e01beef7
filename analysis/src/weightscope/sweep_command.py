"""weightscope-sweep: lists the runs of a sweep, or tells a script about them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from weightscope import sweep
from weightscope.command_line import parser
from weightscope.errors import RefusedError, UnusableFileError, run_command
from weightscope.sweep import Sweep, read_sweep
from weightscope.sweep_check import check_all, listed


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "weightscope-sweep",
        "Lists the runs of a sweep, or tells a script about them.",
        sweep.__doc__ or "",
    )
    made.add_argument("sweep", metavar="SWEEP.yaml")
    what = made.add_mutually_exclusive_group()
    what.add_argument("--count", action="store_true", help="the number of runs")
    what.add_argument("--run", type=int, metavar="N", help="the arguments of train for run N, one a line")
    what.add_argument("--outputs", action="store_true", help="the run directories, one a line")
    what.add_argument("--check", action="store_true", help="whether they could all start: asks `weightscope check`")
    what.add_argument("--folder", action="store_true", help="the folder of all runs")
    return made


def _answer(options: argparse.Namespace) -> list[str]:
    asked = read_sweep(options.sweep)
    if options.check:
        return _checked(options.sweep, asked)
    if options.count:
        return [str(len(asked.trials))]
    if options.folder:
        return [asked.folder]
    if options.outputs:
        return [trial.output for trial in asked.trials]
    if options.run is None:
        return [f"{trial.index:4d}  {' '.join(trial.arguments())}" for trial in asked.trials]
    if not 0 <= options.run < len(asked.trials):
        raise UnusableFileError(f"{options.sweep}: has runs 0 to {len(asked.trials) - 1}, no run {options.run}")
    return asked.trials[options.run].arguments()


def _checked(path: str, asked: Sweep) -> list[str]:
    if lines := check_all(asked):
        raise RefusedError(f"{path}: some runs could not start:{listed(lines)}")
    return [f"all {len(asked.trials)} runs could start"]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    return run_command(lambda: print("\n".join(_answer(options))))


if __name__ == "__main__":
    raise SystemExit(main())
