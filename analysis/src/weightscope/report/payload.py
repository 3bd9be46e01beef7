"""What the report's figures draw, as compactly as a browser can read it: little-endian typed arrays behind a JSON
header, compressed with gzip, in base64."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np

from weightscope import bins, moments, schema
from weightscope.course import course
from weightscope.report import alarms, sampling, width
from weightscope.run import Run
from weightscope.tail_statistics import tail_statistics
from weightscope.updates import norm_budget

_MATRICES = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
_TAILS = ("tail_mass", "tail_mass_low", "tail_mass_high", "hill", "weibull_k")
_KEPT_BITS = np.uint32(0xFFFFFC00)  # 13 bits of mantissa, 1e-4: finer than any pixel, and compresses well
_DTYPES = {"f": "<f4", "i": "<i4", "u": "<u4"}


def encode(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> str:
    """Header length (u32), header (JSON, padded to 4 bytes), then the arrays; gzip; base64."""
    header: dict[str, Any] = {"meta": meta, "arrays": {}}
    body = bytearray()
    for name, values in arrays.items():
        data = np.ascontiguousarray(values, dtype=_DTYPES[np.asarray(values).dtype.kind])
        if data.dtype.kind == "f":
            data = np.ascontiguousarray((data.view(np.uint32) & _KEPT_BITS).view(np.float32))
        header["arrays"][name] = [data.dtype.kind, list(data.shape), len(body)]
        body += data.tobytes()
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    packed = gzip.compress(len(text).to_bytes(4, "little") + text + bytes(body), 9, mtime=0)
    return base64.b64encode(packed).decode()


def _by_component(run: Run, name: str, rows: np.ndarray) -> np.ndarray:
    """(row, layer, component) in the order of COMPONENTS; NaN where the file has no such dataset."""
    if name not in run.snapshots:
        return np.full((len(rows), run.layers, len(schema.COMPONENTS)), np.nan)
    return run.snapshots[name].sel(component=list(schema.COMPONENTS)).values[rows]


def histograms(run: Run, std: np.ndarray) -> dict[str, np.ndarray]:
    """Joined bins and what is read from histograms; `std` decides how fine the bins must be."""
    rows = sampling.histogram_rows(run)
    counts = run.snapshots["histogram"].sel(component=list(schema.COMPONENTS)).values[rows]
    positive = std[std > 0]
    groups = bins.coarse_groups(float(positive.min()) / 10 if positive.size else 1e-3)
    small = bins.joined(counts, groups)
    used = np.flatnonzero(small.reshape(-1, len(groups)).any(axis=0))
    low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, len(groups))
    edge = np.append(bins.edges()[groups], bins.HIGHEST)[low : high + 1]
    ratios = np.stack([course(run, c).tail_ratio(slice(None)).value[rows] for c in schema.COMPONENTS], axis=-1)
    arrays = {
        "histogram": np.minimum(small[..., low:high], 2**32 - 1).astype(np.uint32),
        "edge": edge,
        "histogram_row": rows.astype(np.int32),
        "tail_ratio": ratios,
    }
    if "head_std" in run.snapshots:
        arrays["head_std"] = run.snapshots["head_std"].values[rows]
    found = tail_statistics(run, rows).sel(component=list(schema.COMPONENTS))
    return arrays | {name: found[name].values for name in _TAILS}


def _updates(run: Run, rows: np.ndarray) -> dict[str, np.ndarray]:
    """update_matrix (row, layer, matrix) and update_embedding (row, embedding)."""
    if "update_ratio" not in run.snapshots:
        return {}
    index = {str(name): i for i, name in enumerate(run.snapshots["parameter"].values)}
    ratio = run.snapshots["update_ratio"].values[rows]

    def of(name: str) -> np.ndarray:
        return ratio[:, index[name]] if name in index else np.full(len(rows), np.nan)

    layers = [[of(f"h.{layer}.{matrix}") for matrix in _MATRICES] for layer in range(run.layers)]
    return {
        "update_matrix": np.moveaxis(np.array(layers), -1, 0),
        "update_embedding": np.stack([of("wte.weight"), of("wpe.weight")], axis=1),
    }


def _gradients(run: Run, rows: np.ndarray) -> dict[str, np.ndarray]:
    """gradient_std (row, layer, component); budget (row, layer, component, term) over the squared norm."""
    budget = norm_budget(run)
    if budget is None:
        return {}
    shown = budget.sel(component=list(schema.COMPONENTS))
    terms = np.stack([shown[term].values[rows] for term in schema.BUDGET_TERMS], axis=-1)
    return {"gradient_std": _by_component(run, "gradient_std", rows), "budget": terms}


def _losses(run: Run) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    if "loss" in run.train and run.train.sizes.get("step"):
        steps, loss = run.train["step"].values, run.train["loss"].values
        smooth = sampling.smoothed(loss)
        rows = sampling.evenly(len(steps), sampling.MAX_POINTS)
        arrays |= {"train_step": steps[rows].astype(np.int32), "train_loss": loss[rows], "train_smooth": smooth[rows]}
    if "loss" in run.eval and run.eval.sizes.get("step"):
        arrays |= {"eval_step": run.eval["step"].values.astype(np.int32), "eval_loss": run.eval["loss"].values}
    return arrays


def curves(run: Run) -> dict[str, np.ndarray]:
    """What a comparison needs of a run: no histograms."""
    rows = sampling.curve_rows(run)
    return {
        "step": run.snapshots[schema.SNAPSHOT].values[rows].astype(np.int32),
        "std": _by_component(run, "std", rows),
        "kurtosis": _by_component(run, "kurtosis", rows),
        "displacement": _by_component(run, "displacement", rows),
        "cosine": _by_component(run, "cosine", rows),
        **_losses(run),
    }


def payload(run: Run, meta: dict[str, Any]) -> str:
    """Arrays: see `arrays` in core.js. (row, layer, component) unless said otherwise above."""
    rows = sampling.curve_rows(run)
    std = _by_component(run, "std", np.arange(run.snapshots.sizes[schema.SNAPSHOT]))
    count = _by_component(run, "count", rows)
    shared = curves(run)
    ends = [0, -1]
    alarm_arrays, alarm_meta = alarms.marks(run)
    arrays = {
        **shared,
        **alarm_arrays,
        "all_step": run.snapshots[schema.SNAPSHOT].values.astype(np.int32),
        "std_error": moments.std_error(shared["std"][ends], shared["kurtosis"][ends], count[ends]),
        "count": count[-1].astype(np.uint32),
        **histograms(run, std),
        **_updates(run, rows),
        **_gradients(run, rows),
        **width.arrays(run, rows),
    }
    return encode(arrays, meta | alarm_meta)
