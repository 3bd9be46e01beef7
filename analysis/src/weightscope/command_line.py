"""What all weightscope-* commands share."""

from __future__ import annotations

import argparse

ONE_RUN = "a run directory, or its experiment.h5 (sealed part only)"


def parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """With the examples of `epilog` as they are written."""
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_runs(to: argparse.ArgumentParser) -> None:
    """One run or more: `runs`."""
    to.add_argument("runs", nargs="+", metavar="FILE_OR_DIR", help="experiment.h5 or a run directory")


def add_histogram_limit(to: argparse.ArgumentParser, default: int) -> None:
    """How many snapshots of each distribution: `histograms`."""
    to.add_argument(
        "--histograms",
        type=int,
        default=default,
        metavar="N",
        help=f"histograms of at most N snapshots, evenly spaced; 0: none (default {default})",
    )
