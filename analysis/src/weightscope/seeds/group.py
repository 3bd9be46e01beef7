"""A group of runs that differ only in their seed, examined: every claim on every component, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weightscope.equilibrium import adamw_course
from weightscope.finding import Verdict
from weightscope.grouping import Group
from weightscope.seeds import decide, effects
from weightscope.seeds.decide import CLAIMS, Flip, Tested
from weightscope.seeds.intervals import BOOTSTRAP_LEAST, LEAST, Means, means, studentized
from weightscope.seeds.parts import PartContrast, compare_parts
from weightscope.seeds.trajectories import EXAMINED, FUSED, PARTS, Trajectories, trajectories, verdict_index


@dataclass(frozen=True)
class Span:
    """A mean over seeds with its 95 % t interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """What a group says about one claim on one component at step `step`. `effect` is in the unit of the claim: mean
    over layers of ln(std(t)/std(start)) (wider), mean change of excess kurtosis (tails), Kendall's τ (early,
    early_inner), ln growth of layer 0 minus the mean of the others (first). `bootstrap`: studentized, from five seeds
    on. `p_holm` is corrected within the family. `half`: first step from which on the mean effect was beyond half of
    it. `more`: numbers that belong beside the effect. Arrays run over `steps`, and `verdicts`, what each step says by
    itself, too: not corrected for the number of steps."""

    claim: str
    component: str
    verdict: Verdict
    step: int
    effect: Span
    bootstrap: tuple[float, float] | None
    p: float
    p_holm: float
    n_layers: int
    n_seeds: int
    since: int | None
    half: int | None
    flips: list[Flip]
    opposed: bool
    more: dict[str, Span]
    steps: np.ndarray
    course: Means
    course_p: np.ndarray
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Examined:
    """`values`: (seed, step) by component and effect. `profiles`: by component, (3, layer): mean, low and high over
    seeds of std(t)/std(start) at `step`; `walks` the same of the displacement."""

    label: str
    runs: list[str]
    seeds: list[str]
    left_out: list[tuple[str, str]]
    layers: int
    steps: np.ndarray
    step: int
    recorded: np.ndarray
    decisions: list[Decision]
    values: dict[str, dict[str, np.ndarray]]
    profiles: dict[str, np.ndarray]
    walks: dict[str, np.ndarray]
    parts: list[PartContrast]

    def of(self, claim: str, component: str) -> Decision:
        return next(d for d in self.decisions if (d.claim, d.component) == (claim, component))


def span(found: Means, index: int) -> Span:
    return Span(*(float(values[index]) for values in found[:3]))


def _bootstrap(values: np.ndarray, bound: float) -> tuple[float, float] | None:
    """None where there is none: few seeds, or too many that agree exactly (τ does), which leaves resamples no error."""
    finite = values[np.isfinite(values)]
    if len(finite) < BOOTSTRAP_LEAST or np.ptp(finite) == 0:
        return None
    low, high = (float(side[0]) for side in studentized(finite[:, None]))
    return (max(low, -bound), min(high, bound)) if np.isfinite([low, high]).all() else None


def _beside(claim: str, t: Trajectories, values: dict[str, np.ndarray], index: int) -> dict[str, Span]:
    """Numbers that a claim is not read without."""
    if claim == "wider":
        walk = t.displacement.mean(axis=-1)
        explained = 0.5 * np.log1p(t.displacement**2).mean(
            axis=-1
        )  # what a walk of that length in a random direction would widen
        beyond = values["wider"] - explained
        found = {"displacement": walk, "explained by the walk": explained, "beyond the walk": beyond}
        if t.adamw is not None:
            alone = t.adamw.mean(axis=-1)
            found |= {"AdamW alone": alone, "beyond AdamW": values["wider"] - alone}
    elif claim == "tails":
        found = {"kurtosis": t.kurtosis.mean(axis=-1)}
        if t.mixture is not None:
            found["mixture"] = t.mixture.mean(axis=-1)
    elif claim in ("early", "early_inner"):
        found = {"slope": values["slope" if claim == "early" else "slope_inner"]}
    else:
        found = {"lead": values["lead"], "trail": values["trail"]}
    return {name: span(means(value), index) for name, value in found.items()}


def _half(effect: np.ndarray, steps: np.ndarray, index: int) -> int | None:
    """Steps that nobody recorded do not count."""
    last = effect[index]
    if not np.isfinite(last) or last == 0:
        return None
    behind = np.flatnonzero(effect[:index] / last < 0.5)
    later = [i for i in range(behind[-1] + 1 if behind.size else 0, index + 1) if np.isfinite(effect[i])]
    return int(steps[later[0]])


def _one_run(words: list[Verdict], t: Tested, index: int) -> Verdict:
    return "undecided from one run" if t.found.n[index] <= 1 else words[index]


def _decision(
    t: Tested, p: np.ndarray, course: Trajectories, values: dict[str, np.ndarray], *, index: int, family: int
) -> Decision:
    words = decide.verdicts(t, p)
    layers = course.layers - (t.claim == "early_inner")
    return Decision(
        claim=t.claim,
        component=t.component,
        verdict=_one_run(words, t, index),
        step=int(course.steps[index]),
        effect=span(t.found, index),
        bootstrap=_bootstrap(values[t.claim][:, index], 1.0 if t.claim.startswith("early") else np.inf),
        p=float(t.p[index]),
        p_holm=float(p[index]),
        n_layers=layers,
        n_seeds=int(t.found.n[index]),
        since=decide.since(words, course.steps, index),
        half=_half(t.found.mean, course.steps, index),
        flips=decide.flips(t, course.steps, family),
        opposed=bool(t.opposed[index]),
        more=_beside(t.claim, course, values, index),
        steps=course.steps,
        course=t.found,
        course_p=p,
        verdicts=words,
    )


def _fused(decision: Decision, parts: Sequence[Decision]) -> Decision:
    """The fused matrix takes the verdict that Q, K and V share, if its own effect goes the same way; it has none of its
    own, because three different widths alone give it a shape."""
    shared = {part.verdict for part in parts}
    if len(shared) == 1 and decision.verdict in (*shared, "undecided from one run"):
        return decision
    return Decision(**{**vars(decision), "verdict": "undecided", "since": None})


def _factors(logarithms: np.ndarray) -> np.ndarray:
    """Growth by layer: mean, low and high, (3, layer); NaN where there is no interval."""
    values = np.stack(means(logarithms)[:3])
    return np.exp(np.where(np.isfinite(values), values, np.nan))


def examine(courses: Sequence[Trajectories], group: Group | None = None, seeds: Sequence[str] = ()) -> Examined:
    """`courses`: one per component, of the same runs. The group adds names; without one, the seeds are numbered."""
    first = courses[0]
    recorded = np.asarray(np.isfinite(np.stack([c.log_growth for c in courses])).any(axis=(0, 3)))
    index = verdict_index(recorded)
    values = {c.component: effects.per_seed(c.log_growth, c.kurtosis_change) for c in courses}
    tests = {c.component: decide.tested(c, values[c.component]) for c in courses}
    corrected = decide.adjusted([t for found in tests.values() for t in found])
    family = len([c for c in courses if c.component != FUSED])
    by_key: dict[tuple[str, str], Decision] = {}
    for c in courses:
        for t in tests[c.component]:
            p = corrected[t.claim, t.component]
            by_key[t.claim, t.component] = _decision(t, p, c, values[c.component], index=index, family=family)
    for claim in CLAIMS:
        if (claim, FUSED) in by_key:
            parts = [by_key[claim, part] for part in ("q", "k", "v")]
            by_key[claim, FUSED] = _fused(by_key[claim, FUSED], parts)
    names = [str(seed) for seed in (group.seeds if group else seeds or range(1, first.seeds + 1))]
    return Examined(
        label=group.label if group else "",
        runs=[run.name for run in group.runs] if group else names,
        seeds=names,
        left_out=list(group.left_out) if group else [],
        layers=first.layers,
        steps=first.steps,
        step=int(first.steps[index]),
        recorded=recorded,
        decisions=[by_key[claim, c.component] for claim in CLAIMS for c in courses],
        values=values,
        profiles={c.component: _factors(c.log_growth[:, index]) for c in courses},
        walks={c.component: np.stack(means(c.displacement[:, index])[:3]) for c in courses},
        parts=compare_parts(values, index),
    )


def examine_group(group: Group) -> Examined:
    have = set.intersection(*(set(run.snapshots["component"].values) for run in group.runs))
    alone = [adamw_course(run) for run in group.runs]
    return examine([trajectories(group.runs, c, alone) for c in EXAMINED if c in have], group)


__all__ = ["EXAMINED", "LEAST", "PARTS", "Decision", "Examined", "Span", "examine", "examine_group"]
