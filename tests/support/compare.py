"""Comparisons of runs, to the bit or to a tolerance."""

from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import load_file

WALL_CLOCK = {"wall_time", "tokens_per_second", "step_seconds"}


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}"


def weights(run: Path, step: int) -> dict[str, np.ndarray]:
    return load_file(checkpoint(run, step) / "model.safetensors")


def state(run: Path, step: int) -> dict[str, np.ndarray]:
    return weights(run, step) | load_file(checkpoint(run, step) / "optimizer.safetensors")


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> list[str]:
    """Names of arrays that differ in any bit."""
    assert a.keys() == b.keys()
    return [name for name in a if a[name].tobytes() != b[name].tobytes()]


def without_key_bias(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The K third of c_attn.bias has a true gradient of zero; rounding noise there becomes whole steps of Adam."""
    out = dict(tensors)
    for name in list(out):
        if name.endswith("c_attn.bias"):
            third = out[name].shape[0] // 3
            out[name] = np.concatenate([out[name][:third], out[name][2 * third :]])
    return out


def largest_difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    a, b = without_key_bias(a), without_key_bias(b)
    return max(float(np.abs(a[name].astype(np.float64) - b[name].astype(np.float64)).max()) for name in a)


def experiment_differences(first: Path, second: Path) -> list[str]:
    """Datasets of two experiment files that differ in any bit, wall-clock ones and /segments apart."""
    different = []
    with h5py.File(first) as a, h5py.File(second) as b:

        def visit(name: str, item: object) -> None:
            last = name.rsplit("/", maxsplit=1)[-1]
            if not isinstance(item, h5py.Dataset) or last in WALL_CLOCK or name.startswith("segments"):
                return
            x, y = item[()], b[name][()]  # type: ignore[index]
            same = list(x) == list(y) if x.dtype == object else x.tobytes() == y.tobytes()
            if x.shape != y.shape or not same:
                different.append(name)

        a.visititems(visit)
    return different
