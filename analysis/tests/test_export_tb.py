"""weightscope-export-tb: what TensorBoard itself reads from the event files is what the experiment file holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import synthetic
import weightscope
from h5write import write
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from weightscope import bins
from weightscope.export.tensorboard import main

CREATED = 1795435200.0  # 2026-11-23T12:00:00Z
Rewrite = Callable[[dict[str, synthetic.Columns]], None]


def accumulated(folder: Path) -> EventAccumulator:
    """Everything, not a sample of it."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
    return found.Reload()


@pytest.fixture(scope="module")
def events(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> EventAccumulator:
    folder = tmp_path_factory.mktemp("tb")
    assert main([str(experiment), "-o", str(folder)]) == 0
    return accumulated(folder / "synthetic")


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., EventAccumulator]:
    """Exports a small experiment after something was changed in it."""

    def export(change: Rewrite, *options: str) -> EventAccumulator:
        attrs, groups = synthetic.groups(
            synthetic.Truth(layers=2, heads=2, width=8, walk=(1.0, 0.5), steps=(0, 1, 2, 4))
        )
        change(groups)
        path = write(tmp_path / "e.h5", attrs, groups)
        assert main([str(path), "-o", str(tmp_path / "out"), *options]) == 0
        return accumulated(tmp_path / "out/synthetic")

    return export


def curve(events: EventAccumulator, tag: str) -> tuple[list[int], list[float]]:
    points = events.Scalars(tag)
    return [point.step for point in points], [point.value for point in points]


def text_of(events: EventAccumulator, tag: str) -> list[tuple[int, str]]:
    return [(e.step, e.tensor_proto.string_val[0].decode()) for e in events.Tensors(f"{tag}/text_summary")]


def test_scalars_are_the_recorded_numbers(events: EventAccumulator, experiment: Path) -> None:
    run = weightscope.open(experiment)
    columns = {f"train/{name}": run.train[name] for name in ("loss", "lr", "grad_norm", "tokens_per_second")}
    columns["eval/loss"] = run.eval["loss"]
    columns["update_ratio/h.2.mlp.c_fc.weight"] = run.snapshots["update_ratio"].sel(parameter="h.2.mlp.c_fc.weight")[1:]
    for name in ("std", "kurtosis", "displacement"):
        for component in run.snapshots["component"].values:
            for layer in range(6):
                column = run.snapshots[name].sel(component=component, layer=layer)
                columns[f"{name}/{component}/layer_{layer}"] = column
    for tag, column in columns.items():
        steps, values = curve(events, tag)
        assert steps == column[column.dims[0]].values.tolist(), tag
        np.testing.assert_array_equal(np.array(values, dtype=np.float32), column.values.astype(np.float32), tag)
    assert not [tag for tag in events.Tags()["scalars"] if tag.startswith(("overflow", "nonfinite"))]


def test_histograms_hold_every_count_between_the_edges_of_the_file(events: EventAccumulator, experiment: Path) -> None:
    data = weightscope.open(experiment).snapshots
    edge = bins.edges()
    for component in data["component"].values:
        for layer in range(6):
            found = events.Histograms(f"weights/{component}/layer_{layer}")
            assert [one.step for one in found] == data["snapshot_step"].values.tolist()
            for row, one in enumerate(found):
                here = data.isel(snapshot_step=row).sel(component=component, layer=layer)
                value = one.histogram_value
                # Each right limit is an edge of the file; counts up to it are those of the file up to this edge.
                index = np.searchsorted(edge, value.bucket_limit)
                np.testing.assert_array_equal(edge[index], value.bucket_limit)
                upto = np.append(0, np.cumsum(here["histogram"].values))[index]
                np.testing.assert_array_equal(np.cumsum(value.bucket), upto)
                assert value.bucket[0] == 0
                assert value.num == upto[-1] == int(here["count"])
                assert (value.min, value.max) == (float(here["min"]), float(here["max"]))
                assert value.sum_squares == pytest.approx(float(here["rms"]) ** 2 * value.num)
                assert value.sum == pytest.approx(float(here["mean"]) * value.num)


def test_nothing_but_empty_bins_is_joined(small: Callable[..., EventAccumulator]) -> None:
    edge = bins.edges()

    def change(groups: dict[str, synthetic.Columns]) -> None:
        counts = groups[""]["histogram"]
        counts[1, 1, 2] = 0
        counts[1, 1, 2, [10, 11, 20, 300]] = 3, 5, 1, 2

    value = small(change).Histograms("weights/k/layer_1")[1].histogram_value
    assert value.bucket == [0, 3, 5, 0, 1, 0, 2]
    assert value.bucket_limit == edge[[10, 11, 12, 20, 21, 300, 301]].tolist()


def test_the_time_is_that_of_the_recording(events: EventAccumulator) -> None:
    assert [point.wall_time for point in events.Scalars("std/q/layer_0")][-1] == CREATED + 60.0
    assert events.Scalars("train/loss")[150].wall_time == pytest.approx(CREATED + 15.0)


def test_alarms_and_configuration_are_texts(events: EventAccumulator, experiment: Path) -> None:
    assert text_of(events, "alarms") == [(8, "**warning** update_ratio_high wpe.weight update ratio 0.021 above 0.01")]
    [(step, config)] = text_of(events, "config")
    assert step == 0
    assert [line[4:] for line in config.splitlines()] == str(weightscope.open(experiment).attrs["config"]).splitlines()


def test_hyperparameters_are_those_of_the_configuration(events: EventAccumulator) -> None:
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

    metadata = events.SummaryMetadata("_hparams_/session_start_info")
    found = parse_session_start_info_plugin_data(metadata.plugin_data.content).hparams
    assert found["optimizer.lr"].number_value == 1e-3
    assert found["init.scheme"].string_value == "article"
    assert found["model.layers"].number_value == 6


def test_probes_and_spectra_have_a_curve_for_each_place(small: Callable[..., EventAccumulator]) -> None:
    alpha = np.arange(28.0).reshape(2, 2, 7)
    alpha[0, 0, 0] = np.nan  # no alpha there
    entropy = np.arange(8.0).reshape(2, 2, 2)
    entropy[1, 0, 1] = np.nan  # measured so
    residual = np.arange(6.0).reshape(2, 3)

    def change(groups: dict[str, synthetic.Columns]) -> None:
        steps = np.array([0, 4])
        groups[""]["residual_layer"] = np.arange(3)
        groups["spectra"] = {"step": steps, "alpha": alpha}
        groups["probe"] = {"step": steps, "attention_entropy": entropy, "residual_rms": residual}

    events = small(change)
    assert curve(events, "alpha/c_attn/layer_0") == ([4], [14.0])
    assert curve(events, "alpha/mlp_proj/layer_1") == ([0, 4], [13.0, 27.0])
    steps, values = curve(events, "attention_entropy/layer_0/head_1")
    assert (steps, values[0], math.isnan(values[1])) == ([0, 4], 1.0, True)
    assert curve(events, "residual_rms/layer_2") == ([0, 4], [2.0, 5.0])


def test_weights_that_are_not_in_the_histogram_are_curves(small: Callable[..., EventAccumulator]) -> None:
    def change(groups: dict[str, synthetic.Columns]) -> None:
        root = groups[""]
        root["overflow"][2, 1, 4], root["max"][2, 1, 4] = 3, 1000.0
        root["nonfinite"][3, 0, 1], root["histogram"][3, 0, 1] = root["count"][3, 0, 1], 0
        root["std"][3, 0, 1] = np.nan
        groups["train"]["loss"][-1] = np.nan

    events = small(change)
    assert curve(events, "overflow/attn_proj/layer_1") == ([0, 1, 2, 4], [0, 0, 3, 0])
    assert curve(events, "nonfinite/q/layer_0") == ([0, 1, 2, 4], [0, 0, 0, 64])
    assert [one.step for one in events.Histograms("weights/q/layer_0")] == [0, 1, 2]
    assert events.Histograms("weights/attn_proj/layer_1")[2].histogram_value.max < 16
    assert math.isnan(curve(events, "std/q/layer_0")[1][-1])
    assert math.isnan(curve(events, "train/loss")[1][-1])


def test_fewer_histograms_keep_both_ends(small: Callable[..., EventAccumulator]) -> None:
    events = small(lambda _: None, "--histograms", "2")
    assert [one.step for one in events.Histograms("weights/q/layer_0")] == [0, 4]


def test_a_second_export_replaces_the_first_and_equal_names_are_numbered(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=1, heads=1, width=8, walk=(1.0,), steps=(0, 1), attrs={"name": "../a b"})
    path = synthetic.experiment(tmp_path / "e.h5", truth)
    for _ in range(2):
        assert main([str(path), "-o", str(tmp_path / "one")]) == 0
    assert len(list((tmp_path / "one/_a_b").iterdir())) == 1
    assert main([str(path), str(path), "-o", str(tmp_path / "two")]) == 0
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == ["1-_a_b", "2-_a_b"]


def test_another_run_of_the_same_name_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    runs = []
    for uuid in ("11111111-aaaa", "22222222-bbbb"):
        truth = synthetic.Truth(layers=1, heads=1, width=8, walk=(1.0,), steps=(0, 1), attrs={"uuid": uuid})
        runs.append(synthetic.experiment(tmp_path / f"{uuid}.h5", truth))
    for run in (*runs, *runs):
        assert main([str(run), "-o", str(tmp_path / "tb")]) == 0
    assert {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "tb").iterdir()} == {
        "synthetic": 1,
        "synthetic-22222222": 1,
    }


def test_a_file_with_weights_only_is_exported(tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(synthetic.Truth(layers=1, walk=(1.0,), width=8, heads=1, steps=(0,)))
    optional = ("head_", "parameter_", "update_ratio", "displacement", "wall_time")
    root = {name: values for name, values in groups[""].items() if not name.startswith(optional)}
    attrs = {name: value for name, value in attrs.items() if name not in ("config", "created")}
    path = write(tmp_path / "measured.h5", attrs, {"": root})
    assert main([str(path), "-o", str(tmp_path)]) == 0
    assert accumulated(tmp_path / "synthetic").Scalars("std/q/layer_0")[0].step == 0


def test_errors_are_one_line_with_the_exit_code_of_their_kind(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main([str(experiment), "-o", str(tmp_path / "file" / "logs")]) == 5
    assert main([str(tmp_path / "nothing"), "-o", str(tmp_path)]) == 4
    assert capsys.readouterr().err.count("\n") == 2
