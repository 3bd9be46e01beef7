"""Verdicts of one group: what its seeds say about each claim on each component, at every recorded step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from weightscope import finding
from weightscope.finding import Verdict
from weightscope.seeds import effects
from weightscope.seeds.intervals import LEAST, Means, holm, means
from weightscope.seeds.trajectories import FUSED, Trajectories

# Level of a family: one claim, one group, six components (and for `early` with and without layer 0). Student's t does
# not keep 5 % when effects are skewed between seeds; at 3 % no family that calibrate.py measures has more than 5 %
# false verdicts.
ALPHA: Final = 0.03
FAMILIES: Final = (("wider",), ("tails",), ("early", "early_inner"), ("first",))
_TITLES = finding.CLAIMS | {"early_inner": finding.CLAIMS["early"] + ", layer 0 left out"}
CLAIMS: Final = {claim: _TITLES[claim] for family in FAMILIES for claim in family}


@dataclass(frozen=True)
class Tested:
    """One claim on one component at every step. `toward` is +1 where the effect is on the claim's side, −1 where it
    is on the other; `opposed` where single layers go the other way; `p` before the correction. `flip_p` belongs to
    the sign of `found.mean`."""

    claim: str
    component: str
    found: Means
    p: np.ndarray
    toward: np.ndarray
    opposed: np.ndarray
    flip_p: np.ndarray


def _opposed(values: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Steps at which some layer goes against `sign`, at ALPHA for all layers together (Bonferroni)."""
    by_layer = means(values)
    layers = values.shape[-1]
    with np.errstate(invalid="ignore"):
        against = np.sign(by_layer.mean) == -sign[:, None]
    return (against & (by_layer.p < ALPHA / layers)).any(axis=-1)


def tested(t: Trajectories, per_seed: dict[str, np.ndarray]) -> list[Tested]:
    """The five tests of one component, in the order of CLAIMS; p is NaN where there is nothing to test."""
    found: list[Tested] = []
    never = np.zeros(len(t.steps), dtype=bool)
    for claim, layers in (("wider", t.log_growth), ("tails", t.kurtosis_change)):
        m = means(per_seed[claim])
        found.append(
            _test(claim, t.component, m, p=m.p, toward=np.sign(m.mean), opposed=_opposed(layers, np.sign(m.mean)))
        )
    for claim, count in (("early", t.layers), ("early_inner", t.layers - 1)):
        tau = means(per_seed[claim], effects.tau_step(count))
        m = tau._replace(low=np.maximum(tau.low, -1.0), high=np.minimum(tau.high, 1.0))  # τ knows no more
        # Two layers have two orders: τ is ±1, no t but a sign test. From three on t keeps its level (calibrate.py).
        p = np.maximum(m.p, effects.order_p(per_seed[claim], count)) if count == 2 else m.p
        found.append(_test(claim, t.component, m, p=p, toward=-np.sign(m.mean), opposed=never))
    first, lead, trail = (means(per_seed[name]) for name in ("first", "lead", "trail"))
    p = np.minimum(1.0, 2 * np.minimum(lead.p_above, trail.p_above))
    toward = np.where(lead.p_above <= trail.p_above, 1.0, -1.0)
    found.append(_test("first", t.component, first, p=p, toward=toward, opposed=never, flip_p=first.p))
    return found


def _test(
    claim: str,
    component: str,
    found: Means,
    *,
    p: np.ndarray,
    toward: np.ndarray,
    opposed: np.ndarray,
    flip_p: np.ndarray | None = None,
) -> Tested:
    p = np.where((found.n >= LEAST) & np.isfinite(found.mean), p, np.nan)
    return Tested(claim, component, found, p, toward, opposed, p if flip_p is None else flip_p)


def adjusted(tests: Sequence[Tested]) -> dict[tuple[str, str], np.ndarray]:
    """Holm's p at every step, by (claim, component). Families: FAMILIES over the components, the fused matrix left out:
    it is made of three that are in. Its own p stays as it is."""
    out = {(t.claim, t.component): t.p for t in tests if t.component == FUSED}
    for family in FAMILIES:
        members = [t for t in tests if t.claim in family and t.component != FUSED]
        if not members:
            continue
        corrected = holm(np.stack([t.p for t in members], axis=-1))
        out |= {(t.claim, t.component): corrected[:, i] for i, t in enumerate(members)}
    return out


def verdicts(t: Tested, p: np.ndarray) -> list[Verdict]:
    """At every step, with p corrected."""
    with np.errstate(invalid="ignore"):
        decided = (p < ALPHA) & ~t.opposed
    words = np.where(decided & (t.toward > 0), "holds", np.where(decided & (t.toward < 0), "reversed", "undecided"))
    return [cast(Verdict, str(word)) for word in words]


def since(words: Sequence[Verdict], steps: np.ndarray, index: int) -> int | None:
    """First step from which the verdict of step `index` stood without interruption. Testing backwards from the last
    step until the first failure is a fixed sequence: it needs no correction for the number of steps."""
    if not words[index].startswith(("holds", "reversed")):
        return None
    while index > 1 and words[index - 1] == words[index]:
        index -= 1
    return int(steps[index])


@dataclass(frozen=True)
class Flip:
    """`step`: the first one with the new sign. `decided`: both sides are beyond chance, corrected for steps and
    family."""

    step: int
    to: int
    decided: bool


def flips(t: Tested, steps: np.ndarray, family: int) -> list[Flip]:
    """Every change of sign of the mean effect between recorded steps at which three seeds have a value."""
    known = np.flatnonzero((t.found.n >= LEAST) & np.isfinite(t.found.mean) & (t.found.mean != 0))
    if not known.size:
        return []
    sign = np.sign(t.found.mean[known]).astype(int)
    sure = t.flip_p[known] * family * len(known) < ALPHA
    starts = np.flatnonzero(np.diff(sign)) + 1
    segments = np.split(np.arange(len(known)), starts)
    decided = [bool(sure[segment].any()) for segment in segments]
    out, last = [], sign[0] if decided[0] else 0
    for start, segment, certain in zip(starts, segments[1:], decided[1:], strict=True):
        out.append(Flip(int(steps[known[start]]), int(sign[start]), certain and last == -sign[start]))
        last = int(sign[segment[0]]) if certain else last
    return out
