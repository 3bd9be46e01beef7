"""What the histograms say about tails and body of every distribution, as one xarray dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import xarray as xr

from weightscope import schema
from weightscope.hill import hill
from weightscope.run import Run
from weightscope.tail_mass import tail_mass
from weightscope.weibull import weibull

SIGMAS: Final = (3.0, 4.0, 6.0)  # thresholds, in standard deviations of the first snapshot
MEANINGS: Final = {  # name → unit, meaning
    "tail_mass": ("1", "share of finite weights with |w| beyond `sigma` standard deviations of the first snapshot"),
    "tail_mass_low": ("1", "lower end of the bracket that tail_mass is certain to lie in"),
    "tail_mass_high": ("1", "upper end of the bracket that tail_mass is certain to lie in"),
    "tail_mass_error": ("1", "binomial standard error of tail_mass"),
    "hill": ("1", "Hill index of the largest 1 % of |w|"),
    "hill_low": ("1", "lower end of the bracket of hill"),
    "hill_high": ("1", "upper end of the bracket of hill"),
    "hill_error": ("1", "standard error of hill"),
    "weibull_k": ("1", "shape of the Weibull law of the middle 80 % of |w|"),
    "weibull_k_error": ("1", "standard error of weibull_k"),
    "weibull_scale": ("weight", "scale λ of the Weibull law of the middle 80 % of |w|"),
    "weibull_scale_error": ("weight", "standard error of weibull_scale"),
    "weibull_r2": ("1", "squared correlation on the Weibull probability plot, 1 where the law holds"),
}
_OF_HILL = {"value": "hill", "low": "hill_low", "high": "hill_high", "error": "hill_error"}
_OF_WEIBULL = {"k": "weibull_k", "k_error": "weibull_k_error", "scale": "weibull_scale"}
_OF_WEIBULL |= {"scale_error": "weibull_scale_error", "r2": "weibull_r2"}


def _of_one(
    counts: np.ndarray, start: np.ndarray, overflow: np.ndarray | float, largest: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """counts (…, bin); start, overflow, largest (…). Arrays (…), those of tail mass (…, sigma)."""
    masses = [tail_mass(counts, sigma * start, overflow, largest) for sigma in SIGMAS]
    for part, name in (("value", ""), ("low", "_low"), ("high", "_high"), ("error", "_error")):
        yield f"tail_mass{name}", np.stack([getattr(mass, part) for mass in masses], axis=-1)
    tail, body = hill(counts, overflow, largest), weibull(counts, overflow)
    yield from ((name, getattr(tail, part)) for part, name in _OF_HILL.items())
    yield from ((name, getattr(body, part)) for part, name in _OF_WEIBULL.items())


def _overflow(data: xr.Dataset, prefix: str, counts: np.ndarray) -> np.ndarray:
    """Finite weights of magnitude 2⁴ and above; NaN where nobody knows: heads have equal shares of their component, and
    what is missing in their histograms is overflow as long as the component is finite."""
    if not prefix:
        return data["overflow"].values.astype(float)
    parts = data[["count", "nonfinite"]].sel(component=data["qkv"].values)
    size = np.where(parts["nonfinite"].values == 0, parts["count"].values / data.sizes["head"], np.nan)
    return size[..., None] - counts.sum(axis=-1)


def _variables(data: xr.Dataset, rows: np.ndarray, prefix: str) -> dict[str, xr.Variable]:
    counts = data[f"{prefix}histogram"]
    dims = counts.dims[:-1]
    low, high = data[f"{prefix}min"].values, data[f"{prefix}max"].values
    largest = np.fmax(np.abs(low), np.abs(high))
    largest = np.where(np.isfinite(largest), largest, np.inf)
    start = data[f"{prefix}std"].values[0]
    overflow = _overflow(data, prefix, counts.values)
    known = np.isfinite(overflow)
    # One snapshot at a time: the histograms of a long run would fill the memory several times over.
    found = [
        dict(
            _of_one(
                np.where(known[row][..., None], counts.values[row], 0),
                start,
                np.where(known[row], overflow[row], 0),
                largest[row],
            )
        )
        for row in rows
    ]
    return {
        prefix + name: xr.Variable(
            (*dims, "sigma") if name.startswith("tail_mass") else dims,
            np.stack([one[name] for one in found]),
            {"units": unit, "long_name": meaning},
        )
        for name, (unit, meaning) in MEANINGS.items()
    }


def tail_statistics(run: Run, rows: Sequence[int] | np.ndarray | None = None) -> xr.Dataset:
    """Everything in MEANINGS over (snapshot_step, layer, component), tail masses over sigma too; with the prefix
    `head_` over (snapshot_step, layer, qkv, head) where the file has histograms of heads. `rows`: indices of the
    snapshots wanted (default: all; 1000 snapshots of 12 layers take about 40 s). Thresholds of tail masses are those of
    the first snapshot of the file. Each variable has `units` and `long_name`; definitions and sources:
    docs/statistics.md, section 2. A run opened without histograms has none of it: KeyError."""
    data = run.snapshots
    chosen = np.arange(data.sizes[schema.SNAPSHOT]) if rows is None else np.asarray(rows, dtype=int)
    variables = _variables(data, chosen, "")
    axes = ["layer", "component"]
    if "head_histogram" in data:
        variables |= _variables(data, chosen, "head_")
        axes += ["qkv", "head"]
    coords = {axis: data[axis] for axis in axes if axis in data.coords}
    steps = data[schema.SNAPSHOT].values[chosen]
    return xr.Dataset(variables, coords={schema.SNAPSHOT: steps, **coords, "sigma": list(SIGMAS)})
