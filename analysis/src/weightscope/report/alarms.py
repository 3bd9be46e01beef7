"""Alarms as marks on the loss curve: one for each step that raised any."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np

from weightscope.run import Run

_MOST: Final = 500  # the newest steps


def _texts(run: Run) -> dict[int, str]:
    """What each step raised: "loss_spike, std_jump (12)"."""
    if not run.alarms.sizes.get("row") or "rule" not in run.alarms:
        return {}
    rules: dict[int, Counter[str]] = {}
    for step, rule in zip(run.alarms["step"].values.tolist(), run.alarms["rule"].values, strict=True):
        rules.setdefault(int(step), Counter())[str(rule)] += 1
    return {
        step: ", ".join(f"{rule} ({n})" if n > 1 else rule for rule, n in found.items())
        for step, found in sorted(rules.items())[-_MOST:]
    }


def _loss_at(run: Run, steps: np.ndarray) -> np.ndarray:
    """Loss of the last update before each step; the last finite one where that is none."""
    finite = np.isfinite(run.train["loss"].values)
    known, loss = run.train["step"].values[finite], run.train["loss"].values[finite]
    return loss[np.maximum(np.searchsorted(known, steps, side="left") - 1, 0)]


def marks(run: Run) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays alarm_step and alarm_loss, and their texts for the figure's meta; nothing without alarms or losses."""
    texts = _texts(run)
    if not texts or "loss" not in run.train or not np.isfinite(run.train["loss"].values).any():
        return {}, {}
    steps = np.array(list(texts), dtype=np.int32)
    return {"alarm_step": steps, "alarm_loss": _loss_at(run, steps)}, {"alarm_texts": list(texts.values())}
