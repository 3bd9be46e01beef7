"""slurm/submit.sh: what is submitted, and what is said of it. Slurm is a stand-in here; tests/slurm has a real one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = "model: {layers: 2, heads: 1, width: 8}\ntrain: {steps: 9}\n"
CHECK = """#!{python}
import sys
if "--version" in sys.argv:
    sys.exit({works})
words = sys.argv[1:]
assert words[0] == "check" and "--resume" not in words, words
if any(word.startswith("optimzer") for word in words):
    print("weightscope: error: --set optimzer.lr: unknown key", file=sys.stderr)
    sys.exit(2)
"""
SBATCH = """#!/bin/sh
case "$*" in *{refused}*) echo "sbatch: error: no" >&2; exit 1 ;; esac
echo "$*" >>{jobs}
echo 7
"""


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def submit(
    folder: Path, *words: str, works: int = 0, refused: str = "nothing"
) -> tuple[subprocess.CompletedProcess[str], str]:
    """What the script said, and the jobs that reached Slurm. refused: a word of those that do not."""
    tools, jobs = folder / "tools", folder / "jobs"
    tools.mkdir(exist_ok=True)
    script(tools / "weightscope", CHECK.format(python=sys.executable, works=works))
    script(tools / "sbatch", SBATCH.format(jobs=jobs, refused=refused))
    (folder / "base.yaml").write_text(BASE)
    mine = {**os.environ, "WEIGHTSCOPE_BINARY": str(tools / "weightscope")}
    done = subprocess.run(
        ["bash", str(ROOT / "slurm/submit.sh"), *words],
        cwd=folder,
        env=mine,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, jobs.read_text() if jobs.exists() else ""


def test_a_training_that_would_be_refused_is_not_submitted(tmp_path: Path) -> None:
    done, jobs = submit(tmp_path, "train", "base.yaml", "--set", "optimzer.lr=1", "--", "--nodes=1")
    assert done.returncode == 2
    assert "optimzer.lr: unknown key" in done.stderr
    assert jobs == ""
    done, jobs = submit(tmp_path, "train", "base.yaml", "--resume", "auto", "--set=seed=1", "--", "--nodes=1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "job 7, report 7\n"
    first, second = jobs.splitlines()
    assert first.startswith("--parsable --nodes=1 ")
    assert first.endswith("train.sbatch base.yaml --resume auto --set=seed=1")
    assert "--dependency=afterok:7" in second


@pytest.mark.parametrize("wrong", [True, False])
def test_a_sweep_with_a_run_that_would_be_refused_is_not_submitted(tmp_path: Path, wrong: bool) -> None:
    key = "optimzer.lr" if wrong else "optimizer.lr"
    text = f"name: s\nbase: base.yaml\nseeds: [1, 2]\noverrides: {{good: {{}}, bad: {{{key}: 1}}}}\n"
    (tmp_path / "sweep.yaml").write_text(text)
    done, jobs = submit(tmp_path, "sweep", "sweep.yaml")
    if wrong:
        assert done.returncode == 2
        assert "sweep.yaml: some runs could not start:\n  bad-seed-1: --set optimzer.lr: unknown key\n" in done.stderr
        assert "good" not in done.stderr
        assert jobs == ""
    else:
        assert done.returncode == 0, done.stderr
        assert "--array=0-3" in jobs.splitlines()[0]


def test_where_the_program_does_not_run_the_jobs_find_out(tmp_path: Path) -> None:
    done, jobs = submit(tmp_path, "train", "base.yaml", "--set", "optimzer.lr=1", works=127)
    assert done.returncode == 0, done.stderr
    assert "not checked, since weightscope does not run here" in done.stderr
    assert len(jobs.splitlines()) == 2


def test_the_report_runs_where_the_training_does(tmp_path: Path) -> None:
    place, size = "--partition=gpu -A mine -qlong --clusters c --chdir=/x", "--nodes=2 --gpus-per-node=8"
    done, jobs = submit(tmp_path, "train", "base.yaml", "--", *place.split(), *size.split())
    assert done.returncode == 0, done.stderr
    training, report = jobs.splitlines()
    assert training.startswith(f"--parsable {place} {size} ")
    assert f" {place} /" in report
    assert "--nodes" not in report
    assert "--gpus" not in report


def test_the_number_of_a_job_is_known_although_its_report_was_refused(tmp_path: Path) -> None:
    done, jobs = submit(tmp_path, "train", "base.yaml", "--", "-p", "gpu", refused="report.sbatch")
    assert done.returncode == 1
    assert done.stdout == "job 7\n"
    assert "job 7 is submitted, its report is not" in done.stderr
    assert re.search(r"sbatch -p gpu \S+/report.sbatch train base.yaml", done.stderr)
    assert len(jobs.splitlines()) == 1


def test_nothing_is_said_to_be_submitted_that_was_refused(tmp_path: Path) -> None:
    done, jobs = submit(tmp_path, "train", "base.yaml", refused="train.sbatch")
    assert done.returncode != 0
    assert done.stdout == ""
    assert jobs == ""
