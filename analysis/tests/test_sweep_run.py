"""launch/sweep.py: runs what is left to run, one failure stops nothing, and stopping keeps what was done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from weightscope.sweep import read_sweep
from weightscope.sweep_run import main, share
from weightscope.sweep_state import live_step, state_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LAUNCHER = [sys.executable, str(HERE / "trainer.py")]
BASE = "model: {layers: 2, heads: 1, width: 8}\ntrain: {steps: 9}\noptimizer: {lr: 1e-3}\ninit: {scheme: gpt2}\n"


@pytest.fixture(autouse=True)
def imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer imports the tests' own modules."""
    paths = [str(HERE), str(ROOT / "analysis" / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def write(folder: Path, text: str, steps: int = 3) -> Path:
    (folder / "base.yaml").write_text(BASE)
    path = folder / "sweep.yaml"
    path.write_text(f"name: s\nbase: base.yaml\noutput: {folder}/runs\nset: {{train.steps: {steps}}}\n{text}")
    return path


def starts(folder: Path) -> dict[str, int]:
    return {p.parent.name: len(p.read_text().splitlines()) for p in (folder / "runs").glob("*/started")}


def test_all_runs_are_run_and_the_second_time_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "seeds: [1, 2]\nschemes: [gpt2, article]\n")
    assert main(LAUNCHER, [str(path), "--at-a-time", "2", "--ranks", "3"]) == 0
    said = capsys.readouterr().out
    assert "article-seed-2: starts" in said
    assert "4 of 4 runs finished, 0 going on" in said
    rows = [line for line in said.splitlines() if "3 of 3" in line]
    assert len(rows) == 4
    assert all("finished" in row for row in rows)
    assert starts(tmp_path) == dict.fromkeys(("gpt2-seed-1", "gpt2-seed-2", "article-seed-1", "article-seed-2"), 1)
    assert (tmp_path / "runs" / "gpt2-seed-1" / "started").read_text().startswith("3 ")
    assert main(LAUNCHER, [str(path)]) == 0
    assert set(starts(tmp_path).values()) == {1}


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "seeds: [1]\noverrides: {bad: {optimizer.lr: -1}, good: {optimizer.lr: 0.001}}\n")
    assert main(LAUNCHER, [str(path)]) == 1
    said = capsys.readouterr().out
    assert "bad-seed-1: failed with exit code 2" in said
    assert "optimizer.lr is negative" in said
    assert "good-seed-1: finished" in said
    assert next(line for line in said.splitlines() if line.startswith("bad-seed-1  ")).endswith("2")


@pytest.mark.parametrize("mode", [[], ["--dry-run"]])
def test_nothing_is_started_when_some_run_could_not_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: list[str]
) -> None:
    path = write(tmp_path, "seeds: [1, 2]\noverrides: {good: {}, bad: {optimzer.lr: 0.001}}\n")
    assert main(LAUNCHER, [str(path), *mode]) == 2
    said = capsys.readouterr().err
    assert f"{path}: nothing was started" in said
    assert "\n  bad-seed-1: --set optimzer.lr: unknown key\n" in said
    assert "good" not in said
    assert "bad-seed-2" not in said
    assert not (tmp_path / "runs").exists()


def test_each_kind_of_run_is_checked_once_for_its_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = tmp_path / "checks"
    monkeypatch.setenv("TRAINER_CHECKS", str(checks))
    path = write(tmp_path, "seeds: [1, 2]\nschemes: [gpt2, article]\n")
    assert main(LAUNCHER, [str(path), "--ranks", "3"]) == 0
    assert sorted(checks.read_text().splitlines()) == ["article-seed-1 1 3", "gpt2-seed-1 1 3"]
    assert main(LAUNCHER, [str(path), "--ranks", "3"]) == 0
    assert len(checks.read_text().splitlines()) == 2, "nothing is left to start"


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "seeds: [1]\n", steps=6)
    (tmp_path / "runs" / "seed-1").mkdir(parents=True)
    main(LAUNCHER, [str(write(tmp_path, "seeds: [1]\n", steps=2))])
    write(tmp_path, "seeds: [1]\n", steps=6)
    capsys.readouterr()
    assert state_of(read_sweep(path).trials[0]).word == "begun"  # finished, but more steps are asked for now
    assert main(LAUNCHER, [str(path)]) == 0
    assert "seed-1: goes on from step 2" in capsys.readouterr().out
    assert state_of(read_sweep(path).trials[0]).step == 6


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, "seeds: [1, 2, 3]\n", steps=100)
    code = f"import sys; from weightscope.sweep_run import main; sys.exit(main({LAUNCHER!r}, sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(path), "--at-a-time", "2", "--every", "0.2"]
    slow = {**os.environ, "TRAINER_PAUSE": "0.3"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=slow)
    deadline = time.monotonic() + 60
    while min(live_step(str(tmp_path / "runs" / f"seed-{s}")) for s in (1, 2)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "to go" in said
    assert "saved" in said
    assert "seed-3" not in starts(tmp_path)
    assert main(LAUNCHER, [str(path)]) == 0
    assert starts(tmp_path) == {"seed-1": 2, "seed-2": 2, "seed-3": 1}


def test_other_settings_are_not_taken_for_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(LAUNCHER, [str(write(tmp_path, "seeds: [1]\nschemes: [gpt2]\noverrides: {a: {optimizer.lr: 0.1}}\n"))])
        == 0
    )
    again = write(tmp_path, "seeds: [1]\nschemes: [gpt2]\noverrides: {a: {optimizer.lr: 0.2}}\n")
    assert main(LAUNCHER, [str(again)]) == 1
    assert "optimizer.lr was 0.1, is 0.2" in capsys.readouterr().out
    assert starts(tmp_path) == {"gpt2-a-seed-1": 1}


def test_lists_of_settings_are_compared_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "seeds: [1]\noverrides: {{a: {{optimizer.betas: [0.9, {}]}}}}\n"
    assert main(LAUNCHER, [str(write(tmp_path, text.format(0.95)))]) == 0
    assert main(LAUNCHER, [str(write(tmp_path, text.format(0.950)))]) == 0
    assert main(LAUNCHER, [str(write(tmp_path, text.format(0.99)))]) == 1
    assert "optimizer.betas was [0.9, 0.95], is [0.9, 0.99]" in capsys.readouterr().out


def test_a_dry_run_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(LAUNCHER, [str(write(tmp_path, "seeds: [1, 2]\n")), "--dry-run", "--ranks", "2"]) == 0
    said = capsys.readouterr().out
    assert "seed-2: new, step 0 of 3" in said
    assert f"{LAUNCHER[1]} 2 train {tmp_path}/base.yaml --set name=seed-2 --set seed=2" in said
    assert not (tmp_path / "runs").exists()


def test_trainings_share_out_the_cores() -> None:
    assert [share(range(8), slot, 2) for slot in (0, 1)] == [{0, 1, 2, 3}, {4, 5, 6, 7}]
    assert sorted(core for slot in range(3) for core in share(range(8), slot, 3)) == list(range(8))
    assert share(range(2), 1, 4) == {0, 1}


def test_the_script_finds_its_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "seeds: [1]\n")
    ran = subprocess.run(
        [sys.executable, str(ROOT / "launch" / "sweep.py"), str(path), "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert f"{ROOT}/launch/run.sh 1 train" in ran.stdout


def test_what_cannot_be_read_is_exit_code_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(LAUNCHER, [str(tmp_path / "missing.yaml")]) == 4
    assert "missing.yaml" in capsys.readouterr().err
