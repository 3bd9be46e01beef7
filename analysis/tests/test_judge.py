"""slurm/common.sh: how an attempt starts and is written down, and what the record of a run says about it. The program
is a stand-in here; tests/slurm has the real one, and a real Slurm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MARK = "what-opens-a-door"
INSPECT = """#!/bin/sh
[ "$1" = inspect ] && cat "$2/facts"
"""
CHECK = """#!/bin/sh
echo "output: run"
exit {}
"""
SCONTROL = """#!/bin/sh
[ "$1" = requeue ] && touch requeued
echo " JobState=RUNNING "
"""
START = """set -euo pipefail
. "$1/slurm/common.sh"
resolve base.yaml
record_attempt
"""
PYTHON = """#!/bin/sh
echo base.yaml
exit {}
"""
JUDGE = """set -euo pipefail
. "$1/slurm/common.sh"
run=run attempt=run/attempts/7-r0 steps=12 began=then status=$2 told=$3
judge
echo "$verdict"
"""


def bash(
    folder: Path, tools: dict[str, str], script: str, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    (folder / "tools").mkdir(exist_ok=True)
    for name, text in tools.items():
        (folder / "tools" / name).write_text(text)
        (folder / "tools" / name).chmod(0o755)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    mine |= {"WEIGHTSCOPE_BINARY": str(folder / "tools/weightscope"), "WEIGHTSCOPE_SITE": "none", "SLURM_JOB_ID": "7"}
    mine |= {"SLURM_JOB_NODELIST": "n1", "WEIGHTSCOPE_PAUSE": "0"} | variables
    command = ["bash", "-c", script, "bash", str(ROOT), *words]
    return subprocess.run(command, cwd=folder, env=mine, capture_output=True, text=True, check=False)


def judge(
    folder: Path, record: str, age: str, status: int, *, last: int = 11, restarts: int = 0, told: str = ""
) -> str:
    """The verdict on an attempt that ended with `status`. age: of the record, "older" or "newer" than the attempt."""
    (folder / "run/attempts/7-r0").mkdir(parents=True)
    (folder / "run/facts").write_text(f'{{"status":"{record}","last_step":{last}}}\n')
    for file, when in (("attempts/7-r0/environment.txt", "12:00"), ("experiment.h5", age)):
        time = {"older": "11:00", "newer": "13:00"}.get(when, when)
        subprocess.run(["touch", "-d", f"2026-01-02 {time}", str(folder / "run" / file)], check=True)
    done = bash(folder, {"weightscope": INSPECT}, JUDGE, str(status), told, SLURM_RESTART_COUNT=str(restarts))
    assert done.returncode == 0, done.stderr
    verdict = done.stdout.splitlines()[-1]
    assert (folder / "run/attempts.tsv").read_text().split("\t")[6:8] == [str(status), verdict]
    return verdict


@pytest.mark.parametrize("status", [2, 3, 4, 5, 6])
def test_a_finished_run_that_was_refused_this_time_is_not_finished(tmp_path: Path, status: int) -> None:
    """Submitted again with another learning rate: the report that waits for this job must not be made."""
    assert judge(tmp_path, "finished", "older", status) == "refused"


def test_after_a_restart_the_attempt_before_may_still_hold_the_directory(tmp_path: Path) -> None:
    assert judge(tmp_path, "finished", "older", 6, restarts=1) == "failed"


@pytest.mark.parametrize("status", [0, 1, 9, 137, 143])
def test_a_finished_run_that_is_submitted_again_is_finished(tmp_path: Path, status: int) -> None:
    assert judge(tmp_path, "finished", "older", status) == "finished"


@pytest.mark.parametrize("status", [0, 1, 5, 137])
def test_what_this_attempt_finished_is_finished_whatever_the_launcher_says(tmp_path: Path, status: int) -> None:
    assert judge(tmp_path, "finished", "newer", status) == "finished"


def test_a_run_with_more_steps_than_it_has_is_not_finished(tmp_path: Path) -> None:
    assert judge(tmp_path, "finished", "older", 4, last=5) == "refused"


@pytest.mark.parametrize(
    ("age", "status", "verdict"),
    [
        ("newer", 0, "stopped"),
        ("newer", 1, "stopped"),
        ("older", 4, "refused"),
        ("older", 1, "failed"),
        ("newer", 7, "refused"),
    ],
)
def test_a_record_that_says_stopped_counts_for_its_own_attempt(
    tmp_path: Path, age: str, status: int, verdict: str
) -> None:
    assert judge(tmp_path, "stopped", age, status) == verdict


def test_what_slurm_told_to_stop_goes_on(tmp_path: Path) -> None:
    assert judge(tmp_path, "running", "newer", 137, told="USR1") == "stopped"


@pytest.mark.parametrize(
    ("status", "restarts", "again"),
    [
        *((code, 1, False) for code in (2, 3, 4, 5, 6)),
        *((code, 1, True) for code in (1, 70, 126, 127, 137)),
        (127, 0, False),  # not built
        (137, 0, True),
        (127, 3, False),  # WEIGHTSCOPE_RESTARTS
    ],
)
def test_a_check_that_fails_on_a_node_does_not_end_a_job(
    tmp_path: Path, status: int, restarts: int, again: bool
) -> None:
    tools = {"weightscope": CHECK.format(status), "scontrol": SCONTROL}
    caps = {"SLURM_RESTART_COUNT": str(restarts), "WEIGHTSCOPE_RESTARTS": "3"}
    done = bash(tmp_path, tools, START, **caps)
    assert done.returncode == status
    assert (tmp_path / "requeued").exists() == again, done.stdout
    assert not (tmp_path / "run").exists()


def test_a_check_that_fails_everywhere_ends_a_job(tmp_path: Path) -> None:
    tools = {"weightscope": CHECK.format(70), "scontrol": SCONTROL}
    for restarts in range(3):
        (tmp_path / "requeued").unlink(missing_ok=True)
        done = bash(tmp_path, tools, START, SLURM_RESTART_COUNT=str(restarts), SLURM_SUBMIT_DIR=str(tmp_path))
        assert done.returncode == 70
        assert (tmp_path / "requeued").exists() == (restarts < 2), done.stdout
    assert not list(tmp_path.glob(".weightscope-check-*"))


@pytest.mark.parametrize(("expansion", "check"), [(1, 0), (0, 70)])
def test_a_sweep_of_which_nothing_can_be_started_is_tried_elsewhere_but_not_for_ever(
    tmp_path: Path, expansion: int, check: int
) -> None:
    tools = {"weightscope": CHECK.format(check), "scontrol": SCONTROL, "python": PYTHON.format(expansion)}
    script = 'PATH=$PWD/tools:$PATH; source "$1/slurm/sweep.sbatch" "$2"'
    task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "WEIGHTSCOPE_ROOT": str(ROOT)}
    task |= {"SLURM_SUBMIT_DIR": str(tmp_path), "WEIGHTSCOPE_VENV": str(tmp_path / "none")}
    for restarts in range(3):
        (tmp_path / "requeued").unlink(missing_ok=True)
        done = bash(tmp_path, tools, script, "sweep.yaml", SLURM_RESTART_COUNT=str(restarts), **task)
        assert done.returncode == max(expansion, check), done.stderr
        assert (tmp_path / "requeued").exists() == (restarts < 2), done.stdout
        assert f"{restarts + 1} time(s) in a row" in done.stdout
    assert not list(tmp_path.glob(".weightscope-check-*"))


def test_what_opens_a_door_is_not_written_down(tmp_path: Path) -> None:
    secret = dict.fromkeys(("SSHPASS", "SITE_TOKEN", "SLURM_JWT", "WEIGHTSCOPE_API_KEY", "ANYTHING"), MARK)
    secret |= {"SITE_PRIVATE_KEY": f"-----BEGIN\n{MARK}\nSLURM_X={MARK}\n-----END"}
    secret |= {"WEIGHTSCOPE_DATA": f"store://me:{MARK}/c@{MARK}@host/data"}
    secret |= {"BASH_FUNC_module%%": f"() {{\n echo {MARK}\n}}"}
    plain = {"OMP_NUM_THREADS": "2", "SLURM_JOB_NAME": "two\nlines", "NCCL_DEBUG": "WARN"}
    done = bash(tmp_path, {"weightscope": CHECK.format(0), "scontrol": SCONTROL}, START, **secret, **plain)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "run/attempts/7-r0/environment.txt"
    lines = file.read_text().splitlines()
    assert not [line for line in lines if MARK in line or "=" not in line]
    wanted = {"OMP_NUM_THREADS=2", "SLURM_JOB_NAME=two\\nlines", "NCCL_DEBUG=WARN", "SLURM_JOB_ID=7"}
    assert wanted | {"WEIGHTSCOPE_DATA=store://***@host/data"} <= set(lines)
    assert [line for line in lines if line.startswith("PATH=")]
    assert file.stat().st_mode & 0o077 == 0
