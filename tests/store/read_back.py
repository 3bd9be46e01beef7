"""Reads with other people's tools what the program wrote, and compares every number.

Usage: read_back.py WRITE_SAMPLE H5DUMP FOLDER   (WRITE_SAMPLE: the program of tests/store/write_sample.cpp)
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

SAMPLE, H5DUMP, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
SEALED, TAIL = FOLDER / "sealed/experiment.h5", FOLDER / "live/tail"
COMPONENTS = ["c_attn", "q", "k", "v", "attn_proj", "mlp_fc", "mlp_proj"]
TABLES = {
    "train": {"step"},
    "eval": {"step"},
    "probe": {"step", "layer", "head", "residual_layer"},
    "spectra": {"step", "layer", "component", "head"},
    "alarms": {"row"},
    "segments": {"row"},
    "init": {"row"},
}


@pytest.fixture(scope="module")
def expected() -> dict:
    subprocess.run([SAMPLE, str(FOLDER)], check=True)
    return json.loads((FOLDER / "expected.json").read_text())


def statistics(m: dict) -> dict[str, float]:
    """The definitions, written once more."""
    n = m["count"] - m["nonfinite"]
    square = m["m2"] + n * m["mean"] ** 2
    return {
        "std": (m["m2"] / n) ** 0.5,
        "mean": m["mean"],
        "skewness": (m["m3"] / n) / (m["m2"] / n) ** 1.5,
        "kurtosis": (m["m4"] / n) / (m["m2"] / n) ** 2 - 3,
        "min": m["min"],
        "max": m["max"],
        "rms": (m["m2"] / n + m["mean"] ** 2) ** 0.5,
        "displacement": (m["distance2"] / m["initial2"]) ** 0.5,
        "cosine": (square + m["initial2"] - m["distance2"]) / (2 * (square * m["initial2"]) ** 0.5),
        "count": m["count"],
        "zeros": m["zeros"],
        "nonfinite": m["nonfinite"],
        "overflow": m["overflow"],
        "histogram": m["bins"],
    }


def gradient_statistics(m: dict) -> dict[str, float]:
    n = m["count"] - m["nonfinite"]
    mean_square = m["m2"] / n + m["mean"] ** 2
    return {"std": (m["m2"] / n) ** 0.5, "norm": (n * mean_square) ** 0.5, "rms": mean_square**0.5}


def budget(b: dict[str, float]) -> dict[str, float]:
    return b | {"residual": b["change"] - b["decay"] - b["gradient"] - b["second_order"]}


def update_arrays(snapshots: list[dict], layers: int, parameters: int) -> dict[str, np.ndarray]:
    """Gradients and budgets of the update before each snapshot; NaN and 0 where there was none."""

    def rows(values: Callable[[dict], list], *shape: int, missing: float = np.nan) -> np.ndarray:
        return np.array([np.reshape(values(s), shape) if values(s) else np.full(shape, missing) for s in snapshots])

    result: dict[str, np.ndarray] = {}
    for prefix, kind, shape in (("", "components", (layers, 7)), ("parameter_", "parameters", (parameters,))):
        for name in ("std", "norm") if kind == "components" else ("norm", "rms"):
            result[f"{prefix}gradient_{name}"] = rows(
                lambda s, kind=kind, name=name: [gradient_statistics(m)[name] for m in s[f"gradient_{kind}"]], *shape
            )
        for name in ("change", "decay", "gradient", "second_order", "residual"):
            result[f"{prefix}norm_budget_{name}"] = rows(
                lambda s, kind=kind, name=name: [budget(b)[name] for b in s[f"budget_{kind}"]], *shape
            )
    exponents = rows(lambda s: [m["exponent"] for m in s["gradient_components"]], layers, 7, missing=0)
    bins = rows(lambda s: [m["bins"] for m in s["gradient_components"]], layers, 7, 449, missing=0)
    return result | {
        "gradient_exponent": exponents.astype(np.int64),
        "gradient_histogram": bins.astype(np.uint64),
    }


def snapshot_arrays(expected: dict, snapshots: list[dict]) -> dict[str, np.ndarray]:
    """Every dataset that has a row per snapshot, as the file should have it."""
    layers, heads = expected["layers"], expected["heads"]
    arrays: dict[str, list] = {name: [s[name] for s in snapshots] for name in ("epoch", "tokens", "wall_time")}
    arrays["snapshot_step"] = [s["step"] for s in snapshots]
    arrays["update_ratio"] = [[np.nan if r is None else r for r in s["update_ratio"]] for s in snapshots]
    result = {name: np.array(values) for name, values in arrays.items()}
    for name in statistics(snapshots[0]["components"][0]):
        values = np.array([[statistics(m)[name] for m in s["components"]] for s in snapshots])
        result[name] = values.reshape(len(snapshots), layers, 7, *values.shape[2:])
    for name in ("std", "mean", "kurtosis", "min", "max", "histogram"):
        values = np.array([[statistics(m)[name] for m in s["heads"]] for s in snapshots])
        result[f"head_{name}"] = values.reshape(len(snapshots), layers, 3, heads, *values.shape[2:])
    for name in ("std", "mean", "max", "rms", "displacement", "cosine"):
        result[f"parameter_{name}"] = np.array([[statistics(m)[name] for m in s["parameters"]] for s in snapshots])
    return result | update_arrays(snapshots, layers, len(expected["parameters"]))


# A cosine is the difference of what may be much larger; the other definitions only divide and take roots.
ABSOLUTE = {"cosine": 1e-12, "parameter_cosine": 1e-12}


def assert_equal(found: np.ndarray, right: np.ndarray, name: str) -> None:
    assert found.shape == right.shape, name
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, right, rtol=1e-13, atol=ABSOLUTE.get(name, 0), equal_nan=True, err_msg=name)
    else:
        assert np.array_equal(found, right), name


FIXED = {"layer", "component", "head", "qkv", "parameter", "bin", "bin_edge", "residual_layer", "parameter_shape"}
FIXED |= {"parameter_count"}


def test_h5py_reads_every_number_of_the_sealed_file(expected: dict) -> None:
    right = snapshot_arrays(expected, expected["snapshots"])
    with h5py.File(SEALED) as file:
        datasets = {name for name, item in file.items() if isinstance(item, h5py.Dataset)}
        assert datasets == set(right) | FIXED
        assert set(file) - datasets == {*TABLES, "views"}
        for name, values in right.items():
            assert_equal(file[name][()], values, name)
        for group in TABLES:
            rows = expected["tables"][group]
            assert set(file[group]) - {"row"} == set(rows[0]), group
            for column in rows[0]:
                dataset = file[group][column]
                found = dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
                right_values = np.array([row[column] for row in rows]).reshape(found.shape)
                assert np.array_equal(found, right_values), f"{group}/{column}"


def test_counts_account_for_every_element(expected: dict) -> None:
    with h5py.File(SEALED) as file:
        total = file["histogram"][()].sum(-1) + file["overflow"][()] + file["nonfinite"][()]
        assert np.array_equal(total, file["count"][()])


def test_types_and_attributes_are_those_of_the_contract(expected: dict) -> None:
    with h5py.File(SEALED) as file:
        assert file.attrs["Conventions"] == "weightscope-1"
        assert file.attrs["schema_version"] == 1
        assert file.attrs["config"] == expected["config"]
        assert file.attrs["status"] == "finished"
        assert file.attrs["name"] == "made-up"
        assert len(file.attrs["uuid"]) == 36
        assert np.datetime64(file.attrs["created"].rstrip("Z")) > np.datetime64("2024-01-01")
        assert file["snapshot_step"].dtype == np.int64
        assert file["layer"].dtype == np.int32
        assert file["histogram"].dtype == np.uint64
        assert file["std"].dtype == np.float64
        assert file["snapshot_step"].maxshape == (None,)
        assert file["train/step"].maxshape == (None,)
        assert file["histogram"].compression == "gzip"
        assert file["histogram"].shuffle

        def described(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                assert item.attrs["units"], name
                assert item.attrs["long_name"], name
                assert "_FillValue" not in item.attrs, name

        file.visititems(described)


def test_bins_are_those_of_the_contract(expected: dict) -> None:
    edges = [2.0**e * (1 + m / 8) for e in range(-24, 4) for m in range(8)] + [16.0]
    edges = np.array([-e for e in reversed(edges)] + edges)
    with h5py.File(SEALED) as file:
        assert np.array_equal(file["bin_edge"][()], edges)
        assert np.array_equal(file["bin"][()], (edges[:-1] + edges[1:]) / 2)


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_gives_named_dimensions_and_coordinates(expected: dict, engine: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = xr.open_dataset(SEALED, engine=engine)
    assert run["std"].dims == ("snapshot_step", "layer", "component")
    assert run["histogram"].dims == ("snapshot_step", "layer", "component", "bin")
    assert run["head_std"].dims == ("snapshot_step", "layer", "qkv", "head")
    assert run["parameter_std"].dims == ("snapshot_step", "parameter")
    assert set(run.coords) == {"snapshot_step", *FIXED} - {"parameter_shape", "parameter_count"}
    assert list(run["component"].values) == COMPONENTS
    assert list(run["parameter"].values) == expected["parameters"]
    assert list(run["parameter_shape"].values) == expected["parameter_shapes"]
    counts = [m["count"] for m in expected["snapshots"][0]["parameters"]]
    assert list(run["parameter_count"].values) == counts
    assert run["wall_time"].dtype == np.float64, "seconds stay numbers"
    one = run["std"].sel(snapshot_step=8, layer=1, component="k")
    assert one.item() == pytest.approx(statistics(expected["snapshots"][2]["components"][7 + 2])["std"], rel=1e-13)
    head = run["head_mean"].sel(snapshot_step=16, layer=0, qkv="v", head=2).item()
    assert head == pytest.approx(statistics(expected["snapshots"][4]["heads"][2 * 3 + 2])["mean"], rel=1e-13)
    for name, values in snapshot_arrays(expected, expected["snapshots"]).items():
        assert_equal(run[name].values, values, name)
    for group, dimensions in TABLES.items():
        table = xr.open_dataset(SEALED, group=group, engine=engine)
        assert set(table.sizes) == dimensions, group
    train = xr.open_dataset(SEALED, group="train", engine=engine)
    assert train["loss"].sel(step=5).item() == expected["tables"]["train"][5]["loss"]
    probe = xr.open_dataset(SEALED, group="probe", engine=engine)
    assert probe["attention_entropy"].dims == ("step", "layer", "head")
    assert probe["attention_entropy"].sel(step=6)[1, 2].item() == expected["tables"]["probe"][2]["attention_entropy"][5]
    assert probe["residual_rms"].dims == ("step", "residual_layer")


def test_netcdf4_library_sees_dimensions(expected: dict) -> None:
    with netCDF4.Dataset(SEALED) as file:
        assert file.dimensions["snapshot_step"].isunlimited()
        assert file.variables["histogram"].dimensions == ("snapshot_step", "layer", "component", "bin")
        assert file.groups["alarms"].variables["message"][0] == "loss é at step 7"
        assert file.groups["eval"].variables["loss"].dimensions == ("step",)


def test_tail_files_have_the_schema_of_the_sealed_file(expected: dict) -> None:
    tails = sorted(TAIL.glob("*.h5"))
    assert len(tails) == 5
    assert len(list(TAIL.iterdir())) == 5
    with h5py.File(SEALED) as sealed:
        for path, snapshot in zip(tails, expected["snapshots"], strict=True):
            with h5py.File(path) as tail:
                assert {n for n in tail if isinstance(tail[n], h5py.Dataset)} == {
                    n for n in sealed if isinstance(sealed[n], h5py.Dataset)
                }
                assert {n for n in tail if isinstance(tail[n], h5py.Group)} == {
                    "train",
                    "eval",
                    "probe",
                    "spectra",
                    "alarms",
                }
                for name, values in snapshot_arrays(expected, [snapshot]).items():
                    assert_equal(tail[name][()], values, name)
    rows = [step for path in tails for step in h5py.File(path)["train/step"][()]]
    assert rows == list(range(16))
    assert xr.open_dataset(tails[1], engine="h5netcdf")["std"].dims == ("snapshot_step", "layer", "component")


def test_h5dump_reads_the_file(expected: dict) -> None:
    for path in (SEALED, FOLDER / "live/experiment.h5", *TAIL.glob("*.h5")):
        dump = subprocess.run([H5DUMP, str(path)], capture_output=True, text=True, check=True)
        assert "DIMENSION_SCALE" in dump.stdout
        assert not dump.stderr
    with open(SEALED, "rb") as file:
        assert file.read(9)[8] in (0, 2), "superblock of HDF5 1.8 or older"


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
