"""Comparisons of runs, to the bit or to a tolerance."""

import re
import shutil
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
    """NaN, and so neither small nor large, where one of them holds a NaN."""
    a, b = without_key_bias(a), without_key_bias(b)
    assert a.keys() == b.keys()
    return float(np.max([np.abs(a[name].astype(np.float64) - b[name].astype(np.float64)).max() for name in a]))


def forget(run: Path, step: int) -> None:
    """As if the run had died before this checkpoint."""
    shutil.rmtree(checkpoint(run, step))


def attributes(item: h5py.HLObject, but: set[str] | frozenset[str] = frozenset()) -> dict[str, object]:
    """All but those that refer to other objects; of the configuration all but where the run lies."""
    found = {}
    for name in set(item.attrs) - but:
        if h5py.check_ref_dtype(item.attrs.get_id(name).dtype) or name in ("DIMENSION_LIST", "REFERENCE_LIST"):
            continue
        value = item.attrs[name]
        found[name] = re.sub(r"(?m)^output: .*\n", "", value) if name == "config" else np.asarray(value).tolist()
    return found


def experiment_differences(first: Path, second: Path, *, same_config: bool = True) -> list[str]:
    """Datasets and attributes that only one of two experiment files has or that differ in any bit, apart from
    wall-clock ones, /segments and what is made anew for each run. Without same_config the configurations may differ."""
    different = []
    with h5py.File(first) as a, h5py.File(second) as b:
        but = {"uuid", "created"} | (set() if same_config else {"config"})
        x, y = attributes(a, but), attributes(b, but)
        different += [f"attribute {name}" for name in sorted(x.keys() | y.keys()) if x.get(name) != y.get(name)]
        names: set[str] = set()
        for file in (a, b):
            file.visit(names.add)
        for name in sorted(names):
            if name.startswith("segments/") or name.rsplit("/", maxsplit=1)[-1] in WALL_CLOCK:
                continue
            if name not in a or name not in b or not alike(a[name], b[name]):
                different.append(name)
    return different


def alike(a: h5py.HLObject, b: h5py.HLObject) -> bool:
    if type(a) is not type(b) or attributes(a) != attributes(b):
        return False
    if not isinstance(a, h5py.Dataset):
        return True
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    x, y = a[()], b[()]
    return list(x) == list(y) if x.dtype == object else x.tobytes() == y.tobytes()


def status(run: Path) -> str:
    with h5py.File(run / "experiment.h5") as file:
        return file.attrs["status"]
