"""Views of the experiment file by the rules of NeXus, of runs that ended, are going on, and went on after a kill.

Usage: nexus.py WRITE_SAMPLE FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

SAMPLE, FOLDER = sys.argv[1], Path(sys.argv[2])
VIEWS = ["histogram", "std", "head_std", "loss"]
SNAPSHOTS = {"sealed": [0, 4, 8, 12, 16], "live": [], "resumed": [0, 4, 8, 12, 16]}


@pytest.fixture(scope="module")
def folder() -> Path:
    subprocess.run([SAMPLE, str(FOLDER)], check=True)
    return FOLDER


@pytest.fixture(params=SNAPSHOTS)
def run(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / request.param / "experiment.h5"


def text(value: object) -> str:
    assert isinstance(value, str), value
    return value


def check_nxdata(group: h5py.Group) -> None:
    signal = group[text(group.attrs["signal"])]
    axes = np.atleast_1d(group.attrs["axes"])
    assert signal.dtype.kind in "fu"
    assert len(axes) == signal.ndim
    for axis, length in zip(axes, signal.shape, strict=True):
        if axis != ".":
            assert group[axis].shape == (length,)
            assert group[axis].dtype.kind in "fi"
    for name in set(group) - {text(group.attrs["signal"])}:
        at = int(group.attrs[f"{name}_indices"])
        assert group[name].shape == (signal.shape[at],)
        assert axes[at] in (".", name)
    chosen = group.attrs.get("default_slice", ["."] * signal.ndim)
    assert len(chosen) == signal.ndim
    assert list(chosen).count(".") == min(signal.ndim, 2)
    assert all(0 <= int(at) < n for at, n in zip(chosen, signal.shape, strict=True) if at != ".")
    for dataset in group.values():
        assert text(dataset.attrs["long_name"])
        assert text(dataset.attrs["units"])


def test_every_view_follows_the_rules(run: Path) -> None:
    with h5py.File(run) as file:
        assert text(file.attrs["NX_class"]) == "NXroot"
        entry = file[text(file.attrs["default"])]
        assert text(entry.attrs["NX_class"]) == "NXentry"
        assert text(entry[text(entry.attrs["default"])].attrs["NX_class"]) == "NXdata"
        assert list(entry) == VIEWS
        for group in entry.values():
            assert text(group.attrs["NX_class"]) == "NXdata"
            check_nxdata(group)


def test_views_are_the_datasets_themselves(run: Path) -> None:
    with h5py.File(run) as file:
        assert list(file["snapshot_step"]) == SNAPSHOTS[run.parent.name]
        for group in file["views"].values():
            for name, dataset in group.items():
                assert dataset == file["train" if group.name == "/views/loss" else "/"][name], dataset.name
        paths: list[str] = []
        file.visit(paths.append)
        assert {"std", "snapshot_step", "train/loss"} <= set(paths), "the first names that readers meet"


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_reads_views_like_any_group(run: Path, engine: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xr.open_datatree(run, engine=engine)
    for name, dims in {
        "histogram": ("snapshot_step", "layer", "component", "bin"),
        "std": ("snapshot_step", "layer", "component"),
        "head_std": ("snapshot_step", "layer", "qkv", "head"),
    }.items():
        assert tree["views"][name][name].dims == dims
        assert tree["views"][name][name].identical(tree[name]), name
    assert tree["views/loss/loss"].identical(tree["train/loss"])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
