"""Everything the template of one run shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from weightscope import schema, summary
from weightscope.config import lookup
from weightscope.course import course, mixture_part
from weightscope.finding import fixed, number
from weightscope.findings import examine
from weightscope.findings_text import findings_sentences
from weightscope.init_check import init_check
from weightscope.report import sampling, tables, width
from weightscope.report.payload import payload
from weightscope.run import Run
from weightscope.updates import has_updates

_CAPTION = (
    "What this run says about the four claims, Q, K and V apart before the fused matrix. A verdict needs 3.3 standard "
    "errors (± is one); claims about depth need several seeds."
)

_TAIL_SHAPE = (
    "Three numbers from the histograms alone. How much lies beyond thresholds that stay where the start put them; how "
    "fast the outermost weights thin out, whatever their width; and whether the body still has the shape of a normal "
    "distribution. Table: means over layers at the last snapshot; ± is the largest standard error of one layer."
)


def _readings(run: Run) -> list[dict[str, str]]:
    found = summary.losses(run)
    readings: list[tuple[str, str, str]] = []
    if found.val == found.val:
        readings.append(("Validation loss", f"{found.val:.3f}", "nats"))
        if summary.byte_level(run):
            readings.append(("Validation", f"{summary.bits(found.val):.3f}", "bits/byte"))
        else:
            readings.append(("Perplexity", number(float(np.exp(found.val))), ""))
    if found.end == found.end:
        readings.append(("Training loss", f"{found.end:.3f}", "nats"))
    readings.append(("Last snapshot", f"{run.last_step:,}", "step"))
    if (rate := summary.speed(run)) == rate:
        readings.append(("Speed", summary.large(rate), "tokens/s"))
    if (seconds := summary.wall_seconds(run)) == seconds:
        readings.append(("Wall time", summary.duration(seconds), ""))
    readings.append(("Alarms", str(run.alarms.sizes.get("row", 0)), ""))
    return [{"label": label, "value": value, "unit": unit} for label, value, unit in readings]


def init_text(run: Run) -> str:
    check = init_check(run)
    said = (
        "The standard deviation of every tensor at step 0 against what its scheme predicts; the interval is where the "
        "true one lies with 95 % confidence."
    )
    tested = check.passed + check.failed
    if check.total and not tested:
        return f"{said} Nothing is expected of weights that came from elsewhere."
    verdict = f" {check.failed} of {tested} fail." if check.failed else f" All {tested} pass."
    return said + verdict + " Tensors with the same role are shown together."


def _mixture_text(run: Run) -> str:
    fused, mixture = course(run, "c_attn").kurtosis[-1].mean(), mixture_part(run)[-1].mean()
    return (
        f"The fused matrix stacks Q, K and V. They differ in width, so it would have an excess kurtosis of "
        f"{fixed(mixture)} at the last snapshot even if each part were normal; it has {fixed(fused)} (means over "
        "layers). Read the parts first."
    )


def _histogram_text(run: Run) -> str:
    shown, there = len(sampling.histogram_rows(run)), run.snapshots.sizes[schema.SNAPSHOT]
    said = (
        "Counts are exact; density is count over the number of weights and the width of the bin. Bins near zero are "
        "joined for drawing."
    )
    if shown < there:
        said += (
            f" To keep this file small, the histograms of {shown} of {there} snapshots are embedded; all are in the "
            "experiment file."
        )
    parts = [name for name in schema.COMPONENTS if name != "c_attn"]  # which holds Q, K and V once more
    overflow, nonfinite = (
        int(run.snapshots[name].sel(component=parts).values.astype(float).sum()) for name in ("overflow", "nonfinite")
    )
    if overflow or nonfinite:
        said += (
            f" Not drawn, over all snapshots: {overflow:,} weights of magnitude 16 and above, {nonfinite:,} not finite."
        )
    return said


def _facts(run: Run) -> list[tuple[str, str]]:
    attrs = run.attrs
    facts = [
        ("Run", f"{run.name}, seed {lookup(run.config, 'seed', 'unknown')}"),
        ("UUID", attrs.get("uuid", "")),
        ("Created", attrs.get("created", "")),
        ("Status", attrs.get("status", "")),
        ("Written by", f"weightscope {attrs.get('weightscope_version', '')}"),
        ("Schema", f"{attrs.get('Conventions', '')}, version {attrs.get('schema_version', '')}"),
        ("Snapshots", summary.snapshots_text(run)),
        ("File", run.path.name if run.path.is_file() else f"{run.path.name}/ (sealed file and tail)"),
    ]
    return [(key, str(value)) for key, value in facts if value not in ("", None)]


def _loss_text(run: Run) -> str:
    n = run.train.sizes.get("step", 0)
    if not n:
        return "Validation loss at the steps where it was measured."
    drawn = len(sampling.evenly(n, sampling.MAX_POINTS))
    thinned = f", {drawn:,} of {n:,} steps drawn" if drawn < n else ""
    return (
        f"Pale: the batch of each step before its update{thinned}; line: moving average over 2 % of the steps; "
        "diamonds: validation; open triangles: alarms."
    )


def _units(run: Run) -> list[tuple[str, str]]:
    units = [("nats", "nats per token"), ("perplexity", "perplexity")]
    return [*units, ("bits", "bits per byte")] if summary.byte_level(run) else units


def context(run: Run, index: int) -> dict[str, Any]:
    components = [(schema.COMPONENTS.index(c), schema.COMPONENT_NAMES[c]) for c in schema.SHOWN]
    meta = {
        "layers": run.layers,
        "heads": run.heads,
        "components": [schema.COMPONENT_NAMES[c] for c in schema.COMPONENTS],
    }
    findings = examine(run)
    created = str(run.attrs.get("created", ""))[:10]
    byline = [summary.snapshots_text(run), str(run.attrs.get("status", "")), created]
    seed = lookup(run.config, "seed")
    return {
        "index": index,
        "name": run.name,
        "label": run.name if seed is None else f"{run.name}, seed {seed}",
        "byline": " · ".join(part for part in byline if part),
        "sentences": summary.sentences(run),
        "verdict_sentences": findings_sentences(findings),
        "readings": _readings(run),
        "claims": tables.claim_rows(findings),
        "claims_caption": _CAPTION,
        "init_groups": tables.init_groups(run),
        "init_rows": tables.init_rows(run),
        "init_text": init_text(run),
        "tied_text": tables.tied_text(run),
        "components": components,
        "layers": run.layers,
        "histogram_count": len(sampling.histogram_rows(run)),
        "histogram_text": _histogram_text(run),
        "depth_rows": tables.depth_rows(run),
        "tail_rows": tables.tail_rows(run),
        "width_text": width.text(run),
        "width_rows": width.rows(run),
        "tail_shape_rows": tables.tail_shape_rows(run),
        "tail_shape_text": _TAIL_SHAPE,
        "mixture_text": _mixture_text(run),
        "has_heads": "head_std" in run.snapshots,
        "has_updates": "update_ratio" in run.snapshots,
        "has_gradients": has_updates(run),
        "has_loss": bool(run.train.sizes.get("step") or run.eval.sizes.get("step")),
        "units": _units(run),
        "loss_text": _loss_text(run),
        "alarm_rows": tables.alarm_rows(run),
        "segment_rows": tables.segment_rows(run),
        "facts": _facts(run),
        "config_text": str(run.attrs.get("config", "")),
        "payload": payload(run, meta),
    }
