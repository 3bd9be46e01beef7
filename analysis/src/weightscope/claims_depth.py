"""Claims 3 and 4, about depth. One run holds one sample of each layer and cannot decide them; several runs that
differ in nothing but the seed can."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from weightscope import ranks
from weightscope.course import Course
from weightscope.finding import Finding, Verdict, fixed, p_text
from weightscope.schema import COMPONENT_NAMES

DECISIVE_P = 0.01  # two-sided, beside a 95 % interval over seeds that excludes zero


def _both(interval: tuple[float, float, float], p: float, positive: Verdict, negative: Verdict) -> Verdict:
    _, low, high = interval
    if p >= DECISIVE_P:
        return "undecided"
    return positive if low > 0 else negative if high < 0 else "undecided"


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
        text = f"{COMPONENT_NAMES[c.component]}: one layer, nothing to compare it with."
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


def early_in_many(courses: Sequence[Course]) -> Finding:
    """τ of each run; interval over runs; exact p of the runs' inversions together. τ < 0 is what the claim
    says."""
    growths = [c.growth() for c in courses]
    taus = np.array([ranks.depth_correlation(growth).tau for growth in growths])
    mean, low, high = ranks.mean_interval(taus)
    interval = (mean, max(low, -1.0), min(high, 1.0))  # τ knows no more
    p = ranks.combined_p(growths)
    verdict = _both(interval, p, "reversed", "holds") if len(courses) > 2 else "undecided"
    c = courses[0]
    text = (
        f"{COMPONENT_NAMES[c.component]}: Kendall's τ of depth and growth is {fixed(interval[0])} on average over "
        f"{len(courses)} runs (95 % interval {_range(interval)}; by run {', '.join(fixed(t) for t in taus)}); "
        f"all together {p_text(p)}, exact." + _few(courses)
    )
    return Finding("early", verdict, c.component, int(c.steps[-1]), interval[0], _half(interval), text)


def first_in_many(courses: Sequence[Course]) -> Finding:
    """Lead of the first layer. Reversed means that it widens *least*; merely not leading is undecided."""
    growths = [c.growth() for c in courses]
    layers, n, c = courses[0].layers, len(courses), courses[0]
    lead = ranks.mean_interval(np.array([_lead(growth) for growth in growths]))
    trail = ranks.mean_interval(np.array([-_lead(-growth) for growth in growths]))
    leads = sum(int(np.argmax(growth) == 0) for growth in growths)
    trails = sum(int(np.argmin(growth) == 0) for growth in growths)
    lead_p, trail_p = (min(1.0, 2 * float(stats.binom.sf(k - 1, n, 1 / layers))) for k in (leads, trails))
    verdict: Verdict = "undecided"
    if n > 2 and lead[1] > 0 and lead_p < DECISIVE_P:
        verdict = "holds"
    elif n > 2 and trail[2] < 0 and trail_p < DECISIVE_P:
        verdict = "reversed"
    text = (
        f"{COMPONENT_NAMES[c.component]}: the first layer widened most in {leads} and least in {trails} of {n} runs "
        f"(chance: 1 in {layers} each, {p_text(lead_p)} and {p_text(trail_p)}); its lead over the next in "
        f"std(t)/std(0) is {fixed(lead[0])} (95 % interval {_range(lead)})." + _few(courses)
    )
    return Finding("first", verdict, c.component, int(c.steps[-1]), lead[0], _half(lead), text)


def _half(interval: tuple[float, float, float]) -> float:
    return (interval[2] - interval[1]) / 2


def _range(interval: tuple[float, float, float]) -> str:
    return f"{fixed(interval[1])} to {fixed(interval[2])}"


def _few(courses: Sequence[Course]) -> str:
    return " Fewer than three runs decide nothing about depth." if len(courses) < 3 else ""
