"""Whether the runs of a sweep could start, before any of them does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from weightscope.errors import RefusedError
from weightscope.sweep import Sweep, Trial


def refused(trials: Sequence[Trial], launcher: Sequence[str], ranks: int | None = None) -> list[str]:
    """What `weightscope check` says against runs, a line each. Runs that differ in nothing but their seeds are asked
    about once. `launcher`: what starts the program, given its command; `ranks`: unknown unless given."""
    kinds = {str({k: v for k, v in t.settings.items() if k not in ("name", "seed")}): t for t in reversed(trials)}
    size = [] if ranks is None else ["--ranks", str(ranks)]

    def problem(trial: Trial) -> str:
        done = subprocess.run(
            [*launcher, "check", *trial.arguments(), *size],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return f"{trial.name}: {last_words(done.stderr)}" if done.returncode else ""

    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
        return [line for line in pool.map(problem, reversed(kinds.values())) if line]


def check_all(sweep: Sweep) -> list[str]:
    """What the program that is on PATH says against the runs of a sweep."""
    if shutil.which("weightscope") is None:
        raise RefusedError("weightscope is not on PATH, to check the runs: . launch/env.sh")
    return refused(sweep.trials, ["weightscope"])


def listed(lines: Sequence[str]) -> str:
    return "".join(f"\n  {line}" for line in lines)


def last_words(log: str) -> str:
    """The last line that the program calls an error, else one that tells of an error, else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("weightscope: error: ")]
    errors = errors or [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no output"])[-1].removeprefix("weightscope: error: ")[:200]
