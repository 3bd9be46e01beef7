"""The comparison as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from weightscope import grouping, schema, summary
from weightscope.config import differences, lookup
from weightscope.course import course
from weightscope.finding import fixed
from weightscope.report.payload import curves, encode
from weightscope.report.render import across, compressed_plotly, environment
from weightscope.run import Run

_SHOWN_DIFFERENCES = 6


def _growth(run: Run, component: str) -> str:
    growth = course(run, component).growth()
    return f"× {fixed(float(np.exp(np.log(growth).mean())))}"


def _value(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}" if value == value else "n/a"


def _differing(runs: Sequence[Run]) -> list[str]:
    return differences([run.config for run in runs], grouping.IGNORED)[:_SHOWN_DIFFERENCES]


def table(runs: Sequence[Run]) -> dict[str, Any]:
    """One row per run: what differs in the configurations, losses, speed, mean growth of Q, K, V."""
    differing = _differing(runs)
    head = [
        *("Run", "Seed", *differing, "Steps", "Training loss", "Validation loss", "Tokens/s", "Time"),
        *("Q wider", "K wider", "V wider", "Status"),
    ]
    rows = []
    for run in runs:
        found, rate, seconds = summary.losses(run), summary.speed(run), summary.wall_seconds(run)
        rows.append(
            [
                run.name,
                str(lookup(run.config, "seed", "n/a")),
                *(str(lookup(run.config, key, "")) for key in differing),
                f"{run.last_step:,}",
                _value(found.end),
                _value(found.val),
                summary.large(rate) if rate == rate else "n/a",
                summary.duration(seconds) if seconds == seconds else "n/a",
                *(_growth(run, component) for component in ("q", "k", "v")),
                str(run.attrs.get("status", "")),
            ]
        )
    return {"head": head, "rows": rows}


def sentences(runs: Sequence[Run]) -> list[str]:
    """What was compared and which runs are seeds of one experiment."""
    groups = grouping.by_configuration(runs)
    repeated = [group for group in groups if len(group) > 1]
    said = [f"{len(runs)} runs of {len(groups)} {'experiment' if len(groups) == 1 else 'experiments'}."]
    if not repeated:
        said.append(
            "No two of them differ in their seed alone, so nothing here can be said about chance: every difference "
            "below may be luck."
        )
    elif max(len(group) for group in repeated) < 3:
        said.append("At least three seeds of one experiment are needed before anything about depth can be decided.")
    if len(groups) > 1:
        differing = _differing(runs)
        said.append(f"Configurations differ in {', '.join(differing)}." if differing else "Steps or seeds coincide.")
    return said


def render(runs: Sequence[Run]) -> str:
    names = [schema.COMPONENT_NAMES[c] for c in schema.COMPONENTS]
    labels = grouping.labels(runs)
    payloads = [
        encode(curves(run), {"layers": run.layers, "components": names, "label": label})
        for run, label in zip(runs, labels, strict=True)
    ]
    return (
        environment()
        .get_template("compare.html")
        .render(
            title=f"{len(runs)} runs",
            sentences=sentences(runs),
            table=table(runs),
            across=across(runs),
            components=[(schema.COMPONENTS.index(c), schema.COMPONENT_NAMES[c]) for c in schema.SHOWN],
            layers=max(run.layers for run in runs),
            plotly=Markup(compressed_plotly()),
            payloads=payloads,
        )
    )
