"""Rows of the tables about groups, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weightscope.finding import fixed, p_text
from weightscope.schema import COMPONENT_NAMES
from weightscope.seeds.between import Contrast
from weightscope.seeds.decide import CLAIMS
from weightscope.seeds.group import Decision, Examined
from weightscope.seeds.parts import COMPARED
from weightscope.seeds.trajectories import EXAMINED, PARTS
from weightscope.seeds.words import (
    UNIT,
    effect_text,
    flips_text,
    range_text,
    scale_of,
    sentence,
    share_text,
    value_text,
)  # fmt: skip

SHORT = {
    "q": "Q", "k": "K", "v": "V", "attn_proj": "Attn out", "mlp_fc": "MLP in", "mlp_proj": "MLP out",
    "c_attn": "Fused QKV",
}  # fmt: skip
DETAILS = (
    *("Claim", "Weights", "Verdict", "Effect", "95 % interval", "Bootstrap", "p", "corrected", "Layers", "Seeds"),
    *("Since step", "Half by step", "Sign flips", "Beside it"),
)


def claim_rows(group: Examined) -> list[dict[str, Any]]:
    """One row per claim: a cell per component, the fused matrix last, and the sentences behind them."""
    rows = []
    for claim, title in CLAIMS.items():
        found = [d for d in group.decisions if d.claim == claim]
        cells = [
            {
                "component": SHORT[d.component],
                "word": d.verdict.split()[0],
                "kind": d.verdict.split()[0],
                "effect": effect_text(claim, d.effect),
                "range": range_text(d.effect, scale_of(claim)) if d.n_seeds > 1 else "",
            }
            for d in found
        ]
        rows.append({"title": title, "cells": cells, "texts": [sentence(d) for d in found]})
    return rows


OVERVIEW = ("Group", "Seeds", "Step", *CLAIMS.values())


def overview_rows(groups: Sequence[Examined]) -> list[list[str]]:
    """One row per group: for each claim how many of the six components hold or are reversed, and the range of
    effects."""
    rows = []
    for group in groups:
        row = [group.label, str(len(group.seeds)), f"{group.step:,}"]
        for claim in CLAIMS:
            found = [d for d in group.decisions if d.claim == claim and d.component in PARTS]
            counts = [(sum(d.verdict == word for d in found), word) for word in ("holds", "reversed")]
            said = ", ".join(f"{word} for {n} of {len(found)}" for n, word in counts if n) or "undecided"
            known = sorted((d for d in found if d.effect.mean == d.effect.mean), key=lambda d: d.effect.mean)
            if known:
                low, high = (effect_text(claim, d.effect) for d in (known[0], known[-1]))
                said += f" ({low} to {high.removeprefix(UNIT[claim])})"
            row.append(said)
        rows.append(row)
    return rows


def _p(value: float) -> str:
    return p_text(value).removeprefix("p ").removeprefix("= ") if value == value else ""


def beside(d: Decision) -> str:
    """What a claim is not read without: displacement, mixture, slope, lead."""
    m = {name: s.mean for name, s in d.more.items()}
    if d.claim == "wider":
        if m["displacement"] != m["displacement"]:
            return ""
        said = (
            f"|W−W₀|/|W₀| {fixed(m['displacement'])}, walk alone × {value_text(m['explained by the walk'], 'factor')}"
        )
        if "AdamW alone" in m and np.isfinite(m["AdamW alone"]):
            said += f", AdamW alone × {value_text(m['AdamW alone'], 'factor')}"
        return said
    if d.claim == "tails":
        return f"mixture {share_text(m['mixture'], m['kurtosis'])}" if "mixture" in m else f"κ {fixed(m['kurtosis'])}"
    if d.claim == "first":
        return f"over the widest other × {value_text(m['lead'], 'factor')}"
    return f"slope {value_text(m['slope'], 'percent')} per layer"


def detail_rows(group: Examined) -> list[list[str]]:
    """Every decision with its numbers, in the order of DETAILS."""
    return [
        [
            CLAIMS[d.claim],
            COMPONENT_NAMES[d.component],
            f"{d.verdict} at step {d.step:,}",
            effect_text(d.claim, d.effect),
            range_text(d.effect, scale_of(d.claim)) if d.n_seeds > 1 else "",
            " to ".join(value_text(x, scale_of(d.claim)) for x in d.bootstrap) if d.bootstrap else "",
            _p(d.p),
            _p(d.p_holm) if d.component in EXAMINED[:-1] else "",
            str(d.n_layers),
            str(d.n_seeds),
            f"{d.since:,}" if d.since is not None else "",
            f"{d.half:,}" if d.half is not None and d.claim in COMPARED else "",
            ", ".join(f"{flip.step:,}{'*' if flip.decided else ''}" for flip in d.flips)
            if len(d.flips) <= 6 else flips_text(d).strip(),
            beside(d),
        ]
        for d in group.decisions
    ]  # fmt: skip


TIMES = 10  # steps in the table over time


def times(group: Examined) -> list[int]:
    """Indices of recorded steps after the first, up to the judged one, about evenly spaced in the logarithm."""
    last = list(group.steps).index(group.step)
    known = [i for i in range(1, last + 1) if group.recorded[:, i].any() and group.steps[i] > 0]
    if len(known) <= TIMES:
        return known
    wanted = np.geomspace(group.steps[known[0]], group.steps[last], TIMES)
    return sorted({known[int(np.abs(group.steps[known] - step).argmin())] for step in wanted})


def time_head(group: Examined) -> list[str]:
    return ["Claim", "Weights", *(f"step {group.steps[i]:,}" for i in times(group))]


def time_rows(group: Examined) -> list[list[str]]:
    """What each step says by itself about each claim and component; a dot where it is undecided."""
    return [
        [CLAIMS[d.claim], SHORT[d.component], *(d.verdicts[i].replace("undecided", "·") for i in times(group))]
        for d in group.decisions
        if d.component in PARTS
    ]


def depth_rows(group: Examined) -> list[list[str]]:
    """Growth and distance walked by layer, with their intervals over seeds."""
    rows = []
    for component, profile in group.profiles.items():
        for layer, (mean, low, high) in enumerate(profile.T):
            walk = group.walks[component][:, layer]
            rows.append(
                [
                    COMPONENT_NAMES[component],
                    str(layer),
                    fixed(mean, 3),
                    f"{fixed(low, 3)} to {fixed(high, 3)}" if np.isfinite([low, high]).all() else "",
                    fixed(walk[0], 3),
                    f"{fixed(walk[1], 3)} to {fixed(walk[2], 3)}" if np.isfinite(walk).all() else "",
                ]
            )
    return rows


def contrast_rows(contrasts: Sequence[Contrast]) -> list[list[str]]:
    return [
        [
            f"{c.a} − {c.b}",
            CLAIMS[c.claim],
            COMPONENT_NAMES[c.component],
            c.verdict,
            effect_text(c.claim, c.effect),
            range_text(c.effect, scale_of(c.claim)),
            _p(c.p),
            _p(c.p_holm),
            f"{c.n_seeds}{' pairs' if c.paired else ''}",
            f"{c.step:,}",
        ]
        for c in contrasts
    ]


CONTRASTS = (
    *("Groups", "Claim", "Weights", "First has", "Difference", "95 % interval", "p", "corrected", "Seeds", "At step"),
)  # fmt: skip
