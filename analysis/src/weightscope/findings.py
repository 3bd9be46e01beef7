"""The four claims about Q, K and V, examined: `examine(run)` for one run, `examine_seeds(runs)` for several that
differ only in their seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightscope import claims_depth, claims_shape, ranks
from weightscope.course import PARTS, Course, course, mixture_part
from weightscope.finding import CLAIMS, Finding, fixed
from weightscope.run import Run
from weightscope.schema import COMPONENT_NAMES

EXAMINED = (*PARTS, "c_attn")  # the parts before the whole: the whole is partly their mixture

__all__ = ["CLAIMS", "EXAMINED", "Finding", "examine", "examine_seeds"]


def _undecidable(run: Run, component: str) -> list[Finding]:
    text = f"{COMPONENT_NAMES[component]}: one snapshot shows no change."
    return [Finding(claim, "undecided", component, run.last_step, np.nan, np.nan, text) for claim in CLAIMS]


def examine(run: Run) -> list[Finding]:
    """Every claim for Q, K, V apart and for the fused matrix, at the last snapshot; in the order of CLAIMS, then
    of EXAMINED."""
    found: list[Finding] = []
    for component in EXAMINED:
        if run.snapshots.sizes["snapshot_step"] < 2:
            found += _undecidable(run, component)
            continue
        c = course(run, component)
        mixture = mixture_part(run) if component == "c_attn" else None
        found += [
            claims_shape.wider(c),
            claims_shape.tails(c, mixture),
            claims_depth.early_in_one(c),
            claims_depth.first_in_one(c),
        ]
    return _ordered(found)


def _over_runs(findings: list[Finding]) -> Finding:
    """Claims 1 and 2 over several runs: the verdict all runs share, with the interval of the effect over runs."""
    first = findings[0]
    verdicts = {f.verdict for f in findings}
    interval = ranks.mean_interval(np.array([f.effect for f in findings]))
    agreed = first.verdict if len(verdicts) == 1 else "undecided"
    what = "growth of std" if first.claim == "wider" else "change of excess kurtosis"
    scale, unit = (100, " %") if first.claim == "wider" else (1, "")
    mean, low, high = (fixed(scale * value, 1 if unit else 2) for value in interval)
    counts = ", ".join(f"{sum(f.verdict == v for f in findings)} {v}" for v in sorted(verdicts))
    text = (
        f"{COMPONENT_NAMES[first.component]}: mean {what} {mean}{unit} over {len(findings)} runs "
        f"(95 % interval {low} to {high}{unit}); by run: {counts}."
    )
    return Finding(first.claim, agreed, first.component, first.step, interval[0], (interval[2] - interval[1]) / 2, text)


def examine_seeds(runs: Sequence[Run]) -> list[Finding]:
    """The claims over runs of one configuration, each at its last snapshot."""
    if len(runs) == 1:
        return examine(runs[0])
    each = [examine(run) for run in runs]
    found: list[Finding] = []
    for index, finding in enumerate(each[0]):
        if finding.claim in ("wider", "tails"):
            found.append(_over_runs([findings[index] for findings in each]))
            continue
        courses: list[Course] = [course(run, finding.component) for run in runs]
        if any(len(c.steps) < 2 or c.layers != courses[0].layers for c in courses):
            found.append(finding)
        elif finding.claim == "early":
            found.append(claims_depth.early_in_many(courses))
        else:
            found.append(claims_depth.first_in_many(courses))
    return _ordered(found)


def _ordered(findings: list[Finding]) -> list[Finding]:
    claims = list(CLAIMS)
    return sorted(findings, key=lambda f: (claims.index(f.claim), EXAMINED.index(f.component)))
