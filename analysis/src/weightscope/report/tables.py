"""Rows of the report's tables, as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from weightscope import ranks
from weightscope.course import course
from weightscope.finding import CLAIMS, Finding, fixed, number, p_text
from weightscope.init_check import has_failed
from weightscope.run import Run
from weightscope.schema import COMPONENT_NAMES, SHOWN, SNAPSHOT
from weightscope.summary import duration
from weightscope.tail_statistics import SIGMAS, tail_statistics

SHORT = {"q": "Q", "k": "K", "v": "V", "c_attn": "Fused"}
_LAYER = re.compile(r"\bh\.\d+\.")


def _effect(finding: Finding) -> str:
    """The effect with its error; from one run, effects of depth have none that would mean anything."""
    if finding.effect != finding.effect:
        return ""
    if finding.verdict.endswith("one run"):
        return f"{_bare_effect(finding)}, one run"
    error = f" ± {number(finding.error, 1)}" if np.isfinite(finding.error) else ""
    return _bare_effect(finding) + error


def _bare_effect(finding: Finding) -> str:
    if finding.claim == "wider":
        return f"× {fixed(1 + finding.effect)}"
    sign = "+" if finding.effect > 0 else ""
    unit = {"tails": "Δκ ", "early": "τ ", "first": "lead "}[finding.claim]
    return f"{unit}{sign}{fixed(finding.effect)}"


def claim_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One row per claim: cells per component and the sentences behind them."""
    rows = []
    for claim, title in CLAIMS.items():
        found = [f for f in findings if f.claim == claim]
        cells = [
            {
                "component": SHORT[f.component],
                "word": f.verdict.split()[0],
                "kind": f.verdict.split()[0],
                "effect": _effect(f),
                "range": "",  # one run has none
            }
            for f in found
        ]
        texts = [f"{f.summary[0].upper()}{f.summary[1:]}. {f.text}" for f in found]
        rows.append({"title": title, "cells": cells, "texts": texts})
    return rows


def _rows(data: xr.Dataset, names: Sequence[str]) -> list[dict[str, Any]]:
    present = {name: data[name].values for name in names if name in data}
    n = data.sizes.get("row", 0)
    return [{name: present[name][i] if name in present else "" for name in names} for i in range(n)]


_INIT = ("name", "shape", "scheme", "expected_std", "std", "ci_low", "ci_high", "tied_to", "verdict")


def init_rows(run: Run) -> list[list[str]]:
    """Every parameter, the failing ones first."""
    rows = sorted(_rows(run.init, _INIT), key=lambda row: not has_failed(str(row["verdict"])))
    return [
        [
            str(row["name"]), str(row["shape"]), str(row["scheme"]), number(row["expected_std"], 4),
            number(row["std"], 4),
            f"{number(row['ci_low'], 4)} to {number(row['ci_high'], 4)}", str(row["tied_to"]), str(row["verdict"]),
        ]
        for row in rows
    ]  # fmt: skip


def _span(values: list[float]) -> str:
    low, high = number(min(values), 4), number(max(values), 4)
    return low if low == high else f"{low} to {high}"


def init_groups(run: Run) -> list[list[str]]:
    """Parameters with one role in all layers together: their number, the range of their stds, verdicts."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in _rows(run.init, _INIT):
        key = (_LAYER.sub("h.*.", str(row["name"])), str(row["scheme"]))
        groups.setdefault(key, []).append(row)
    table = []
    for (name, scheme), rows in groups.items():
        verdicts = [str(row["verdict"]) for row in rows]
        failed = sum(map(has_failed, verdicts))
        verdict = f"{failed} of {len(rows)} fail" if failed else ", ".join(dict.fromkeys(verdicts))
        expected, measured = ([float(row[key]) for row in rows] for key in ("expected_std", "std"))
        table.append([name, str(len(rows)), scheme, _span(expected), _span(measured), verdict])
    return table


def tied_text(run: Run) -> str:
    tied = [(str(row["name"]), str(row["tied_to"])) for row in _rows(run.init, _INIT) if row["tied_to"]]
    if not tied:
        return ""
    pairs = "; ".join(f"{name} is one tensor with {other}" for name, other in tied)
    return (
        f"Tied: {pairs}. It stands in the table once, under the name that owns it. A scheme that visits both names "
        "initializes it twice; the later one counts, and its formula is what the tensor is tested against."
    )


def depth_rows(run: Run) -> list[list[str]]:
    rows = []
    for component in SHOWN:
        growth = course(run, component).growth()
        r = ranks.depth_correlation(growth)
        widest = str(int(np.argmax(growth))) if np.all(np.isfinite(growth)) else "n/a"
        p = [p_text(value).removeprefix("p ").removeprefix("= ") for value in (r.tau_p, r.rho_p)]
        rows.append([COMPONENT_NAMES[component], fixed(r.tau), p[0], fixed(r.rho), p[1], widest])
    return rows


def tail_rows(run: Run) -> list[list[str]]:
    """Means over layers; the bracket is the widest over layers that the last quantile is certain to lie in."""
    rows = []
    for component in SHOWN:
        c = course(run, component)
        before, after = c.tail_ratio(0), c.tail_ratio(-1)
        rows.append(
            [
                COMPONENT_NAMES[component],
                fixed(c.kurtosis[0].mean()),
                fixed(c.kurtosis[-1].mean()),
                f"± {number(float(c.kurtosis_error(-1).max()), 2)}",
                fixed(before.value.mean()),
                fixed(after.value.mean()),
                f"{fixed(after.low.min())} to {fixed(after.high.max())}",
                number(c.largest[-1].max()),
            ]
        )
    return rows


def tail_shape_rows(run: Run) -> list[list[str]]:
    """Means over layers, shares in per cent; ± is the largest standard error of a layer at the last snapshot."""
    found = tail_statistics(run, [0, run.snapshots.sizes[SNAPSHOT] - 1])

    def cell(name: str, component: str, decimals: int, unit: float = 1.0, **at: float) -> str:
        chosen = {"component": component, **at}
        value, error = (found[key].sel(chosen).values[-1] * unit for key in (name, f"{name}_error"))
        if not np.isfinite(value).all():
            return "n/a"
        shown = fixed(float(value.mean()), decimals) if decimals else number(float(value.mean()), 2)
        return f"{shown} ± {number(float(error.max()), 1)}" if value.any() else "0"

    rows = []
    for component in SHOWN:
        start, end = (found.sel(component=component).isel(snapshot_step=i).mean("layer", skipna=False) for i in (0, 1))
        std = run.snapshots["std"].sel(component=component).values[-1].mean()
        rows.append(
            [
                COMPONENT_NAMES[component],
                *(cell("tail_mass", component, 0, 100, sigma=sigma) for sigma in SIGMAS),
                fixed(float(start["hill"])),
                cell("hill", component, 2),
                fixed(float(start["weibull_k"]), 3),
                cell("weibull_k", component, 3),
                fixed(float(end["weibull_scale"]) / std if std > 0 else np.nan, 3),
            ]
        )
    return rows


def alarm_rows(run: Run) -> list[list[str]]:
    names = ("step", "rule", "severity", "target", "value", "threshold", "message")
    return [
        [number(cell) if isinstance(cell, float) else str(cell) for cell in row.values()]
        for row in _rows(run.alarms, names)
    ]


def segment_rows(run: Run) -> list[list[str]]:
    names = (
        "start_step", "end_step", "world_size", "backend", "devices", "hosts", "job_id", "restart_count", "git",
        "seconds", "status",
    )  # fmt: skip
    return [
        [duration(float(cell)) if name == "seconds" and cell != "" else str(cell) for name, cell in row.items()]
        for row in _rows(run.segments, names)
    ]
