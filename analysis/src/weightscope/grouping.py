"""Which runs are repetitions of one experiment: a group is what differs in nothing but the seed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weightscope import schema
from weightscope.config import differences, flattened, lookup
from weightscope.run import Run

IGNORED = ("seed", "name", "output")  # what may differ between seeds of one experiment
_SEED_SUFFIX = re.compile(r"[-_. ]*seed[-_ ]*\d+$")


@dataclass
class Group:
    """`runs`: one per seed. `left_out`: what was given too but is no further sample, with the reason."""

    label: str
    runs: list[Run]
    left_out: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seeds(self) -> list[str]:
        return [str(lookup(run.config, "seed", "?")) for run in self.runs]


def _key(run: Run, index: int) -> tuple[object, ...]:
    """Equal for seeds of one experiment. A file without configuration stands alone."""
    if not run.config:
        return (index,)
    flat = flattened(run.config)
    return (run.layers, *((key, repr(flat[key])) for key in sorted(flat) if key not in IGNORED))


def _one_per_seed(runs: Sequence[Run]) -> Group:
    """The same seed twice is one sample: the run that got furthest stays. So are the same weights under two seeds, as
    with init.from, data in sequential order and no dropout. Runs that were not recorded from the same step on have
    another start to grow from."""
    group = Group("", [])
    start = min(first_step(run) for run in runs)
    for run in runs:
        if first_step(run) != start:
            group.left_out.append((labels([run])[0], f"its first snapshot is of step {first_step(run)}, not {start}"))
            continue
        seed = lookup(run.config, "seed")
        same = next(
            (i for i, r in enumerate(group.runs) if seed is not None and lookup(r.config, "seed") == seed), None
        )
        if same is None:
            if twin := next((r for r in group.runs if _same_weights(r, run)), None):
                why = f"its weights are those of {labels([twin])[0]}: no new sample"
                group.left_out.append((f"{labels([run])[0]}, {run.path.name}", why))
            else:
                group.runs.append(run)
            continue
        kept, other = sorted((group.runs[same], run), key=lambda r: -r.last_step)
        group.runs[same] = kept
        group.left_out.append((f"{labels([other])[0]}, {other.path.name}", "the same seed once more is no new sample"))
    return group


def _same_weights(a: Run, b: Run) -> bool:
    """Whether all standard deviations of the snapshots that both have are equal to the last bit, at least one of them
    after the start."""
    one, other = (r.snapshots["std"].values for r in (a, b))
    n = min(len(one), len(other))
    return n > 1 and one.shape[1:] == other.shape[1:] and bool(np.array_equal(one[:n], other[:n], equal_nan=True))


def first_step(run: Run) -> int:
    return int(run.snapshots[schema.SNAPSHOT].values[0])


def by_configuration(runs: Sequence[Run]) -> list[Group]:
    """Groups in order of appearance, each with a label that tells it from the others."""
    members: dict[tuple[object, ...], list[Run]] = {}
    for index, run in enumerate(runs):
        members.setdefault(_key(run, index), []).append(run)
    groups = [_one_per_seed(found) for found in members.values()]
    for group, label in zip(groups, _group_labels(groups), strict=True):
        group.label = label
    return groups


def _group_labels(groups: Sequence[Group]) -> list[str]:
    """The name without its seed where that tells the groups apart, else what differs in their configurations."""
    stems = [{_SEED_SUFFIX.sub("", run.name) for run in group.runs} for group in groups]
    names = [next(iter(stem)) if len(stem) == 1 else "" for stem in stems]
    often = Counter(names)
    if all(name and often[name] == 1 for name in names):
        return names
    first = [group.runs[0] for group in groups]
    keys = differences([run.config for run in first], IGNORED)[:4]
    told = [", ".join(f"{key.split('.')[-1]} {lookup(run.config, key, 'n/a')}" for key in keys) for run in first]
    found = [text or name or run.name for text, name, run in zip(told, names, first, strict=True)]
    repeated = Counter(found)
    return [f"{text} ({i})" if repeated[text] > 1 else text for i, text in enumerate(found, 1)]


def labels(runs: Sequence[Run]) -> list[str]:
    return [f"{run.name} (seed {lookup(run.config, 'seed', '?')})" for run in runs]
