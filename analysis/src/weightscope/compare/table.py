"""The table of all runs: what differs in their configurations, losses, speed, growth."""

from __future__ import annotations

from typing import Any

import numpy as np

from weightscope import summary
from weightscope.compare.result import Comparison, differing
from weightscope.config import lookup
from weightscope.finding import fixed
from weightscope.run import Run
from weightscope.seeds.trajectories import trajectories


def _growth(run: Run, component: str) -> str:
    return f"× {fixed(float(np.exp(trajectories([run], component).log_growth[0, -1].mean())))}"


def _value(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}" if value == value else "n/a"


def table(c: Comparison) -> dict[str, Any]:
    """One row per run: what differs in the configurations, losses, speed, mean growth of Q, K, V."""
    keys = differing(c.runs)
    head = [
        *("Run", "Seed", *keys, "Steps", "Training loss", "Validation loss", "Tokens/s", "Time"),
        *("Q wider", "K wider", "V wider", "Status"),
    ]
    rows = []
    for run in c.runs:
        found, rate, seconds = summary.losses(run), summary.speed(run), summary.wall_seconds(run)
        rows.append(
            [
                run.name,
                str(lookup(run.config, "seed", "n/a")),
                *(str(lookup(run.config, key, "")) for key in keys),
                f"{run.last_step:,}",
                _value(found.end),
                _value(found.val),
                summary.large(rate) if rate == rate else "n/a",
                summary.duration(seconds) if seconds == seconds else "n/a",
                *(_growth(run, component) for component in ("q", "k", "v")),
                str(run.attrs.get("status", "")),
            ]
        )
    return {"head": head, "rows": rows}
