"""Disks that are full, read-only or failing: what is committed stays, and a patient run loses nothing at all."""

import contextlib
import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from compare import checkpoint, experiment_differences, same_bits, state, status
from crash_points import KINDS, SHIM, Trace
from program import HELD, Program, Result, shelf, until, write_tiny

SETTINGS = {"train__steps": 8, "checkpoint__every": 4, "schedule__name": "constant"}
ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS")


def train(
    program: Program, tiny: Path, run: str, shim: dict[str, object], ranks: int = 1, **settings: object
) -> Result:
    folder = program.folder / run
    variables = {f"SHIM_{key}": str(value) for key, value in shim.items()}
    variables |= {"SHIM_UNDER": str(folder), "SHIM_SYNC": "off", "LD_PRELOAD": str(SHIM)} if shim else {}
    os.environ.update(variables)
    try:
        return program.train(tiny, run, ranks=ranks, check=False, **(SETTINGS | settings))
    finally:
        for name in variables:
            del os.environ[name]


def same(program: Program, run: str) -> list[str]:
    whole, other = program.folder / "whole", program.folder / run
    return same_bits(state(whole, 8), state(other, 8)) + experiment_differences(
        whole / "experiment.h5", other / "experiment.h5"
    )


@pytest.fixture
def whole(program: Program, tiny: Path) -> Path:
    return program.trained(tiny, "whole", **SETTINGS)


@functools.cache
def operations(kind: str) -> list[tuple[int, str, int, str]]:
    """Those of a run that nothing happens to."""
    program = Program(shelf() / f"counted-{kind}")
    trace = shelf() / f"{kind}.trace"
    assert train(program, write_tiny(program.folder), "run", {"MATCH": KINDS[kind], "TRACE": trace}).code == 0
    found = Trace.read(trace).operations
    assert len(found) > 5
    return found


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_disk_that_fails_for_a_moment_costs_a_patient_run_nothing(
    program: Program, tiny: Path, whole: Path, kind: str
) -> None:
    points = operations(kind)
    stride = max(1, len(points) // int(os.environ.get("WEIGHTSCOPE_FAULT_POINTS", "6")))
    met = 0
    for number, name, _, path in points[stride // 2 :: stride]:
        error = ERRORS[number % 4]
        run = f"run-{number}"
        shim = {"MATCH": KINDS[kind], "AT": number, "DO": error, "TIMES": 2}
        ended = train(program, tiny, run, shim)
        what = f"{error} at {kind} {number}: {name} {path}: {ended.err}"
        met += ended.code == 5 or "warning" in ended.err
        if ended.code == 5:  # before step 1 there is nothing to lose: preflight and set-up do not insist
            log = program.folder / run / "log.jsonl"
            assert not log.exists() or '"event":"train"' not in log.read_text(), what
            assert train(program, tiny, run, {}).code == 0, what
        else:
            assert ended.code == 0, what
            assert ended.err.count("warning") <= 2, what
        assert same(program, run) == [], what
    assert met > 0, "no fault was met"


@pytest.mark.parametrize("kind", ["record", "checkpoints"])
def test_a_disk_that_stays_full_ends_with_5_and_nothing_committed_is_lost(
    program: Program, tiny: Path, whole: Path, kind: str
) -> None:
    points = operations(kind)
    middle = next(number for number, name, _, path in points if number > len(points) // 2 and "write" in name)
    shim = {"MATCH": KINDS[kind], "AT": middle, "DO": "ENOSPC", "TIMES": 0}
    patient = train(program, tiny, "patient", shim)
    assert patient.code == 5, patient.err
    assert len(program.log("patient")) == 8  # trained to the end all the same
    assert 1 <= patient.err.count("training goes on") <= 2  # said once of the record, once of the checkpoint
    strict = train(program, tiny, "strict", shim, train__write_errors="abort")
    assert strict.code == 5, strict.err
    assert "training goes on" not in strict.err
    for run, result in (("patient", patient), ("strict", strict)):
        assert str(program.folder / run) in result.err or f"{run}/" in result.err
        assert train(program, tiny, run, {}).code == 0
        assert same(program, run) == []


def test_a_run_rolls_back_to_a_checkpoint_that_was_written(program: Program, tiny: Path) -> None:
    """That of step 6 cannot be: step 7 is not finite, and training goes on from step 3."""
    shim = {"MATCH": "step-00000006", "AT": 1, "DO": "ENOSPC", "TIMES": 0}
    settings = {"train__steps": 12, "checkpoint__every": 3, "train__nonfinite": "rollback"}
    ended = train(program, tiny, "run", shim, ranks=2, fault="exchange:1:7:corrupt", **settings)
    assert "is not finite at step 7; back to step 3" in ended.err
    assert ended.code == 0, ended.err
    whole, run = program.trained(tiny, "whole", 2, **(SETTINGS | settings)), program.folder / "run"
    assert same_bits(state(whole, 12), state(run, 12)) == []
    differ = experiment_differences(whole / "experiment.h5", run / "experiment.h5")
    assert differ
    assert all(name.startswith("alarms") for name in differ), differ


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for eight megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=False).returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_noticed_before_the_first_step(program: Program, tiny: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(8 * 2**20 - 100_000))
    refused = program.train(tiny, str(small_disk / "run"), check=False)
    assert refused.code == 5
    assert "no room in" in refused.err
    assert "free" in refused.err
    assert not (small_disk / "run/experiment.h5").exists()


def test_room_made_on_a_full_disk_lets_the_run_complete_itself(program: Program, tiny: Path, small_disk: Path) -> None:
    """A real one: the disk fills up while two ranks train, and is freed while they go on."""
    run = small_disk / "run"
    running = program.start(
        tiny, str(run), 2, fault=HELD, train__steps=600, monitor__every=50, checkpoint__every=50, checkpoint__keep=1
    )
    running.holds()
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    running.go_on()
    until(lambda: "training goes on" in running.said())
    filler.unlink()
    ended = running.wait(60)
    assert ended.code == 0, ended.err
    program("inspect", run)
    assert [row["step"] for row in program.log(str(run))] == list(range(600))
    assert status(run) == "finished"
    assert (checkpoint(run, 600) / "manifest.json").exists()


def test_what_a_killed_writer_left_is_no_reason_to_refuse(program: Program, tiny: Path, small_disk: Path) -> None:
    run = small_disk / "run"
    program.train(tiny, str(run), train__steps=6)
    left = run / "checkpoints/.tmp-step-00000008"
    left.mkdir()
    with (left / "model.safetensors").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    ended = program.train(tiny, str(run), check=False, train__steps=12)
    assert ended.code == 0, ended.err
    assert not left.exists()
    assert status(run) == "finished"


def test_a_read_only_directory_is_refused(program: Program, tiny: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    refused = program.train(tiny, str(small_disk / "run"), check=False)
    assert refused.code == 5
    assert "Read-only file system" in refused.err
