"""Each command does what its help says, with the JSON fields that scripts rely on."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import weightscope
import xarray as xr
from compare import weights
from program import BINARY, ROOT, Program, environment


@pytest.fixture
def run(program: Program, tiny: Path) -> Program:
    program.trained(tiny, "run", 2)
    return program


def test_the_article_initialization_has_the_article_values(program: Program) -> None:
    report = json.loads(program("init", ROOT / "configs/article.yaml", "--format", "json", threads=2).out)
    rows = {row["name"]: row for row in report["parameters"]}
    assert report["verdict"] == "pass"
    assert rows["wte.weight"]["expected_std"] == 0.02
    assert rows["wte.weight"]["std"] == pytest.approx(0.02, abs=2e-5)
    assert rows["wte.weight"]["tied_to"] == "lm_head.weight"
    assert rows["wpe.weight"]["expected_std"] == pytest.approx(math.sqrt(2 / (256 + 768)))
    assert rows["wpe.weight"]["std"] == pytest.approx(0.0442, abs=2e-4)
    assert rows["h.5.attn.c_attn.weight"]["std"] == pytest.approx(0.02, abs=5e-5)
    assert rows["h.5.attn.c_attn.bias"] | {"std": 0.0, "mean": 0.0} == rows["h.5.attn.c_attn.bias"]
    for field in (
        "name",
        "shape",
        "kind",
        "scheme",
        "expected_std",
        "std",
        "mean",
        "ci_low",
        "ci_high",
        "tied_to",
        "verdict",
    ):
        assert field in rows["wpe.weight"]


def test_weights_from_elsewhere_are_not_tested_against_a_scheme(run: Program, tiny: Path) -> None:
    """As `train` does it; `audit` is what tests them."""
    report = json.loads(run("init", tiny, "--set", "init.from=run", "--output", "start", "--format", "json").out)
    assert report["verdict"] == "pass"
    assert {row["verdict"] for row in report["parameters"]} == {"imported"}
    assert {row["expected_std"] for row in report["parameters"]} == {None}
    refused = run("init", tiny, "--set", "init.from=run", "--set", "model.heads=4", check=False)
    assert refused.code == 4
    assert "init.from = run holds another model: model.heads is 2 there and 4 here" in refused.err


def test_an_untied_token_embedding_keeps_the_xavier_value(program: Program, tiny: Path) -> None:
    report = json.loads(program("init", tiny, "--set", "model.tied=false", "--format", "json").out)
    rows = {row["name"]: row for row in report["parameters"]}
    assert rows["wte.weight"]["expected_std"] == pytest.approx(math.sqrt(2 / (256 + 16)))
    assert rows["lm_head.weight"]["expected_std"] == 0.02


def test_every_scheme_passes_its_own_test(program: Program, tiny: Path) -> None:
    reference = program("check", "--reference").out
    names = [
        line.split("`")[1]
        for line in reference.split("## Initialization schemes")[1].split("## Alarm rules")[0].splitlines()
        if line.startswith("| `")
    ]
    assert len(names) == 17
    for name in names:
        result = program(
            "init",
            tiny,
            "--set",
            f"init.scheme={name}",
            "--set",
            "model.width=64",
            "--set",
            "model.layers=3",
            *(["--set", "model.mup_base_width=32"] if name == "mup" else []),
            check=False,
        )
        assert result.code == 0, f"{name}\n{result.out}"


def test_rules_are_applied_and_audited(program: Program, tiny: Path) -> None:
    tiny.write_text(
        tiny.read_text() + 'init: {rules: [{match: "h.*.attn.c_proj.weight", scheme: normal, std: 0.004}]}\n'
    )
    rows = {row["name"]: row for row in json.loads(program("init", tiny, "--format", "json").out)["parameters"]}
    assert rows["h.1.attn.c_proj.weight"]["std"] == pytest.approx(0.004, rel=0.15)
    assert rows["h.1.mlp.c_proj.weight"]["std"] == pytest.approx(0.02, rel=0.1)
    missing = program("init", tiny, "--set", "init.rules=[{match: nothing, scheme: normal, std: 1}]", check=False)
    assert missing.code == 2
    assert "names no parameter" in missing.err


def test_inspect_has_the_promised_fields(run: Program) -> None:
    facts = json.loads(run("inspect", "run", "--format", "json").out)
    assert facts["snapshots"] == len(facts["steps"]) == 6
    assert facts["steps"] == [0, 1, 2, 4, 8, 12]
    assert (facts["layers"], facts["heads"], facts["world_sizes"], facts["status"], facts["alarms"]) == (
        2,
        2,
        [2],
        "finished",
        0,
    )
    assert facts["last_loss"] == run.log("run")[-1]["loss"]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_opens_the_file_with_coordinates(run: Program, engine: str) -> None:
    with xr.open_dataset(run.folder / "run/experiment.h5", engine=engine) as data:
        assert list(data["component"].values) == ["c_attn", "q", "k", "v", "attn_proj", "mlp_fc", "mlp_proj"]
        assert data["histogram"].dims == ("snapshot_step", "layer", "component", "bin") or data["histogram"].dims[
            1:
        ] == ("layer", "component", "bin")
        total = data["histogram"].astype("u8").sum("bin") + data["overflow"] + data["nonfinite"]
        assert (total == data["count"]).all()
        first = data["std"].sel(component="q").isel(layer=0).values
    with h5py.File(run.folder / "run/experiment.h5") as file:
        assert file.attrs["Conventions"] in ("weightscope-1", b"weightscope-1")
        np.testing.assert_array_equal(file["std"][:, 0, 1], first)


def test_recorded_numbers_are_those_of_the_weights(run: Program) -> None:
    """Independent of the program: numpy on the checkpoint against the snapshot of the same step."""
    tensors = weights(run.folder / "run", 12)
    with h5py.File(run.folder / "run/experiment.h5") as file:
        names = [n.decode() for n in file["parameter"][()]]
        at = list(file["snapshot_step"][()]).index(12)
        for index, name in enumerate(names):
            x = tensors[name].astype(np.float64)
            assert file["parameter_std"][at, index] == pytest.approx(x.std(), rel=1e-12, abs=1e-300)
            assert file["parameter_rms"][at, index] == pytest.approx(math.sqrt((x**2).mean()), rel=1e-12)
        qkv = tensors["h.1.attn.c_attn.weight"].astype(np.float64).reshape(3, 2, -1)
        for part in range(3):
            x = qkv[part].ravel()
            assert file["std"][at, 1, 1 + part] == pytest.approx(x.std(), rel=1e-12)
            assert file["kurtosis"][at, 1, 1 + part] == pytest.approx(
                ((x - x.mean()) ** 4).mean() / x.var() ** 2 - 3, rel=1e-9
            )
            for head in range(2):
                assert file["head_std"][at, 1, part, head] == pytest.approx(qkv[part, head].std(), rel=1e-12)
        first = dict(weights_of_start(run).items())
        w, w0 = tensors["h.0.mlp.c_fc.weight"].astype(np.float64), first["h.0.mlp.c_fc.weight"].astype(np.float64)
        assert file["displacement"][at, 0, 5] == pytest.approx(np.linalg.norm(w - w0) / np.linalg.norm(w0), rel=1e-9)
        cosine = np.vdot(w, w0) / (np.linalg.norm(w) * np.linalg.norm(w0))
        assert file["cosine"][at, 0, 5] == pytest.approx(cosine, rel=1e-12)
        assert file["displacement"][0].max() == 0
        assert file["cosine"][0].min() == 1
        assert np.isnan(file["update_ratio"][0]).all()
        assert (file["update_ratio"][1:] > 0).all()


def weights_of_start(run: Program) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(run.folder / "run/initial.safetensors")


def analysed(program: Program, name: str, *words: object) -> str:
    command = [Path(sys.executable).parent / f"weightscope-{name}", *map(str, words)]
    done = subprocess.run(command, cwd=program.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_analysis_package_opens_the_run_and_writes_the_report(run: Program, tiny: Path) -> None:
    opened = weightscope.open(run.folder / "run")
    assert opened.snapshots.sizes["layer"] == 2
    assert len(opened.train["loss"]) == 12
    analysed(run, "report", "run/experiment.h5", "-o", "report.html", "--figures", "figures")
    page = (run.folder / "report.html").read_text()
    assert opened.attrs["uuid"] in page
    assert f"{run.log('run', 'eval')[-1]['loss']:.4g}" in page
    assert len(list((run.folder / "figures").glob("*.png"))) > 3
    run.trained(tiny, "other", seed=6)
    numbers = json.loads(analysed(run, "compare", "run/experiment.h5", "other/experiment.h5", "--format", "json"))
    assert [row["Seed"] for row in numbers["runs"]] == ["5", "6"]
    analysed(run, "export-tb", "run", "-o", "board")
    assert list((run.folder / "board").rglob("events.out.tfevents.*"))


def test_the_recorded_validation_loss_is_that_of_eval(program: Program, tiny: Path) -> None:
    """Two batches of eight blocks of sixteen tokens, from the start of the file."""
    program.trained(tiny, "run", 2, model__dropout=0.5)
    whole = (program.folder / "data/val.bin").read_bytes()
    header = np.frombuffer(whole[:1024], np.int32).copy()
    header[2] = 16 * 16 + 1
    (program.folder / "data/first.bin").write_bytes(header.tobytes() + whole[1024 : 1024 + 2 * int(header[2])])
    with h5py.File(program.folder / "run/experiment.h5") as file:
        assert list(file["eval/step"]) == [0, 6, 12]
        recorded = list(file["eval/loss"])
    for step, loss in zip((6, 12), recorded[1:], strict=True):
        model = f"run/checkpoints/step-{step:08d}"
        found = json.loads(program("eval", model, "--tokens", "data/first.bin", "--format", "json").out)
        assert found["tokens"] == 256
        assert found["loss"] == pytest.approx(loss, rel=1e-6)
    assert recorded == [row["loss"] for row in program.log("run", "eval")]


def test_measure_writes_one_snapshot_of_any_weights(run: Program) -> None:
    run("measure", "run", "-o", "weights.h5")
    with h5py.File(run.folder / "weights.h5") as one, h5py.File(run.folder / "run/experiment.h5") as whole:
        assert list(one["snapshot_step"]) == [12]
        np.testing.assert_array_equal(one["histogram"][0], whole["histogram"][-1])
    assert run("measure", "run", "-o", "weights.h5", check=False).code == 5


def test_a_model_with_qk_norm_is_sampled_evaluated_and_measured_but_not_exported(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", model__qk_norm="true")
    assert len(program.sample("run", "line", "--tokens", 5)) == 5
    loss = json.loads(program("eval", "run", "--tokens", "data/val.bin", "--format", "json").out)["loss"]
    assert 0 < loss < 6
    program("measure", "run", "-o", "weights.h5")
    with xr.open_dataset(program.folder / "weights.h5", engine="h5netcdf") as one:
        assert one["parameter_std"].sel(parameter="h.1.attn.k_norm.weight").item() > 0
    refused = program("export", "run", "-o", "out", check=False)
    assert refused.code == 4
    assert "model.qk_norm cannot be exported" in refused.err
    assert not (program.folder / "out").exists()


def test_samples_are_a_function_of_the_seed(run: Program) -> None:
    first, again, other = (run.sample("run", "line", "--tokens", 40, "--seed", seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert len(first) == len(other) == 40
    assert run("sample", "run", "--prompt", "", check=False).code == 2


def test_check_prints_a_configuration_that_reads_back(program: Program) -> None:
    for config in sorted((ROOT / "configs").glob("*.yaml")):
        if config.name.startswith("sweep-"):
            continue  # a list of runs: analysis/tests/test_sweep.py
        text = program("check", config, "--ranks", 1).out
        (program.folder / "resolved.yaml").write_text(text)
        assert program("check", "resolved.yaml", "--ranks", 1).out == text, config.name


def test_doctor_names_the_libraries(program: Program) -> None:
    text = program("doctor").out
    for word in ("Open MPI", "LibTorch", "HDF5", "NCCL", "CUDA", "CPU kernels"):
        assert word in text


def test_a_program_names_the_sources_it_was_built_from(run: Program) -> None:
    """And not what the tree has become: it asks no git when it runs."""
    git = run.folder / "bin/git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\necho later\n")
    git.chmod(0o755)
    path = f"{git.parent}:{os.environ['PATH']}"
    out = subprocess.check_output([BINARY, "doctor"], env=environment(1) | {"PATH": path}, text=True)
    with h5py.File(run.folder / "run/experiment.h5") as file:
        revision = file["segments/git"].asstr()[0]
    assert f"({revision})" in out
    assert revision != "later"


def test_a_command_of_one_rank_under_mpirun_runs_once_and_ends(program: Program) -> None:
    assert program("doctor", ranks=2, timeout=30).out.count("LibTorch") == 1


def test_check_plans_the_memory_of_a_gpu_where_there_is_none(program: Program, tiny: Path) -> None:
    host = program("check", tiny, "--set", "train.device=cpu").out
    assert "# memory per rank, planned:" in host
    gpu = program("check", tiny, "--set", "train.device=cuda").out
    assert "# memory of each GPU, beside about 500 MiB that CUDA itself takes, planned:" in gpu
    assert "workspace of cuBLAS and cuDNN" in gpu
