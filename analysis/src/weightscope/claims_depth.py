"""Claims 3 and 4, about depth, in one run, which holds one sample of each layer and cannot decide them. Several runs
that differ in nothing but the seed can: `weightscope.seeds`."""

from __future__ import annotations

import numpy as np

from weightscope import ranks
from weightscope.course import Course
from weightscope.finding import Finding, fixed, p_text
from weightscope.schema import COMPONENT_NAMES


def early_in_one(c: Course) -> Finding:
    """Rank correlation of layer index and std(t)/std(0)."""
    r = ranks.depth_correlation(c.growth())
    kind = "exact" if r.exact else "approximate for ρ"
    tendency = "early layers widened more" if r.tau < 0 else "late layers widened more" if r.tau > 0 else "no order"
    text = (
        f"{COMPONENT_NAMES[c.component]}: {tendency} in this run: Kendall's τ of depth and growth = {fixed(r.tau)} "
        f"({p_text(r.tau_p)}), Spearman's ρ = {fixed(r.rho)} ({p_text(r.rho_p)}, {kind}, {c.layers} layers). "
        "One run cannot tell depth from chance; compare several seeds."
    )
    return Finding("early", "undecided from one run", c.component, int(c.steps[-1]), r.tau, np.nan, text)


def _lead(growth: np.ndarray) -> float:
    return float(growth[0] - np.max(growth[1:])) if len(growth) > 1 else np.nan


def first_in_one(c: Course) -> Finding:
    """Lead of the first layer over the widest-growing other layer, with its sampling error."""
    growth, relative = c.growth(), c.log_growth_error()
    if c.layers < 2 or not np.all(np.isfinite(growth)):
        why = (
            "one layer, nothing to compare it with" if c.layers < 2 else "its weights are not finite, or were all equal"
        )
        text = f"{COMPONENT_NAMES[c.component]}: {why}."
        return Finding("first", "undecided from one run", c.component, int(c.steps[-1]), np.nan, np.nan, text)
    other = 1 + int(np.argmax(growth[1:]))
    error = float(np.hypot(growth[0] * relative[0], growth[other] * relative[other]))
    widest = int(np.argmax(growth))
    place = int((growth > growth[0]).sum()) + 1
    text = (
        f"{COMPONENT_NAMES[c.component]}: layer {widest} widened most in this run ({fixed(growth[widest])} times); the "
        f"first layer widened {fixed(growth[0])} times, place {place} of {c.layers}. By chance alone the first layer "
        f"leads in 1 of {c.layers} runs, so one run decides nothing."
    )
    return Finding("first", "undecided from one run", c.component, int(c.steps[-1]), _lead(growth), error, text)
