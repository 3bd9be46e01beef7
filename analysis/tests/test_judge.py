"""slurm/common.sh, judge: what the record of a run says about an attempt. The program is a stand-in here; tests/slurm
has the real one, and a real Slurm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSPECT = """#!/bin/sh
[ "$1" = inspect ] && cat "$2/facts"
"""
JUDGE = """set -euo pipefail
. "$1/slurm/common.sh"
run=run attempt=run/attempts/7-r0 steps=12 began=then status=$2 told=$3
judge
echo "$verdict"
"""


def judge(
    folder: Path, record: str, age: str, status: int, *, last: int = 11, restarts: int = 0, told: str = ""
) -> str:
    """The verdict on an attempt that ended with `status`. age: of the record, "older" or "newer" than the attempt."""
    attempt, program = folder / "run/attempts/7-r0", folder / "tools/weightscope"
    attempt.mkdir(parents=True)
    program.parent.mkdir()
    program.write_text(INSPECT)
    program.chmod(0o755)
    (folder / "run/facts").write_text(f'{{"status":"{record}","last_step":{last}}}\n')
    for file, when in (("attempts/7-r0/environment.txt", "12:00"), ("experiment.h5", age)):
        time = {"older": "11:00", "newer": "13:00"}.get(when, when)
        subprocess.run(["touch", "-d", f"2026-01-02 {time}", str(folder / "run" / file)], check=True)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    mine |= {"WEIGHTSCOPE_BINARY": str(program), "WEIGHTSCOPE_SITE": "none", "SLURM_JOB_ID": "7"}
    mine |= {"SLURM_JOB_NODELIST": "n1", "SLURM_RESTART_COUNT": str(restarts)}
    words = ["bash", "-c", JUDGE, "judge", str(ROOT), str(status), told]
    done = subprocess.run(words, cwd=folder, env=mine, capture_output=True, text=True, check=False)
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
