"""The verdicts on Q, K and V in words; the fused matrix is left to the table."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.finding import Finding, fixed
from weightscope.schema import COMPONENT_NAMES

_WIDTH = {"holds": "grew wider", "reversed": "grew narrower", "undecided": "show no decided change of width"}
_TAILS = {
    "holds": "longer tails than at the start",
    "reversed": "shorter tails than at the start",
    "undecided": "no decided change of their tails",
}


def _names(findings: Sequence[Finding]) -> str:
    names = [COMPONENT_NAMES[f.component].lower() for f in findings]
    return (names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}").capitalize()


def findings_sentences(findings: Sequence[Finding]) -> list[str]:
    """One sentence per verdict on width and on tails, and what one run leaves open."""
    parts = [f for f in findings if f.component != "c_attn" and f.effect == f.effect]
    components = len({f.component for f in parts})
    said = []
    for verdict, words in _WIDTH.items():
        if found := [f for f in parts if f.claim == "wider" and f.verdict == verdict]:
            factors = ", ".join(fixed(1 + f.effect) for f in found)
            said.append(f"{_names(found)} weights {words} ({factors} times their std at the start).")
    for verdict, words in _TAILS.items():
        if found := [f for f in parts if f.claim == "tails" and f.verdict == verdict]:
            who = "They" if len(found) == components and len(said) == 1 else f"{_names(found)} weights"
            said.append(f"{who} show {words}.")
    if any(f.verdict == "undecided from one run" for f in parts):
        said.append("Whether depth matters cannot be decided from one run.")
    return said
