"""What happens to real runs: ranks that are killed or stop, time that runs out. Nothing is lost, nobody is left."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import h5py
import pytest
from compare import experiment_differences, same_bits, state, status
from program import HELD, SLOWNESS, Program, abandoned_segments, until
from weightscope.live import state as live

LONG = {"train__steps": 100, "schedule__name": "constant", "checkpoint__every": 5, "eval__every": 100}
MODES = [{}, {"parallel__shared_memory": "off"}]


def expect_the_undisturbed(
    program: Program, tiny: Path, last: int, settings: dict[str, object], *, same_config: bool = True
) -> None:
    """The run ended with the state and the record of one to which nothing happened."""
    whole, run = program.trained(tiny, "whole", 2, **settings), program.folder / "run"
    assert same_bits(state(whole, last), state(run, last)) == []
    assert experiment_differences(whole / "experiment.h5", run / "experiment.h5", same_config=same_config) == []
    assert status(run) == "finished"


@pytest.mark.parametrize(
    ("rank", "number", "mode"),
    [
        (0, signal.SIGKILL, MODES[0]),
        (1, signal.SIGKILL, MODES[1]),
        (0, signal.SIGSEGV, MODES[1]),
        (1, signal.SIGSEGV, MODES[0]),
    ],
)
def test_a_rank_that_dies_takes_the_job_with_it_and_nothing_else(
    program: Program, tiny: Path, rank: int, number: signal.Signals, mode: dict[str, object]
) -> None:
    running = program.start(tiny, "run", 2, fault=HELD, **LONG, **mode)
    running.holds()
    began = time.monotonic()
    os.kill(running.ranks[rank], number)
    running.go_on()
    ended = running.wait(30)
    assert time.monotonic() - began < 5 * SLOWNESS
    assert ended.code not in (0, 75)
    assert f"signal {number.value}" in ended.err  # mpirun names rank and host
    if (rank, number) == (1, signal.SIGKILL):
        program(*running.words, ranks=2)
        expect_the_undisturbed(program, tiny, 100, {**LONG, **mode})
    else:
        program("inspect", "run")


def test_killed_ranks_leave_no_shared_memory(program: Program, tiny: Path) -> None:
    before = abandoned_segments()
    for number, backing in enumerate(("auto", "window", "memfd", "off")):
        killed = program.train(
            tiny,
            f"run-{backing}",
            ranks=2,
            check=False,
            fault=f"exchange:{number % 2}:8:kill",
            parallel__shared_memory=backing,
        )
        assert killed.code not in (0, 2, 75), killed.err
        assert len(program.log(f"run-{backing}")) >= 7
    until(lambda: abandoned_segments() <= before)  # files of others come and go


@pytest.mark.parametrize("mode", MODES, ids=["memory", "messages"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_stops_is_noticed_in_time(program: Program, tiny: Path, rank: int, mode: dict[str, object]) -> None:
    fault = f"forward:{rank}:40:stop"
    running = program.start(tiny, "run", 2, fault=fault, **LONG, **mode, parallel__timeout_s=2)
    running.holds(rank)
    began = (program.folder / "run/log.jsonl").stat().st_mtime  # its last row is that of the step before
    ended = running.wait(30)
    assert 1.5 < time.time() - began < 15 * SLOWNESS
    assert ended.code == 9, ended.err
    assert f"rank {1 - rank} " in ended.err
    assert "MPI_" in ended.err
    assert "parallel.timeout_s = 2" in ended.err
    assert "last good checkpoint: " in ended.err
    program("inspect", "run")


@pytest.mark.parametrize("mode", MODES, ids=["memory", "messages"])
@pytest.mark.parametrize(("where", "action"), [("forward", "hang"), ("collective", "corrupt")])
def test_ranks_that_miss_a_collective_are_noticed(
    program: Program, tiny: Path, where: str, action: str, mode: dict[str, object]
) -> None:
    """One hangs in its own code; one calls another collective than the others. All that wait say in which call."""
    lost = program.train(
        tiny, "run", ranks=2, check=False, fault=f"{where}:1:8:{action}", parallel__timeout_s=2, **mode
    )
    assert lost.code == 9, lost.err
    step = {"forward": 8, "collective": 7}[where]  # the latter after the update with index 7
    pattern = r"rank (\d) \(.+\), step (\d+): has waited .* s for the other ranks in call \d+, MPI_\w+ of \d+ bytes"
    waiting = {int(rank): int(at) for rank, at in re.findall(pattern, lost.err)}
    assert waiting == ({0: step} if where == "forward" else {0: step, 1: step}), lost.err


def test_a_slow_rank_is_waited_for(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", ranks=2, fault="forward:1:8:slow", parallel__timeout_s=4)
    expect_the_undisturbed(program, tiny, 12, {}, same_config=False)


def test_a_suspended_job_goes_on(program: Program, tiny: Path) -> None:
    running = program.start(tiny, "run", 2, fault=HELD, **LONG, parallel__timeout_s=3)
    running.holds()
    for pid in running.ranks:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4)
    running.go_on()
    ended = running.wait(60)
    assert ended.code == 0, ended.err
    expect_the_undisturbed(program, tiny, 100, LONG, same_config=False)


def test_time_that_runs_out_ends_with_75_and_loses_nothing(program: Program, tiny: Path) -> None:
    limited = {**LONG, "checkpoint__every": 100}
    first = program.train(
        tiny, "run", ranks=2, check=False, fault="forward:1:20:slow", **limited, train__max_seconds=1.5
    )
    assert first.code == 75, first.err
    assert "state saved" in first.err
    assert 0 < len(program.log("run")) <= 21
    program.train(tiny, "run", ranks=2, **limited)
    expect_the_undisturbed(program, tiny, 100, LONG, same_config=False)


@pytest.mark.parametrize("mode", MODES, ids=["memory", "messages"])
@pytest.mark.parametrize(
    ("where", "action"),
    [("forward", "abort"), ("forward", "throw"), ("exchange", "exit"), ("snapshot", "kill"), ("checkpoint", "segv")],
)
def test_a_fault_anywhere_ends_the_job_and_loses_nothing(
    program: Program, tiny: Path, where: str, action: str, mode: dict[str, object]
) -> None:
    step = 6 if where == "checkpoint" else 8
    failed = program.train(tiny, "run", ranks=2, check=False, fault=f"{where}:1:{step}:{action}", **mode)
    assert failed.code not in (0, 2, 75), failed.err
    assert len(program.log("run")) >= step - 1
    # Who died where: itself, where it still could, and in any case a rank that waited for it.
    host = socket.gethostname()
    if action in ("abort", "segv"):
        assert f"rank 1 ({host}), step " in failed.err
        assert "died of signal" in failed.err
    if action != "throw":
        assert f"rank 0 ({host}), step " in failed.err
        assert "it may have lost one of them" in failed.err
        if action != "segv" or SLOWNESS == 1:  # AddressSanitizer makes an exit of it
            assert "process rank 1 " in failed.err  # mpirun
    if action == "throw":
        assert failed.code == 70
        assert "thrown by a test at forward" in failed.err
    program.train(tiny, "run", ranks=2, **mode)
    expect_the_undisturbed(program, tiny, 12, mode)


@pytest.mark.parametrize("backing", ["window", "memfd", "off"])
@pytest.mark.parametrize("place", ["start:1:0", "forward:1:8"])
def test_a_rank_that_fails_alone_says_why_before_anyone_waits_in_vain(
    program: Program, tiny: Path, place: str, backing: str
) -> None:
    """What it holds in common with the others cannot be given back without them: they do not come."""
    mode = {"parallel__shared_memory": backing, "parallel__timeout_s": 20}
    failed = program.train(tiny, "run", ranks=2, check=False, fault=f"{place}:throw", **mode)
    assert failed.code == 70, failed.err  # 9, where it waits
    assert f"thrown by a test at {place.partition(':')[0]}" in failed.err
    program.train(tiny, "run", ranks=2, **mode)
    expect_the_undisturbed(program, tiny, 12, {"parallel__shared_memory": backing}, same_config=False)


def test_what_is_not_finite_is_left_out_or_ends_the_run(program: Program, tiny: Path) -> None:
    stopped = program.train(tiny, "stopped", ranks=2, check=False, fault="exchange:1:7:corrupt")
    assert stopped.code == 7, stopped.err
    skipped = program.train(tiny, "skipped", ranks=2, fault="exchange:1:7:corrupt", train__nonfinite="skip")
    assert "loss is not finite at step 7; its update is left out" in skipped.err
    assert [row["step"] for row in program.log("skipped", "alarm")] == [7]
    program.trained(tiny, "whole", 2)
    before = [row["loss"] for row in program.log("whole")][:7]
    rows = [row["loss"] for row in program.log("skipped")]
    assert rows[:7] == before
    assert rows[7] is None
    assert all(loss is not None for loss in rows[8:])
    assert rows[8:] != [row["loss"] for row in program.log("whole")][8:]


def test_what_is_never_finite_is_left_out_ten_times_and_no_more(program: Program, tiny: Path) -> None:
    settings = {"optimizer__lr": 1000, "train__grad_clip": 0, "model__dropout": 0, "optimizer__weight_decay": 10}
    failed = program.train(
        tiny,
        "run",
        ranks=2,
        check=False,
        train__steps=200,
        train__nonfinite="skip",
        monitor__alarms="[]",
        **settings,
    )
    assert failed.code == 7, failed.err
    assert ", after 10 updates left out in a row" in failed.err
    rows = program.log("run", "alarm")
    assert [row["severity"] for row in rows][-11:] == ["warning"] * 10 + ["error"]
    last = rows[-1]["step"]
    assert [row["step"] for row in rows][-11:] == list(range(last - 10, last + 1))
    assert failed.err.count("its update is left out") == len(rows) - 1
    assert status(program.folder / "run") == "failed"


@pytest.mark.parametrize("mode", MODES, ids=["memory", "messages"])
@pytest.mark.parametrize(("where", "what"), [("exchange", "loss"), ("gradient", "gradient norm")])
def test_what_is_not_finite_once_can_be_rolled_back(
    program: Program, tiny: Path, where: str, what: str, mode: dict[str, object]
) -> None:
    """Back to the checkpoint of step 6, and on as if nothing had happened; but the alarm stays on record."""
    program.trained(tiny, "whole", 2, **mode)
    fault = f"{where}:1:7:corrupt"
    again = program.train(tiny, "run", ranks=2, fault=fault, train__nonfinite="rollback", **mode)
    assert f"{what} is not finite at step 7; back to step 6" in again.err
    whole, run = program.folder / "whole", program.folder / "run"
    assert same_bits(state(whole, 12), state(run, 12)) == []
    differ = experiment_differences(whole / "experiment.h5", run / "experiment.h5", same_config=False)
    assert differ
    assert all(name.startswith("alarms") for name in differ)
    with h5py.File(run / "experiment.h5") as file:
        assert list(file["segments/start_step"]) == [0, 6]
        assert file["segments/status"].asstr()[0] == "rolled back"


def segments(run: Path, column: str) -> list:
    with h5py.File(run / "experiment.h5") as file:
        return file[f"segments/{column}"][()].tolist()


def test_each_job_counts_its_own_steps_and_seconds(program: Program, tiny: Path) -> None:
    """Also one that is killed before it has done anything. Meanwhile the run is shown, its newest snapshot in tail/."""
    run = program.folder / "run"
    settings = {"schedule__name": "constant", "monitor__every": 50, "checkpoint__every": 10**6, "train__steps": 10**6}
    running = program.start(tiny, "run", 1, steps=60, **settings)
    shown = live.state(run)
    assert (shown["status"], bool(shown["payload"])) == ("running", True), shown.get("message")
    time.sleep(2)
    os.kill(running.ranks[0], signal.SIGTERM)
    assert running.wait(60).code == 75
    again = program.start(tiny, "run", 1, steps=0, **settings)
    until(lambda: len(segments(run, "status")) == 2)
    os.kill(again.ranks[0], signal.SIGKILL)
    again.wait(60)
    done = segments(run, "end_step")[0]
    program.train(tiny, "run", **(settings | {"train__steps": done + 20}))
    assert segments(run, "start_step") == [0, done, done]
    assert segments(run, "end_step") == [done, done, done + 20]
    seconds = segments(run, "seconds")
    assert seconds[0] > 2
    assert max(seconds[1:]) < seconds[0], "and not those of the first"


def test_what_is_not_finite_again_after_a_rollback_ends_the_run(program: Program, tiny: Path) -> None:
    """A cause that lies in the run itself: the same step fails once more."""
    settings = {"optimizer__lr": 1000, "train__grad_clip": 0, "model__dropout": 0, "optimizer__weight_decay": 10}
    failed = program.train(tiny, "run", ranks=2, check=False, train__steps=200, train__nonfinite="rollback", **settings)
    assert failed.code == 7, failed.err
    assert "once more after it was computed again" in failed.err
    assert status(program.folder / "run") == "failed"
