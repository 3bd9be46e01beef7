"""What happens to real runs: ranks that are killed or stop, time that runs out. Nothing is lost, nobody is left."""

import os
import signal
import time
from pathlib import Path

import pytest
from compare import same_bits, state
from conftest import Program

LONG = {"train__steps": 400, "schedule__name": "constant", "checkpoint__every": 5, "eval__every": 400}
MODES = [{}, {"parallel__shared_memory": "off"}]


def finish_and_compare(program: Program, tiny: Path, words: list[str], settings: dict[str, object]) -> None:
    """The same command again ends with the weights of a run to which nothing happened."""
    program(*words, ranks=2)
    program.train(tiny, "whole", ranks=2, **settings)
    assert same_bits(state(program.folder / "whole", 400), state(program.folder / "run", 400)) == []


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
    running = program.start(tiny, "run", 2, **LONG, **mode)
    os.kill(running.ranks[rank], number)
    began = time.monotonic()
    ended = running.wait(30)
    assert time.monotonic() - began < 5
    assert ended.code not in (0, 75)
    assert f"signal {number.value}" in ended.err  # mpirun names rank and host
    if (rank, number) == (1, signal.SIGKILL):
        finish_and_compare(program, tiny, running.words, {**LONG, **mode})
    else:
        program("inspect", "run")


@pytest.mark.parametrize("mode", MODES, ids=["memory", "messages"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_stops_is_noticed_in_time(program: Program, tiny: Path, rank: int, mode: dict[str, object]) -> None:
    running = program.start(tiny, "run", 2, **LONG, **mode, parallel__timeout_s=2)
    os.kill(running.ranks[rank], signal.SIGSTOP)
    began = time.monotonic()
    ended = running.wait(30)
    assert 1.5 < time.monotonic() - began < 15
    assert ended.code == 9, ended.err
    assert f"rank {1 - rank} " in ended.err
    assert "MPI_" in ended.err
    assert "parallel.timeout_s = 2" in ended.err
    assert "last good checkpoint: " in ended.err
    program("inspect", "run")


def test_a_suspended_job_goes_on(program: Program, tiny: Path) -> None:
    running = program.start(tiny, "run", 2, **LONG, parallel__timeout_s=2)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in running.ranks:
            os.kill(pid, number)
        time.sleep(5 if number == signal.SIGSTOP else 0)
    ended = running.wait(60)
    assert ended.code == 0, ended.err


def test_time_that_runs_out_ends_with_75_and_loses_nothing(program: Program, tiny: Path) -> None:
    limited = {**LONG, "train__steps": 400, "checkpoint__every": 400}
    first = program.train(tiny, "run", ranks=2, check=False, **limited, train__max_seconds=0.5)
    assert first.code == 75, first.err
    assert "state saved" in first.err
    assert 0 < len(program.log("run")) < 400
    program.train(tiny, "run", ranks=2, **limited)
    program.train(tiny, "whole", ranks=2, **limited)
    assert same_bits(state(program.folder / "whole", 400), state(program.folder / "run", 400)) == []
