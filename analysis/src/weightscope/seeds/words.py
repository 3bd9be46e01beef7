"""Verdicts over seeds in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weightscope.finding import fixed, p_text
from weightscope.schema import COMPONENT_NAMES
from weightscope.seeds.between import Contrast
from weightscope.seeds.decide import CLAIMS
from weightscope.seeds.group import Decision, Examined, Span
from weightscope.seeds.intervals import LEAST
from weightscope.seeds.parts import COMPARED
from weightscope.seeds.trajectories import FUSED, PARTS

UNIT = {"wider": "× ", "tails": "Δκ ", "early": "τ ", "early_inner": "τ ", "first": "× "}


def range_text(s: Span, scale: str = "plain") -> str:
    """`low to high`, or what is missing. `factor`: of logarithms; `percent`: of logarithms per layer; `fine`: of
    small changes."""
    if not np.isfinite([s.low, s.high]).all():
        return "no interval"
    return f"{value_text(s.low, scale)} to {value_text(s.high, scale)}"


def value_text(value: float, scale: str = "plain") -> str:
    small = abs(value) < 0.05  # then two decimals would say nothing
    if scale == "factor":
        return fixed(float(np.exp(value)), 3 if small else 2)
    if scale == "fine":
        return fixed(value, 3 if small else 2)
    if scale == "percent":
        return f"{fixed(100 * float(np.expm1(value)), 1)} %"
    return fixed(value)


def scale_of(claim: str) -> str:
    return {"wider": "factor", "first": "factor", "tails": "fine"}.get(claim, "plain")


def effect_text(claim: str, s: Span) -> str:
    if s.mean != s.mean:
        return "n/a"
    sign = "+" if claim == "tails" and s.mean > 0 else ""
    return f"{UNIT[claim]}{sign}{value_text(s.mean, scale_of(claim))}"


def _with_range(s: Span, scale: str = "plain") -> str:
    return f"{value_text(s.mean, scale)} (95 % interval {range_text(s, scale)})"


def flips_text(d: Decision) -> str:
    """Every change of sign; beyond six only their number, and those that are decided."""
    if not d.flips:
        return ""
    sure = [flip.step for flip in d.flips if flip.decided]
    steps = [flip.step for flip in d.flips]
    named = sure if len(steps) > 6 else steps
    listed = f" at step{'s' if len(named) > 1 else ''} {', '.join(f'{step:,}' for step in named)}" if named else ""
    count = f"{len(steps)} times" if len(steps) > 6 else ("once" if len(steps) == 1 else f"{len(steps)} times")
    certain = "none beyond chance" if not sure else "beyond chance" if sure == steps else f"{len(sure)} beyond chance"
    tail = f"{listed}, {certain}" if len(steps) <= 6 else f", {certain}{listed}"
    return f" The effect changed its sign {count}{tail}."


def _measured(d: Decision) -> str:
    more = d.more
    if d.claim == "wider":
        walk = more["displacement"]
        said = f"std(t)/std(start) {_with_range(d.effect, 'factor')}, geometric mean over layers"
        if walk.mean == walk.mean:
            said += (
                f"; they moved by |W−W₀|/|W₀| = {fixed(walk.mean)}, and a walk of that length in a random direction "
                f"alone would widen them {value_text(more['explained by the walk'].mean, 'factor')} times"
            )
        if "AdamW alone" in more and np.isfinite(more["AdamW alone"].mean):
            said += (
                f"; AdamW with random gradients would have widened them "
                f"{value_text(more['AdamW alone'].mean, 'factor')} times, and they are "
                f"{_with_range(more['beyond AdamW'], 'factor')} times as wide as that"
            )
        return said
    if d.claim == "tails":
        now = fixed(more["kurtosis"].mean)
        said = f"change of excess kurtosis {_with_range(d.effect, 'fine')}, now {now}, mean over layers"
        if "mixture" in more:
            said += (
                f"; of the fused matrix's {now}, {fixed(more['mixture'].mean)} "
                f"({share_text(more['mixture'].mean, more['kurtosis'].mean)}) is only the mixture of Q, K and V"
            )
        return said
    if d.claim == "first":
        return (
            f"layer 0 grew {_with_range(d.effect, 'factor')} times as much as the mean of the other layers, and "
            f"{_with_range(more['lead'], 'factor')} times as much as the widest of them"
        )
    return f"Kendall's τ {_with_range(d.effect)}, Theil–Sen slope {_with_range(more['slope'], 'percent')} per layer"


def share_text(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole > 0 and 0 <= part <= whole else "not a share of it"


def sentence(d: Decision) -> str:
    """One decision with everything that belongs to it."""
    if d.effect.mean != d.effect.mean:
        return f"{COMPONENT_NAMES[d.component]}: nothing to say ({_unknown(d)})."
    said = f"{COMPONENT_NAMES[d.component]}: {d.verdict} at step {d.step:,}: {_measured(d)}; "
    said += f"{d.n_layers} layers, {d.n_seeds} {'seed' if d.n_seeds == 1 else 'seeds'}"
    if d.p == d.p:
        said += f", {p_text(d.p)}"
        said += f", corrected {p_text(d.p_holm)}" if d.component != FUSED else ", uncorrected"
    said += f"; so since step {d.since:,}" if d.since is not None else ""
    said += f"; half of it by step {d.half:,}." if d.half is not None and d.claim in COMPARED else "."
    if d.component == FUSED:
        said += " The fused matrix has no verdict of its own: it takes the one that Q, K and V share."
    if d.bootstrap and d.since is not None and d.bootstrap[0] < 0 < d.bootstrap[1]:
        ends = " to ".join(value_text(end, scale_of(d.claim)) for end in d.bootstrap)
        said += f" The studentized bootstrap is less sure: its interval ({ends}) holds no effect too."
    if d.opposed:
        said += " Single layers go the other way beyond chance."
    if d.n_seeds < LEAST:
        said += " Fewer than three seeds decide nothing."
    return said + flips_text(d)


def _unknown(d: Decision) -> str:
    return "no other layer to compare with" if d.n_layers < 2 and d.claim not in ("wider", "tails") else "not finite"


def _inside(name: str) -> str:
    """A name within a sentence: MLP stays as it is."""
    return name if name[:2].isupper() else name[0].lower() + name[1:]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def summary(group: Examined) -> list[str]:
    """One sentence per claim: which components hold, which are reversed; then Q, K and V beside each other."""
    said = []
    for claim, title in CLAIMS.items():
        found = [d for d in group.decisions if d.claim == claim and d.component in PARTS]
        parts = []
        for verdict in ("holds", "reversed"):
            names = [_inside(COMPONENT_NAMES[d.component]) for d in found if d.verdict == verdict]
            if names:
                word = verdict if verdict == "holds" else "is reversed"
                parts.append(f"{word} for {_listed(names) if len(names) < len(found) else 'all components'}")
        rest = len([d for d in found if d.verdict not in ("holds", "reversed")])
        if rest:
            parts.append(f"is undecided for {'the rest' if parts else 'all components'}")
        said.append(f"{title}: {', '.join(parts)}.")
    return [*said, *parts_sentences(group)]


def parts_sentences(group: Examined) -> list[str]:
    """Q, K and V beside each other, one sentence per claim."""
    said = []
    for claim, what in (("wider", "Widths beside each other"), ("tails", "Changes of kurtosis beside each other")):
        found = [c for c in group.parts if c.claim == claim and c.n_seeds >= LEAST and np.isfinite(c.mean)]
        if found:
            sign = " / " if claim == "wider" else " − "
            pairs = [
                f"{c.a.upper()}{sign}{c.b.upper()} {effect_text(claim, Span(c.mean, c.low, c.high))} "
                f"({range_text(Span(c.mean, c.low, c.high), scale_of(claim))}): {c.verdict}"
                for c in found
            ]
            said.append(f"{what}, paired by seed: {', '.join(pairs)}.")
    return said


def sampled(group: Examined) -> str:
    """What the verdicts rest on: seeds, step, and what was left out."""
    n = len(group.seeds)
    said = f"{n} {'seed' if n == 1 else 'seeds'} ({', '.join(group.seeds)}), {group.layers} layers, "
    said += f"judged at step {group.step:,}."
    index = list(group.steps).index(group.step)
    short = [run for run, there in zip(group.runs, group.recorded[:, index], strict=True) if not there]
    if short:
        said += f" Not there at that step, or not finite: {_listed(short)}."
    for name, reason in group.left_out:
        said += f" Left out: {name} ({reason})."
    if n < LEAST:
        said += " Fewer than three seeds decide nothing; what one run shows by itself stands in its report."
    return said


def contrast_sentence(c: Contrast) -> str:
    scale = scale_of(c.claim)
    what = {
        "wider": "grew wider by a factor of {} times that of", "tails": "changed its kurtosis by {} more than",
        "early": "has a τ that is {} above that of", "early_inner": "has a τ without layer 0 that is {} above that of",
        "first": "has a first layer whose growth over the rest is {} times that of",
    }[c.claim]  # fmt: skip
    how = "paired by seed" if c.paired else "independent seeds"
    return (
        f"{COMPONENT_NAMES[c.component]}: {c.a} {what.format(_with_range(c.effect, scale))} {c.b} at step {c.step:,} "
        f"({c.n_seeds} seeds, {how}, {p_text(c.p)}, corrected {p_text(c.p_holm)}): {c.verdict}."
    )
