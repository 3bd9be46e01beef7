"""What the check of the initialization found (/init, docs/statistics.md 5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weightscope.run import Run


def has_failed(verdict: str) -> bool:
    """Verdicts are "pass", "fail: " and what failed, or "imported" of weights of which nothing is expected."""
    return verdict.startswith("fail")


class InitCheck(NamedTuple):
    """How many parameters passed and failed, and how many there are, untested ones too; the names of those that
    failed."""

    passed: int
    failed: int
    total: int
    names: list[str]


def init_check(run: Run) -> InitCheck:
    if "verdict" not in run.init:
        return InitCheck(0, 0, 0, [])
    verdicts = [str(verdict) for verdict in run.init["verdict"].values]
    names = run.init["name"].values if "name" in run.init else np.arange(len(verdicts))
    failed = [str(name) for name, verdict in zip(names, verdicts, strict=True) if has_failed(verdict)]
    return InitCheck(sum(verdict == "pass" for verdict in verdicts), len(failed), len(verdicts), failed)
