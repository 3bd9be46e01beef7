"""The four claims about Q, K and V, examined in one run. Several that differ only in their seed:
`weightscope.seeds`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weightscope import claims_depth, claims_shape
from weightscope.course import PARTS, course, mixture_part
from weightscope.finding import CLAIMS, Finding
from weightscope.run import Run
from weightscope.schema import COMPONENT_NAMES

EXAMINED = (*PARTS, "c_attn")  # the parts before the whole: the whole is partly their mixture

__all__ = ["CLAIMS", "EXAMINED", "Finding", "examine"]


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
    return _ordered(_fused(found))


def _fused(found: list[Finding]) -> list[Finding]:
    """The fused matrix takes the verdict that Q, K and V share: three different widths alone give it a shape, so that
    its own would say nothing about weights."""
    shared = {claim: {f.verdict for f in found if f.claim == claim and f.component in PARTS} for claim in CLAIMS}
    return [
        replace(f, verdict="undecided", since=None, text=f"{f.text} Q, K and V do not share this verdict.")
        if f.component == "c_attn" and shared[f.claim] != {f.verdict}
        else f
        for f in found
    ]


def _ordered(findings: list[Finding]) -> list[Finding]:
    claims = list(CLAIMS)
    return sorted(findings, key=lambda f: (claims.index(f.claim), EXAMINED.index(f.component)))
