"""What monitor.gradients records of the update before each snapshot: its gradient, and what changed the norm."""

from __future__ import annotations

import numpy as np
import xarray as xr

from weightscope import schema
from weightscope.run import Run


def has_updates(run: Run) -> bool:
    """Whether the file holds gradients and budgets."""
    return "norm_budget_change" in run.snapshots and "gradient_std" in run.snapshots


def norm_budget(run: Run) -> xr.Dataset | None:
    """change, decay, gradient, second_order and residual of the last update before each snapshot over ‖W‖² before that
    update [1], over (snapshot_step, layer, component); change is the sum of the others. NaN where there was no update.
    None where the file has no budgets. Definitions: docs/statistics.md, section 1.3."""
    if not has_updates(run):
        return None
    data = run.snapshots
    square = data["rms"] ** 2 * (data["count"].astype(float) - data["nonfinite"]) - data["norm_budget_change"]
    return xr.Dataset({term: data[f"norm_budget_{term}"] / square for term in schema.BUDGET_TERMS})


def gradient_edges(run: Run, step: int, layer: int, component: str) -> np.ndarray:
    """Edges of the bins of one gradient_histogram, in units of the gradient: 450 values. KeyError for a step, layer or
    component that the file does not have."""
    place = {schema.SNAPSHOT: step, "layer": layer, "component": component}
    exponent = int(run.snapshots["gradient_exponent"].sel(place))
    return run.snapshots["bin_edge"].values * 2.0**-exponent
