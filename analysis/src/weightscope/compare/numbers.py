"""The comparison as one JSON object, with every number."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from weightscope import grouping
from weightscope.compare.result import Comparison, sentences
from weightscope.compare.table import table
from weightscope.seeds.decide import ALPHA, CLAIMS, FAMILIES
from weightscope.seeds.group import Decision, Examined
from weightscope.seeds.intervals import LEVEL
from weightscope.seeds.words import sampled, sentence


def plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _finding(d: Decision) -> dict[str, Any]:
    return {
        "claim": d.claim, "title": CLAIMS[d.claim], "component": d.component, "verdict": d.verdict, "step": d.step,
        "effect": d.effect.mean, "low": d.effect.low, "high": d.effect.high, "bootstrap": d.bootstrap, "p": d.p,
        "p_holm": d.p_holm, "n_layers": d.n_layers, "n_seeds": d.n_seeds, "since": d.since,
        "half": d.half,
        "flips": [asdict(flip) for flip in d.flips], "layers_opposed": d.opposed,
        "beside": {name: asdict(span) for name, span in d.more.items()}, "text": sentence(d),
        "course": {
            "step": d.steps, "mean": d.course.mean, "low": d.course.low, "high": d.course.high, "seeds": d.course.n,
            "p": d.course.p, "p_holm": d.course_p, "verdict": d.verdicts,
        },
    }  # fmt: skip


def _group(found: Examined, runs: list[str]) -> dict[str, Any]:
    return {
        "label": found.label, "runs": runs, "seeds": found.seeds, "layers": found.layers, "step": found.step,
        "left_out": [{"run": name, "reason": reason} for name, reason in found.left_out], "text": sampled(found),
        "findings": [_finding(d) for d in found.decisions],
        "parts": [asdict(contrast) for contrast in found.parts],
        "by_layer": {
            component: {
                name: dict(zip(("mean", "low", "high"), values[component], strict=True))
                for name, values in (("growth", found.profiles), ("displacement", found.walks))
            }
            for component in found.profiles
        },
        "per_seed": {
            component: {name: values[:, list(found.steps).index(found.step)] for name, values in effects.items()}
            for component, effects in found.values.items()
        },
    }  # fmt: skip


def numbers(c: Comparison) -> dict[str, Any]:
    compared = table(c)
    return plain(
        {
            "runs": [dict(zip(compared["head"], row, strict=True)) for row in compared["rows"]],
            "method": {"family_level": ALPHA, "interval_level": LEVEL, "families": FAMILIES},
            "text": sentences(c),
            "experiments": [
                _group(found, grouping.labels(group.runs)) for group, found in zip(c.groups, c.examined, strict=True)
            ],
            "differences": [asdict(contrast) for contrast in c.contrasts],
        }
    )


def as_json(c: Comparison) -> str:
    return json.dumps(numbers(c), ensure_ascii=False)
