"""weightscope.open: files, run directories, live runs, unusable input."""

from __future__ import annotations

import fcntl
from pathlib import Path

import h5py
import numpy as np
import pytest
import synthetic
import tails
import weightscope
import xarray as xr
from h5write import write
from weightscope import raw, run
from weightscope.errors import UnusableFileError
from weightscope.report.command import main

SMALL = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 1, 2, 4, 8, 20, 40))


def datasets(one: weightscope.Run) -> dict[str, xr.Dataset]:
    return {name: getattr(one, name) for name in ("snapshots", "train", "eval", "init", "alarms", "segments")}


@pytest.fixture
def complete(tmp_path: Path) -> weightscope.Run:
    return weightscope.open(synthetic.experiment(tmp_path / "complete.h5", SMALL))


def test_dimensions_carry_coordinates_and_select_by_name(experiment: Path) -> None:
    std = weightscope.open(experiment).snapshots["std"].sel(snapshot_step=600, component="q", layer=0)
    assert std.dims == ()
    assert 0.03 < float(std) < 0.06


def test_xarray_alone_opens_the_same_dimensions(experiment: Path) -> None:
    with xr.open_dataset(experiment, engine="h5netcdf") as plain:
        ours = weightscope.open(experiment).snapshots
        assert dict(plain.sizes) == dict(ours.sizes)
        np.testing.assert_array_equal(plain["histogram"].values, ours["histogram"].values)
        assert plain["component"].values.tolist() == ours["component"].values.tolist()


def test_counts_of_the_synthetic_file_add_up(experiment: Path) -> None:
    data = weightscope.open(experiment).snapshots
    total = data["histogram"].sum("bin") + data["overflow"] + data["nonfinite"]
    assert bool((total == data["count"]).all())


@pytest.mark.parametrize("sealed", [1, 3, 7])
def test_a_directory_with_a_tail_equals_the_sealed_file(tmp_path: Path, complete: weightscope.Run, sealed: int) -> None:
    live = weightscope.open(tails.run_directory(tmp_path / "run", SMALL, sealed))
    assert live.live
    assert not complete.live
    for name, expected in datasets(complete).items():
        xr.testing.assert_identical(datasets(live)[name].drop_attrs(), expected.drop_attrs())


def test_rows_that_are_sealed_and_still_in_the_tail_appear_once(tmp_path: Path, complete: weightscope.Run) -> None:
    folder = tails.run_directory(tmp_path / "run", SMALL, 7)
    attrs, groups = synthetic.groups(SMALL)
    for index in (4, 5, 6):
        tails.write_tail(folder, attrs, groups, index)
    xr.testing.assert_identical(weightscope.open(folder).snapshots.drop_attrs(), complete.snapshots.drop_attrs())
    xr.testing.assert_identical(weightscope.open(folder).train, complete.train)


def test_an_alarm_of_a_value_that_is_no_number_is_one_alarm(tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(SMALL)
    groups["alarms"]["value"][:] = np.nan
    groups["alarms"]["step"][:] = groups[""]["snapshot_step"][6]
    folder = tmp_path / "run"
    write(folder / "experiment.h5", attrs, groups)
    tails.write_tail(folder, attrs, groups, 6)
    assert weightscope.open(folder).alarms.sizes["row"] == len(groups["alarms"]["step"]) == 1


def test_a_left_over_tail_does_not_revive_a_finished_run(tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(SMALL)
    write(tmp_path / "run" / "experiment.h5", attrs, groups)
    tails.write_tail(tmp_path / "run", {**attrs, "status": "running"}, groups, 6)
    assert not weightscope.open(tmp_path / "run").live


def test_a_tail_sealed_while_reading_loses_no_snapshot(
    tmp_path: Path, complete: weightscope.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tails.run_directory(tmp_path / "run", SMALL, 3)
    whole = tails.run_directory(tmp_path / "later", SMALL, 7) / "experiment.h5"
    read, seen = raw.read, []

    def seal_after_two(path: Path, without: frozenset[str]) -> raw.RawFile:
        seen.append(path)
        if len(seen) == 3:  # the writer folds the tail in just now
            whole.rename(folder / "experiment.h5")
            for tail in (folder / "tail").glob("*.h5"):
                tail.unlink()
        return read(path, without)

    monkeypatch.setattr(run.raw, "read", seal_after_two)
    xr.testing.assert_identical(weightscope.open(folder).snapshots.drop_attrs(), complete.snapshots.drop_attrs())


def test_the_configuration_is_parsed_as_yaml_1_2(complete: weightscope.Run) -> None:
    assert complete.config["optimizer"]["lr"] == 1e-3
    assert complete.config["model"]["layers"] == 2


def test_a_file_locked_by_others_is_read(experiment: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(experiment.read_bytes())
    with copy.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert weightscope.open(copy).last_step == 600


def _broken(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.h5"
    if kind == "text":
        path.write_text("not HDF5")
    elif kind == "foreign":
        h5py.File(path, "w").close()
    elif kind == "newer":
        write(path, {"Conventions": "weightscope-1", "schema_version": 2}, {"": {"snapshot_step": np.arange(2)}})
    elif kind == "unnumbered":
        write(path, {"Conventions": "weightscope-1", "schema_version": "one"}, {"": {"snapshot_step": np.arange(2)}})
    elif kind == "empty":
        write(path, {"Conventions": "weightscope-1", "schema_version": 1}, {"": {"snapshot_step": np.arange(0)}})
    elif kind == "directory":
        path.mkdir()
    elif kind == "truncated":
        whole = synthetic.experiment(folder / "whole.h5", SMALL).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "text", "foreign", "newer", "unnumbered", "empty", "directory", "truncated"]
)
def test_unusable_input_is_one_line_and_exit_code_4(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _broken(tmp_path, kind)
    assert main([str(path), "-o", str(tmp_path / "report.html")]) == 4
    said = capsys.readouterr().err
    assert said.startswith("weightscope: error: ")
    assert str(path) in said
    assert said.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_a_tail_of_another_run_is_refused(tmp_path: Path) -> None:
    folder = tails.run_directory(tmp_path / "run", SMALL, 6)
    attrs, groups = synthetic.groups(SMALL)
    tails.write_tail(folder, {**attrs, "uuid": "another"}, groups, 6)
    with pytest.raises(UnusableFileError, match="another run"):
        weightscope.open(folder)


def test_probes_have_the_axes_of_the_root_and_go_on_in_the_tail(tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(SMALL)
    groups[""]["residual_layer"] = np.arange(3, dtype=np.int32)
    heads, stream = np.arange(24.0).reshape(6, 2, 2), np.arange(18.0).reshape(6, 3)

    def probe(rows: slice) -> dict[str, np.ndarray]:
        by_head = dict.fromkeys(("attention_logit_max", "attention_logit_rms", "attention_entropy"), heads[rows])
        return {"step": np.arange(0, 60, 10)[rows], **by_head, "residual_rms": stream[rows]}

    write(tmp_path / "run/experiment.h5", attrs, {**groups, "probe": probe(slice(0, 4))})
    tails.write_tail(tmp_path / "run", attrs, {**groups, "probe": probe(slice(3, 6))}, 6)
    found = weightscope.open(tmp_path / "run").probe
    assert found["attention_entropy"].dims == ("step", "layer", "head")
    assert found["residual_rms"].dims == ("step", "residual_layer")
    assert float(found["attention_logit_max"].sel(step=50, layer=1, head=0)) == heads[5, 1, 0]
    np.testing.assert_array_equal(found["step"].values, np.arange(0, 60, 10))
    np.testing.assert_array_equal(found["attention_logit_rms"].values, heads)
    np.testing.assert_array_equal(found["residual_rms"].values, stream)
    assert found["residual_layer"].values.tolist() == [0, 1, 2]


def test_a_file_without_probes_has_an_empty_dataset(complete: weightscope.Run) -> None:
    assert complete.probe.sizes == {}


def test_gradients_and_budgets_go_on_in_the_tail(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=2, heads=2, width=8, walk=(1.0, 0.5), steps=(0, 2, 4))
    attrs, groups = synthetic.groups(truth)
    groups[""] = synthetic.with_updates(groups[""])
    write(tmp_path / "run/experiment.h5", attrs, tails.part(groups, np.arange(2), -1, 2))
    tails.write_tail(tmp_path / "run", attrs, groups, 2)
    run = weightscope.open(tmp_path / "run")
    assert run.snapshots["gradient_histogram"].dims == ("snapshot_step", "layer", "component", "bin")
    assert run.snapshots["gradient_std"].notnull().sel(snapshot_step=[2, 4]).all()
    budget = weightscope.norm_budget(run)
    assert budget is not None
    assert budget["change"].isnull().sel(snapshot_step=0).all()
    last = budget.sel(snapshot_step=4, layer=1, component="k")
    before = 1 - float(run.snapshots["norm_budget_change"].sel(snapshot_step=4, layer=1, component="k")) / float(
        (run.snapshots["rms"] ** 2 * run.snapshots["count"]).sel(snapshot_step=4, layer=1, component="k")
    )
    assert float(last["decay"]) == pytest.approx(-2e-4 / before, rel=1e-9)
    rest = sum(float(last[term]) for term in ("decay", "gradient", "second_order", "residual"))
    assert float(last["change"]) == pytest.approx(rest, rel=1e-9)
    edges = weightscope.gradient_edges(run, 4, 1, "k")
    np.testing.assert_array_equal(edges, run.snapshots["bin_edge"].values / 2**30)
    light = weightscope.open(tmp_path / "run", histograms=False)
    assert "gradient_histogram" not in light.snapshots


def test_a_file_without_gradients_has_no_budget(complete: weightscope.Run) -> None:
    assert weightscope.norm_budget(complete) is None


def test_spectra_have_components_and_heads(tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(SMALL)
    matrices, heads = np.arange(42.0).reshape(3, 2, 7), np.arange(12.0).reshape(3, 2, 2)
    spectra = {"step": np.arange(3), "alpha": matrices, "spectral_norm": matrices + 1, "qk_spectral_norm": heads}
    write(tmp_path / "one.h5", attrs, {**groups, "spectra": spectra})
    found = weightscope.open(tmp_path / "one.h5").spectra
    assert float(found["alpha"].sel(step=1, layer=1, component="k")) == matrices[1, 1, 2]
    assert found["qk_spectral_norm"].dims == ("step", "layer", "head")
    np.testing.assert_array_equal(found["qk_spectral_norm"].values, heads)
