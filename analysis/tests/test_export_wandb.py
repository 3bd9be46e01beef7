"""weightscope-export-wandb: the records in the .wandb file are what the experiment file holds."""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import weightscope
from weightscope import bins
from weightscope.export import wandb_run

wandb_only = pytest.mark.skipif(
    importlib.util.find_spec("wandb") is None,
    reason="the package wandb is an extra (pip install 'weightscope[wandb]', or launch/setup.sh --test)",
)
_BLOCK = 32768


def records(path: Path) -> Iterator[bytes]:
    """Payloads of a .wandb file: a header of 7 bytes, then LevelDB's log format with zlib's checksum."""
    data = path.read_bytes()
    assert data[:7] == b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    at, payload = 7, b""
    while at < len(data):
        if _BLOCK - at % _BLOCK < 7:  # the end of a block, too short for a header
            at += _BLOCK - at % _BLOCK
            continue
        checksum, length, kind = struct.unpack("<IHB", data[at : at + 7])
        part = data[at + 7 : at + 7 + length]
        assert zlib.crc32(bytes([kind]) + part) == checksum
        payload, at = payload + part, at + 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield payload
            payload = b""


def nested(items: Any) -> dict[str, Any]:
    """Key → value; histograms are told in pieces."""
    found: dict[str, Any] = {}
    for item in items:
        *parents, key = list(item.nested_key) or [item.key]
        node = found
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = json.loads(item.value_json)
    return found


@pytest.fixture(scope="module")
def folder(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wandb")
    assert wandb_run.main([str(experiment), "-o", str(place), "--project", "p"]) == 0
    [made] = (place / "wandb").glob("offline-run-*")
    return made


@pytest.fixture(scope="module")
def contents(folder: Path) -> tuple[Any, dict[int, dict[str, Any]]]:
    """The run record, and step → key → value."""
    from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore[reportAttributeAccessIssue]

    [file] = folder.glob("run-*.wandb")
    run, history = None, {}
    for payload in records(file):
        record = Record.FromString(payload)
        if record.HasField("run"):
            run = record.run
        elif record.HasField("history"):
            history[record.history.step.num] = nested(record.history.item)
    return run, history


@wandb_only
@pytest.mark.filterwarnings("ignore")
def test_numbers_and_times_are_the_recorded_ones(contents: Any, experiment: Path) -> None:
    made, history = contents
    run = weightscope.open(experiment)
    assert (made.project, made.display_name, made.run_id) == ("p", "synthetic", run.attrs["uuid"])
    assert {u.key: json.loads(u.value_json) for u in made.config.update}["optimizer"] == run.config["optimizer"]
    for step in (0, 150, 599):
        assert history[step]["train/loss"] == float(run.train["loss"].sel(step=step))
        assert history[step]["_timestamp"] == pytest.approx(1795435200 + 0.1 * step)
    for step in run.snapshots["snapshot_step"].values.tolist():
        now = run.snapshots.sel(snapshot_step=step)
        assert history[step]["std/mlp_fc/layer_5"] == float(now["std"].sel(component="mlp_fc", layer=5))
        if step:
            ratio = now["update_ratio"].sel(parameter="h.1.attn.c_attn.weight")
            assert history[step]["update_ratio/h/1/attn/c_attn/weight"] == float(ratio)


@wandb_only
@pytest.mark.filterwarnings("ignore")
def test_histograms_hold_every_count_between_the_edges_of_the_file(contents: Any, experiment: Path) -> None:
    _, history = contents
    data = weightscope.open(experiment).snapshots
    edge = bins.edges()
    for step in data["snapshot_step"].values.tolist():
        found = history[step]["weights/v/layer_2"]
        index = np.searchsorted(edge, found["bins"])
        np.testing.assert_array_equal(edge[index], found["bins"])
        counts = data["histogram"].sel(snapshot_step=step, component="v", layer=2).values
        np.testing.assert_array_equal(np.cumsum(found["values"]), np.cumsum(counts)[index[1:] - 1])
        assert sum(found["values"]) == counts.sum()


@wandb_only
@pytest.mark.filterwarnings("ignore")
def test_alarms_are_a_table_and_no_file_of_the_machine_goes_along(folder: Path) -> None:
    files = [path for path in (folder / "files").rglob("*") if path.is_file()]
    assert len(files) == 1
    table = json.loads(files[0].read_text(encoding="utf-8"))
    row = dict(zip(table["columns"], table["data"][0], strict=True))
    assert (row["step"], row["rule"], row["target"]) == (8, "update_ratio_high", "wpe.weight")


def test_a_missing_package_is_one_line_that_names_the_extra(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert wandb_run.main([str(experiment), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "weightscope[wandb]" in said
    assert not (tmp_path / "out").exists()


def test_an_unusable_run_is_exit_code_4(tmp_path: Path) -> None:
    assert wandb_run.main([str(tmp_path / "nothing"), "-o", str(tmp_path)]) == 4
