"""Synthetic experiments with known truth, in the schema of the real file.

`Truth` says how each layer's weights move; `experiment` draws W₀, walks W_t = W₀ + s(t)·D and measures every
snapshot from the drawn weights. D is normal, or a scale mixture with heavier tails.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from h5write import Columns, write
from weightscope import bins, schema

_STATISTICS = ("std", "mean", "skewness", "kurtosis", "min", "max", "rms", "displacement", "cosine")
_COUNTS = ("count", "zeros", "nonfinite", "overflow")
_HEAD = ("std", "mean", "kurtosis", "min", "max")
_SHAPES = {  # rows, columns in units of width
    "attn_proj": (1, 1),
    "mlp_fc": (4, 1),
    "mlp_proj": (1, 4),
}


def log2_steps(last: int, every: int) -> tuple[int, ...]:
    powers = [2**k for k in range(20) if 2**k < every]
    return tuple(sorted({0, *powers, *range(every, last + 1, every), last}))


@dataclass(frozen=True)
class Truth:
    """`walk`: |W−W₀|/|W₀| of the last step by layer; negative values shrink the weights instead. `part_walk`:
    factor on it for Q, K and V. `heavy`: share of the moved weights that moved four times as far."""

    layers: int = 6
    heads: int = 4
    width: int = 64
    steps: tuple[int, ...] = log2_steps(600, 100)
    walk: tuple[float, ...] = (2.0, 1.8, 1.6, 1.4, 1.2, 1.0)
    part_walk: tuple[float, float, float] = (1.0, 1.2, 0.6)
    heavy: float = 0.08
    std: float = 0.02
    seed: int = 1
    vocab: int = 256
    jitter: float = 0.0  # random factor on `walk`, lognormal, by seed
    attrs: dict[str, Any] = field(default_factory=dict)


def _direction(rng: np.random.Generator, shape: tuple[int, ...], heavy: float) -> np.ndarray:
    d = rng.standard_normal(shape).astype(np.float32)
    if heavy:
        d *= np.where(rng.random(shape) < heavy, np.float32(4), np.float32(1))
    return d / np.float32(np.sqrt(1 + 15 * heavy))


def _measure(w: np.ndarray, w0: np.ndarray) -> dict[str, float | np.ndarray]:
    x = w.astype(np.float64).ravel()
    d = x - x.mean()
    m2, m3, m4 = ((d**k).mean() for k in (2, 3, 4))
    start = np.linalg.norm(w0)
    return {
        "std": np.sqrt(m2), "mean": x.mean(), "min": x.min(), "max": x.max(), "rms": np.sqrt((x**2).mean()),
        "skewness": m3 / m2**1.5 if m2 else 0.0, "kurtosis": m4 / m2**2 - 3 if m2 else 0.0,
        "displacement": float(np.linalg.norm(w - w0) / start) if start else np.nan,
        "cosine": float(np.vdot(w, w0) / (np.linalg.norm(w) * start)) if start else np.nan,
        "count": x.size, "zeros": int((x == 0).sum()), "nonfinite": 0, "overflow": int((np.abs(x) >= 16).sum()),
        "histogram": bins.count(w),
    }  # fmt: skip


def _progress(truth: Truth) -> np.ndarray:
    steps = np.array(truth.steps, dtype=float)
    return np.sqrt(steps / max(steps[-1], 1.0))


def _moved(truth: Truth, rng: np.random.Generator, shape: tuple[int, int], walk: float) -> list[np.ndarray]:
    w0 = (truth.std * rng.standard_normal(shape)).astype(np.float32)
    d = _direction(rng, shape, truth.heavy) * np.float32(truth.std)
    if walk < 0:
        return [w0 * np.float32(1 + walk * s) for s in _progress(truth)]
    return [w0 + np.float32(walk * s) * d for s in _progress(truth)]


def _snapshots(truth: Truth) -> tuple[Columns, Columns]:
    rng = np.random.default_rng(truth.seed)
    S, L, H, C = len(truth.steps), truth.layers, truth.heads, truth.width  # noqa: N806
    root: Columns = {name: np.zeros((S, L, 7)) for name in _STATISTICS}
    root |= {name: np.zeros((S, L, 7), dtype=np.uint64) for name in _COUNTS}
    root["histogram"] = np.zeros((S, L, 7, bins.BINS), dtype=np.uint32)
    root |= {f"head_{name}": np.zeros((S, L, 3, H)) for name in _HEAD}
    by_layer: Columns = {name: np.zeros((S, L, 4)) for name in ("std", "mean", "rms", "max", "displacement")}
    for layer in range(L):
        walk = truth.walk[layer] * float(np.exp(truth.jitter * rng.standard_normal()))
        qkv = [_moved(truth, rng, (C, C), walk * factor) for factor in truth.part_walk]
        fused = [np.concatenate(at) for at in zip(*qkv, strict=True)]
        rest = [_moved(truth, rng, (r * C, c * C), 0.6 * walk) for r, c in _SHAPES.values()]
        for i, course in enumerate([fused, *qkv, *rest]):
            for s, w in enumerate(course):
                for name, value in _measure(w, course[0]).items():
                    root[name][s, layer, i] = value
        for s in range(S):
            for p in range(3):
                blocks = qkv[p][s].reshape(H, C // H, C)
                for h in range(H):
                    m = _measure(blocks[h], blocks[h])
                    for name in _HEAD:
                        root[f"head_{name}"][s, layer, p, h] = m[name]
        for i, component in enumerate((0, 4, 5, 6)):
            for name in ("std", "mean", "rms", "displacement"):
                by_layer[name][:, layer, i] = root[name][:, layer, component]
            extremes = np.abs([root["min"][:, layer, component], root["max"][:, layer, component]])
            by_layer["max"][:, layer, i] = extremes.max(axis=0)
    return root, by_layer


def _parameters(truth: Truth, by_layer: Columns) -> Columns:
    """Embeddings and the four matrices of each layer with their biases; the rest is left out."""
    S, C = len(truth.steps), truth.width  # noqa: N806
    names, sizes = ["wte.weight", "wpe.weight"], [truth.vocab * C, 128 * C]
    starts = [truth.std, float(np.sqrt(2 / (128 + C)))]
    columns = {name: [np.full(S, start) for start in starts] for name in by_layer}
    columns["displacement"] = [_progress(truth), _progress(truth)]
    for layer in range(truth.layers):
        matrices = (("attn.c_attn", 3, 1), ("attn.c_proj", 1, 1), ("mlp.c_fc", 4, 1), ("mlp.c_proj", 1, 4))
        for i, (matrix, rows, cols) in enumerate(matrices):
            names += [f"h.{layer}.{matrix}.weight", f"h.{layer}.{matrix}.bias"]
            sizes += [rows * cols * C * C, rows * C]
            for name, values in by_layer.items():
                columns[name] += [values[:, layer, i], np.full(S, np.nan) if name == "displacement" else np.zeros(S)]
    root: Columns = {f"parameter_{name}": np.stack(values, axis=1) for name, values in columns.items()}
    root["parameter"] = np.array(names, dtype=object)
    root["parameter_count"] = np.array(sizes, dtype=np.uint64)
    rng = np.random.default_rng(truth.seed + 1000)
    decay = np.exp(-_progress(truth))[:, None]
    root["update_ratio"] = 3e-3 * decay * np.exp(0.2 * rng.standard_normal((S, len(names))))
    root["update_ratio"][0] = np.nan
    return root


def _init(root: Columns) -> Columns:
    names, n = root["parameter"], root["parameter_count"].astype(float)
    std = root["parameter_std"][0]
    bias = np.array([str(name).endswith("bias") for name in names])
    expected = np.where(bias, 0.0, np.where(names == "wpe.weight", std, 0.02))
    half = 1.96 * std / np.sqrt(2 * n)
    passed = np.abs(std - expected) <= 2 * half + 1e-12
    return {
        "name": names, "shape": np.array([f"[{int(k)}]" for k in n], dtype=object),
        "kind": np.array(["bias" if b else "linear" for b in bias], dtype=object),
        "scheme": np.array(["constant" if b else "normal" for b in bias], dtype=object),
        "expected_std": expected, "std": std, "mean": root["parameter_mean"][0],
        "ci_low": std - half, "ci_high": std + half,
        "tied_to": np.array(["lm_head.weight" if name == "wte.weight" else "" for name in names], dtype=object),
        "verdict": np.array(["pass" if ok else "fail: std" for ok in passed], dtype=object),
    }  # fmt: skip


def _train(truth: Truth) -> tuple[Columns, Columns]:
    rng = np.random.default_rng(truth.seed + 2000)
    steps = np.arange(truth.steps[-1], dtype=np.int64)
    start = np.log(truth.vocab) + 0.05
    clean = 1.6 + (start - 1.6) / (1 + steps / 40) ** 0.9
    train = {
        "step": steps, "loss": clean + 0.05 * rng.standard_normal(len(steps)) * (steps > 0),
        "lr": 1e-3 * np.minimum((steps + 1) / 50, 1.0), "grad_norm": 0.5 + np.exp(-steps / 50),
        "tokens_per_second": 41000 + 900 * rng.standard_normal(len(steps)), "step_seconds": np.full(len(steps), 0.1),
    }  # fmt: skip
    at = np.unique(np.append(np.arange(0, truth.steps[-1] + 1, 100), truth.steps[-1]))
    val = np.interp(at, steps, clean) if len(steps) else np.full(len(at), start)
    return train, {"step": at.astype(np.int64), "loss": val + 0.06}


def config_text(truth: Truth) -> str:
    return (
        f"name: synthetic\nseed: {truth.seed}\noutput: runs/synthetic-{truth.seed}\n"
        f"model: {{layers: {truth.layers}, heads: {truth.heads}, width: {truth.width}, block: 128, "
        f"vocab: {truth.vocab}}}\n"
        f"train: {{steps: {truth.steps[-1]}, global_batch: 32, precision: fp32}}\n"
        "optimizer: {name: adamw, lr: 1e-3, weight_decay: 0.1}\ninit: {scheme: article, std: 0.02}\n"
    )


def groups(truth: Truth) -> tuple[dict[str, Any], dict[str, Columns]]:
    """Attributes and groups of the complete file."""
    root, by_layer = _snapshots(truth)
    root |= _parameters(truth, by_layer)
    steps = np.array(truth.steps, dtype=np.int64)
    edge = bins.edges()
    root |= {
        "snapshot_step": steps, "epoch": steps / 300.0, "tokens": steps * 4096.0, "wall_time": steps * 0.1,
        "layer": np.arange(truth.layers, dtype=np.int32), "head": np.arange(truth.heads, dtype=np.int32),
        "component": np.array(schema.COMPONENTS, dtype=object), "qkv": np.array(["q", "k", "v"], dtype=object),
        "bin_edge": edge, "bin": (edge[:-1] + edge[1:]) / 2,
    }  # fmt: skip
    train, evaluation = _train(truth)
    last = int(steps[-1])
    one = {
        "start_step": 0, "end_step": last, "world_size": 2, "restart_count": 0, "backend": "mpi", "devices": "cpu",
        "hosts": "node1", "job_id": "", "git": "0123abc", "status": "finished", "seconds": 61.5,
    }  # fmt: skip
    segments = {
        name: np.array([value], dtype=object) if isinstance(value, str) else np.array([value])
        for name, value in one.items()
    }
    alarms = {
        "step": np.array([8]), "rule": np.array(["update_ratio_high"], dtype=object),
        "severity": np.array(["warning"], dtype=object), "target": np.array(["wpe.weight"], dtype=object),
        "value": np.array([0.021]), "threshold": np.array([0.01]),
        "message": np.array(["update ratio 0.021 above 0.01"], dtype=object),
    }  # fmt: skip
    attrs = {
        "Conventions": "weightscope-1", "schema_version": 1, "uuid": f"00000000-0000-4000-8000-{truth.seed:012d}",
        "name": "synthetic", "created": "2026-11-23T12:00:00Z", "status": "finished",
        "weightscope_version": "0.1.0", "config": config_text(truth), **truth.attrs,
    }  # fmt: skip
    return attrs, {
        "": root,
        "train": train,
        "eval": evaluation,
        "init": _init(root),
        "alarms": alarms,
        "segments": segments,
    }


def with_updates(root: Columns, seed: int = 1) -> Columns:
    """Gradients and budgets besides: gradients of std 1e-9, decay −2e-4 of the squared norm, second order 3e-4."""
    rng = np.random.default_rng(seed)
    shape = root["std"].shape
    gradients = 1e-9 * rng.lognormal(size=shape)
    square = root["rms"] ** 2 * root["count"]
    parts = {"decay": -2e-4 * square, "gradient": 1e-4 * rng.standard_normal(shape) * square}
    parts |= {"second_order": 3e-4 * square, "residual": 1e-8 * square}
    parts["change"] = np.sum(list(parts.values()), axis=0)
    parameters = root["parameter_std"]
    added: Columns = {
        "gradient_std": gradients, "gradient_norm": gradients * np.sqrt(root["count"]),
        "gradient_exponent": np.full(shape, 30, dtype=np.int64), "gradient_histogram": root["histogram"].copy(),
        "parameter_gradient_norm": 1e-8 * parameters, "parameter_gradient_rms": 1e-9 * parameters,
        **{f"norm_budget_{term}": values for term, values in parts.items()},
        **{f"parameter_norm_budget_{term}": 1e-4 * parameters for term in parts},
    }  # fmt: skip
    for name, values in added.items():
        added[name] = np.array(values)
        added[name][0] = np.nan if values.dtype.kind == "f" else 0
    return root | added


def experiment(path: Path, truth: Truth | None = None, **changes: Any) -> Path:
    """Writes one experiment file of `truth`, with some of its fields changed."""
    return write(path, *groups(replace(truth or Truth(), **changes)))
