"""Which runs are repetitions of one experiment."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.config import differences, lookup
from weightscope.run import Run

IGNORED = ("seed", "name", "output")  # what may differ between seeds of one experiment


def _same_experiment(a: Run, b: Run) -> bool:
    """Equal configurations up to name and output, different seeds, the same last step and layers. The same seed
    twice is one sample, not two."""
    return (
        bool(a.config)
        and not differences([a.config, b.config], IGNORED)
        and lookup(a.config, "seed") != lookup(b.config, "seed")
        and a.last_step == b.last_step
        and a.layers == b.layers
    )


def by_configuration(runs: Sequence[Run]) -> list[list[Run]]:
    """Groups in order of appearance; a run joins the first group of whose every member it is another seed."""
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            if all(_same_experiment(run, member) for member in group):
                group.append(run)
                break
        else:
            groups.append([run])
    return groups


def labels(runs: Sequence[Run]) -> list[str]:
    return [f"{run.name} (seed {lookup(run.config, 'seed', '?')})" for run in runs]
