"""The runs of a sweep: every combination once, with its own name and settings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import synthetic
from weightscope.errors import UnusableFileError
from weightscope.sweep import read_sweep
from weightscope.sweep_command import main

ROOT = Path(__file__).resolve().parents[2]
TRUTH = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 20, 40))


def write(folder: Path, text: str) -> Path:
    (folder / "base.yaml").write_text("name: base\n")
    path = folder / "sweep.yaml"
    path.write_text("name: s\nbase: base.yaml\n" + text)
    return path


def test_every_combination_is_one_run(tmp_path: Path) -> None:
    sweep = read_sweep(
        write(
            tmp_path,
            "seeds: [1, 2]\nschemes: [gpt2, article]\nset: {train.steps: 7}\n"
            "overrides:\n  narrow: {model.width: 8}\n  wide: {model.width: 16, optimizer.betas: [0.9, 0.95]}\n",
        )
    )
    assert [trial.index for trial in sweep.trials] == list(range(8))
    assert len({trial.output for trial in sweep.trials}) == 8
    last = sweep.trials[-1]
    assert last.output == "runs/sweep-s/article-wide-seed-2"
    assert last.arguments() == [
        str(tmp_path / "base.yaml"),
        *("--set", "name=article-wide-seed-2"),
        *("--set", "seed=2", "--set", "init.scheme=article", "--set", "train.steps=7", "--set", "model.width=16"),
        *("--set", "optimizer.betas=[0.9, 0.95]", "--output", "runs/sweep-s/article-wide-seed-2"),
    ]


def test_what_is_not_varied_is_not_in_the_names(tmp_path: Path) -> None:
    assert [t.name for t in read_sweep(write(tmp_path, "seeds: [3, 4]\n")).trials] == ["seed-3", "seed-4"]
    assert [t.name for t in read_sweep(write(tmp_path, "")).trials] == ["s"]


def test_the_folder_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, 'output: "${env:SOMEWHERE:-runs}/${name}"\n')
    monkeypatch.delenv("SOMEWHERE", raising=False)
    assert read_sweep(path).folder == "runs/s"
    monkeypatch.setenv("SOMEWHERE", "/data")
    assert read_sweep(path).folder == "/data/s"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sedes: [1]", "did you mean seeds?"),
        ("seeds: 1", "seeds is not a list"),
        ("seeds: [1, 1]", "holds a value twice"),
        ("seeds: [1, -2]", "seeds: -2 is no integer from 0"),
        ("seeds: [1.5]", "seeds: 1.5 is no integer"),
        ("seeds: [18446744073709551616]", "to 18446744073709551615"),
        ("overrides: {a: {seed: 2}}", "a: seed is set by seeds"),
        ("set: {init.scheme: gpt2}", "is set by schemes"),
        ("overrides: {a/b: {}}", "cannot be part of a file name"),
        ("seeds: [1", "line"),
        ("output: ${env:NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UnusableFileError, match=problem.replace("?", r"\?")):
        read_sweep(write(tmp_path, text + "\n"))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_bytes(b"name: s\n# caf\xe9\n")
    with pytest.raises(UnusableFileError, match="byte 13 is not UTF-8"):
        read_sweep(path)


def test_a_run_that_cannot_be_read_takes_no_other_report_away(tmp_path: Path) -> None:
    """slurm/report.sbatch, which needs no Slurm to run; with a CDPATH, which makes cd print where it went."""
    path = write(tmp_path, "seeds: [1, 2, 3, 4]\noutput: runs\n")
    for seed in (1, 3):
        synthetic.experiment(tmp_path / f"runs/seed-{seed}/experiment.h5", TRUTH, seed=seed)
    (tmp_path / "runs/seed-2").mkdir()
    (tmp_path / "runs/seed-2/experiment.h5").write_bytes(b"damaged")
    words = ["bash", str(ROOT / "slurm/report.sbatch"), "sweep", path.name]
    site = {**os.environ, "SLURM_JOB_ID": "1", "WEIGHTSCOPE_ROOT": str(ROOT), "CDPATH": ".:/"}
    done = subprocess.run(words, cwd=tmp_path, env=site, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "runs/seed-2 cannot be reported" in done.stdout
    assert "runs/seed-4 holds no experiment" in done.stdout
    assert "wrote 2 report(s)" in done.stdout
    assert {p.parent.name for p in tmp_path.glob("runs/*/report.html")} == {"seed-1", "seed-3"}
    assert (tmp_path / "runs/compare.html").exists()


def test_the_command_answers_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path, "seeds: [1, 2]\n"))
    assert main([path, "--count"]) == 0
    assert main([path, "--run", "1"]) == 0
    assert main([path, "--outputs"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "2"
    assert out[1:6] == [str(tmp_path / "base.yaml"), "--set", "name=seed-2", "--set", "seed=2"]
    assert out[6:8] == ["--output", "runs/sweep-s/seed-2"]
    assert out[8:] == ["runs/sweep-s/seed-1", "runs/sweep-s/seed-2"]
    assert main([path, "--run", "2"]) == 4
    assert "no run 2" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "runs"), [("sweep-init", 30), ("sweep-article", 80)])
def test_the_shipped_ones_are_sweeps(name: str, runs: int) -> None:
    file = Path(__file__).resolve().parents[2] / f"configs/{name}.yaml"
    assert len(read_sweep(file).trials) == runs
