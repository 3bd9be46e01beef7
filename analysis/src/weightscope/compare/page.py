"""The comparison as one self-contained page."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from weightscope import grouping, schema
from weightscope.compare.result import Comparison, sentences
from weightscope.compare.table import table
from weightscope.report.payload import curves, encode
from weightscope.report.render import compressed_plotly, environment
from weightscope.seeds.decide import ALPHA, CLAIMS
from weightscope.seeds.drawn import MEANINGS, RATIOS, null_of
from weightscope.seeds.group import Examined
from weightscope.seeds.table import (
    CONTRASTS,
    DETAILS,
    OVERVIEW,
    claim_rows,
    contrast_rows,
    depth_rows,
    detail_rows,
    overview_rows,
    time_head,
    time_rows,
)
from weightscope.seeds.words import sampled, summary

_CAPTION = (
    f"Verdicts over seeds, each with a corrected p below {ALPHA}; the fused matrix last: it takes the one that Q, K "
    "and V share. Below each effect its 95 % interval over seeds."
)
_DEPTH = ("Weights", "Layer", "std(t)/std(start)", "95 % interval", "|W−W₀|/|W₀|", "95 % interval")


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def group_payload(found: Examined) -> str:
    """What the figures draw of a group. Arrays `course` (mean/low/high/seeds, claim, component, step), `verdict`
    (claim, component; 1 holds, −1 reversed) and `depth` (growth/walk, component, mean/low/high, layer)."""
    components, shape = [c for c in schema.COMPONENTS if c in found.profiles], (len(CLAIMS), len(schema.COMPONENTS))
    course = np.full((4, *shape, len(found.steps)), np.nan)
    depth = np.full((2, len(schema.COMPONENTS), 3, found.layers), np.nan)
    verdict = np.zeros(shape, np.int32)
    for d in found.decisions:
        at = (list(CLAIMS).index(d.claim), schema.COMPONENTS.index(d.component))
        for i, values in enumerate((d.course.mean, d.course.low, d.course.high, d.course.n.astype(float))):
            course[(i, *at)] = _finite(values)
        verdict[at] = {"holds": 1, "reversed": -1}.get(d.verdict, 0)
    for component in components:
        i = schema.COMPONENTS.index(component)
        depth[0, i], depth[1, i] = _finite(found.profiles[component]), _finite(found.walks[component])
    meta = {
        "label": found.label,
        "layers": found.layers,
        "step": found.step,
        "seeds": len(found.seeds),
        "claims": [[MEANINGS[claim], claim in RATIOS, null_of(claim)] for claim in CLAIMS],
    }
    arrays = {"step": found.steps.astype(np.int32), "course": course, "verdict": verdict, "depth": depth}
    return encode(arrays, meta)


def _group(found: Examined) -> dict[str, object]:
    return {
        "label": found.label,
        "sampled": sampled(found),
        "summary": summary(found),
        "rows": claim_rows(found),
        "caption": _CAPTION,
        "details": detail_rows(found),
        "depth": depth_rows(found),
        "time_head": time_head(found),
        "time": time_rows(found),
    }


def render(c: Comparison) -> str:
    names = [schema.COMPONENT_NAMES[name] for name in schema.COMPONENTS]
    member = {id(run): index for index, group in enumerate(c.groups) for run in group.runs}
    payloads = [
        encode(
            curves(run),
            {"layers": run.layers, "components": names, "label": label, "group": member.get(id(run), -1)},
        )
        for run, label in zip(c.runs, grouping.labels(c.runs), strict=True)
    ]
    decided = [contrast for contrast in c.contrasts if contrast.verdict != "undecided"]
    open_questions = [contrast for contrast in c.contrasts if contrast.verdict == "undecided"]
    return (
        environment()
        .get_template("compare.html")
        .render(
            title="1 run" if len(c.runs) == 1 else f"{len(c.runs)} runs",
            sentences=sentences(c),
            table=table(c),
            groups=[_group(found) for found in c.examined],
            overview_head=OVERVIEW,
            overview=overview_rows(c.examined),
            details_head=DETAILS,
            depth_head=_DEPTH,
            contrasts_head=CONTRASTS,
            decided=contrast_rows(decided),
            open_questions=contrast_rows(open_questions),
            claims=list(CLAIMS.items()),
            components=[(schema.COMPONENTS.index(name), schema.COMPONENT_NAMES[name]) for name in schema.SHOWN],
            layers=max(run.layers for run in c.runs),
            plotly=Markup(compressed_plotly()),
            payloads=payloads,
            group_payloads=[group_payload(found) for found in c.examined],
        )
    )
