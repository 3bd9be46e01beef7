"""Q, K and V of one group against each other: differences of effects, paired over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from weightscope.seeds.decide import ALPHA
from weightscope.seeds.intervals import LEAST, Means, holm, means

PAIRS: Final = (("q", "v"), ("k", "v"), ("q", "k"))
COMPARED: Final = ("wider", "tails")


@dataclass(frozen=True)
class PartContrast:
    """Effect of component `a` minus that of `b` at the step of the verdicts, in the unit of the claim, with its 95 %
    interval. `p_holm`: over the pairs of a claim. `verdict`: more, less (a than b) or undecided."""

    a: str
    b: str
    claim: str
    mean: float
    low: float
    high: float
    n_seeds: int
    p: float
    p_holm: float
    verdict: str


Values = Mapping[str, Mapping[str, np.ndarray]]


def tested(values: Values, claim: str) -> tuple[list[Means], np.ndarray, np.ndarray]:
    """values: (seed, step) by component and effect. The tests of PAIRS, and p (step, pair), raw and corrected; NaN
    where fewer than three seeds have both."""
    tests = [means(values[a][claim] - values[b][claim]) for a, b in PAIRS]
    known = [(t.n >= LEAST) & np.isfinite(t.mean) for t in tests]
    p = np.stack([np.where(k, t.p, np.nan) for k, t in zip(known, tests, strict=True)], axis=-1)
    return tests, p, holm(p)


def compare_parts(values: Values, index: int) -> list[PartContrast]:
    """At step `index`. Empty where Q, K and V are not there."""
    if not {"q", "k", "v"} <= values.keys():
        return []
    out = []
    for claim in COMPARED:
        tests, p, corrected = tested(values, claim)
        for i, ((a, b), t) in enumerate(zip(PAIRS, tests, strict=True)):
            mean, low, high = (float(side[index]) for side in t[:3])
            decided = bool(corrected[index, i] < ALPHA)
            verdict = ("more" if mean > 0 else "less") if decided else "undecided"
            n = int(t.n[index])
            out.append(PartContrast(a, b, claim, mean, low, high, n, p[index, i], corrected[index, i], verdict))
    return out
