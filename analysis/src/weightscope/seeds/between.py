"""Groups against each other: differences of effects over seeds, for the pairs that differ in least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from weightscope.config import flattened
from weightscope.grouping import IGNORED, Group
from weightscope.seeds import effects
from weightscope.seeds.decide import ALPHA, CLAIMS
from weightscope.seeds.group import Examined, Span, span
from weightscope.seeds.intervals import LEAST, Means, difference, holm, means
from weightscope.seeds.trajectories import PARTS, verdict_index


@dataclass(frozen=True)
class Contrast:
    """Effect of group `a` minus that of `b` at `step`, the last one that both recorded. `paired`: over the seeds that
    both have, because runs with one seed share the order of their data; else independent seeds. `verdict`: more, less
    (a than b) or undecided. `p_holm`: over all compared pairs and the six components, for each claim."""

    a: str
    b: str
    differing: list[str]
    claim: str
    component: str
    step: int
    effect: Span
    paired: bool
    n_seeds: int
    p: float
    p_holm: float
    verdict: str


def least_different(groups: Sequence[Group]) -> list[tuple[int, int, list[str]]]:
    """Pairs with no third group between them, and the keys they differ in: (scheme, width) is compared with another
    scheme at the same width, not with another scheme at another width."""
    flat = [flattened(group.runs[0].config) for group in groups]

    def gap(a: int, b: int) -> frozenset[str]:
        keys = (flat[a].keys() | flat[b].keys()) - set(IGNORED)
        return frozenset(key for key in keys if repr(flat[a].get(key)) != repr(flat[b].get(key)))

    gaps = {(a, b): gap(a, b) for a, b in combinations(range(len(groups)), 2)}
    gaps |= {(b, a): keys for (a, b), keys in gaps.items()}
    found = []
    for a, b in combinations(range(len(groups)), 2):
        others = (c for c in range(len(groups)) if c not in (a, b))
        if not any(gaps[a, c] < gaps[a, b] and gaps[c, b] < gaps[a, b] for c in others):
            found.append((a, b, sorted(gaps[a, b])))
    return found


def _common(a: Examined, b: Examined) -> tuple[int, int] | None:
    """Index, in each, of the last step that enough seeds of both recorded; None if they share no step after the
    first."""
    steps = np.intersect1d(a.steps[: list(a.steps).index(a.step) + 1], b.steps[: list(b.steps).index(b.step) + 1])
    if len(steps) < 2:
        return None
    both = [np.isin(x.steps, steps) for x in (a, b)]
    ends = [verdict_index(x.recorded[:, keep]) for x, keep in zip((a, b), both, strict=True)]
    step = steps[min(ends)]
    return int(np.searchsorted(a.steps, step)), int(np.searchsorted(b.steps, step))


def _floor(claim: str, a: Examined, b: Examined) -> float:
    if not claim.startswith("early"):
        return 0.0
    inner = int(claim == "early_inner")
    return max(effects.tau_step(x.layers - inner) for x in (a, b))


def _ordered(a: Examined, b: Examined, _differing: list[str], claim: str) -> bool:
    """Two layers have two orders: their τ is ±1, and no t test."""
    return not claim.startswith("early") or min(a.layers, b.layers) - (claim == "early_inner") > 2


def _tested(a: Examined, b: Examined, claim: str, component: str, at: tuple[int, int]) -> tuple[Means, bool]:
    first, second = a.values[component][claim][:, at[0]], b.values[component][claim][:, at[1]]
    shared = [seed for seed in a.seeds if seed in b.seeds]
    floor = _floor(claim, a, b)
    if len(shared) >= LEAST:
        pairs = first[[a.seeds.index(s) for s in shared]] - second[[b.seeds.index(s) for s in shared]]
        return means(pairs, floor), True
    return difference(first, second, floor), False


def compare(groups: Sequence[Group], found: Sequence[Examined]) -> list[Contrast]:
    """Every claim on every component for every pair of `least_different`, ordered by pair, claim, component."""
    tests = []
    for i, j, differing in least_different(groups):
        a, b = found[i], found[j]
        if (at := _common(a, b)) is None:
            continue
        components = [c for c in PARTS if c in a.values and c in b.values]
        tests += [(a, b, differing, claim, c, at, *_tested(a, b, claim, c, at)) for claim in CLAIMS for c in components]
    p = [
        float(m.p) if m.n >= LEAST and np.isfinite(m.mean) and _ordered(*test[:4]) else np.nan for *test, m, _ in tests
    ]
    corrected = np.full(len(tests), np.nan)
    for claim in CLAIMS:
        family = [k for k, test in enumerate(tests) if test[3] == claim]
        corrected[family] = holm(np.array([p[k] for k in family]))
    out = []
    for k, (a, b, differing, claim, component, at, m, paired) in enumerate(tests):
        decided = bool(corrected[k] < ALPHA)
        verdict = ("more" if m.mean > 0 else "less") if decided else "undecided"
        one = Means(*(np.atleast_1d(x) for x in m))
        out.append(
            Contrast(
                a.label, b.label, differing, claim, component, int(a.steps[at[0]]), span(one, 0), paired, int(m.n),
                p[k], float(corrected[k]), verdict,
            )
        )  # fmt: skip
    return out
