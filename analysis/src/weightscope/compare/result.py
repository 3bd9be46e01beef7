"""Everything a comparison says, computed once: the page, the text, JSON, Markdown and figures show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weightscope import grouping
from weightscope.config import differences
from weightscope.grouping import IGNORED, Group
from weightscope.run import Run
from weightscope.seeds import between
from weightscope.seeds.between import Contrast
from weightscope.seeds.decide import ALPHA, FAMILIES
from weightscope.seeds.group import Examined, examine_group
from weightscope.seeds.intervals import LEAST

_SHOWN_DIFFERENCES = 6


@dataclass(frozen=True)
class Comparison:
    """`runs`: all that were given, in order; a group's are those that are samples."""

    runs: list[Run]
    groups: list[Group]
    examined: list[Examined]
    contrasts: list[Contrast]


def compare(runs: Sequence[Run]) -> Comparison:
    groups = grouping.by_configuration(runs)
    examined = [examine_group(group) for group in groups]
    return Comparison(list(runs), groups, examined, between.compare(groups, examined))


def differing(runs: Sequence[Run]) -> list[str]:
    return differences([run.config for run in runs], IGNORED)[:_SHOWN_DIFFERENCES]


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def sentences(c: Comparison) -> list[str]:
    """What was compared, which runs are seeds of one experiment, and how much of it may be chance."""
    sizes = [len(group.runs) for group in c.groups]
    said = [f"{_count(len(c.runs), 'run')} of {_count(len(c.groups), 'experiment')}."]
    if max(sizes) < 2:
        said.append(
            "No two of them differ in their seed alone, so nothing here can be said about chance: every difference "
            "below may be luck."
        )
    elif max(sizes) < LEAST:
        said.append("At least three seeds of one experiment are needed before anything can be decided.")
    else:
        families = len(FAMILIES) * sum(size >= LEAST for size in sizes)
        said.append(
            f"A verdict stands for one claim on one component in one group; the {families} families of verdicts (a "
            "claim in a group) are each corrected for their members by Holm's method. If nothing at all were true, "
            f"about {ALPHA * families:.1f} of these families would hold a false verdict."
        )
    if len(c.groups) > 1:
        keys = differing(c.runs)
        said.append(f"Configurations differ in {', '.join(keys)}." if keys else "Steps or seeds coincide.")
    return said
