"""Every way to ask a run to stop: agreed by all ranks at one step, saved, code 75, and nothing is lost."""

import itertools
import os
import signal
from pathlib import Path

import pytest
from compare import experiment_differences, same_bits, state, status
from program import HELD, Program, Result, Running, has_pending, is_suspended, until

SETTINGS = {"train__steps": 100, "schedule__name": "constant", "checkpoint__every": 10, "eval__every": 100}
MOMENTS = ["running", "starting", "in a checkpoint", "twice"]
TARGETS = ["one rank", "all ranks", "mpirun"]
NUMBERS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM]
# Each moment with each target; the signals take turns, WEIGHTSCOPE_ALL_SIGNALS=1 tries all. TERM to mpirun is another
# thing: it kills its ranks a second later.
ALL = [case for case in itertools.product(MOMENTS, TARGETS, NUMBERS) if case[1:] != ("mpirun", signal.SIGTERM)]
SOME = [
    (moment, target, NUMBERS[(i + j) % (2 if target == "mpirun" else 3)])
    for i, moment in enumerate(MOMENTS)
    for j, target in enumerate(TARGETS)
]
CASES = ALL if os.environ.get("WEIGHTSCOPE_ALL_SIGNALS") else SOME


def tell(running: Running, target: str, number: signal.Signals) -> None:
    pids = {"one rank": running.ranks[1:], "all ranks": running.ranks, "mpirun": [running.process.pid]}[target]
    for pid in pids:
        os.kill(pid, number)


def let_it_end(running: Running) -> Result:
    """Rank 0 may suspend itself at any time until it has heard of the signal."""
    until(lambda: running.process.poll() is not None or bool(running.go_on()), 60)
    return running.wait(10)


def goes_on_as_if_nothing_had_happened(program: Program, tiny: Path, running: Running) -> None:
    program(*running.words, ranks=2)
    whole, run = program.trained(tiny, "whole", 2, **SETTINGS), program.folder / "run"
    assert same_bits(state(whole, 100), state(run, 100)) == []
    assert experiment_differences(whole / "experiment.h5", run / "experiment.h5") == []
    assert status(run) == "finished"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2].name}")
def test_a_signal_saves_and_ends_with_75(program: Program, tiny: Path, case: tuple[str, str, signal.Signals]) -> None:
    moment, target, number = case
    fault = "forward:0:95:stop" if moment == "in a checkpoint" else HELD
    running = program.start(tiny, "run", 2, steps=0 if moment == "starting" else 6, fault=fault, **SETTINGS)
    if moment == "in a checkpoint":
        until(lambda: any((program.folder / "run/checkpoints").glob(".tmp-*")))
    elif moment != "starting":
        running.holds()
    tell(running, target, number)
    if moment == "twice":
        tell(running, target, number)
    if target == "mpirun" and is_suspended(running.ranks[0]):
        until(lambda: has_pending(running.ranks[0], number))
    ended = let_it_end(running)
    assert ended.code == 75, ended.err
    assert "state saved" in ended.err
    done = len(program.log("run"))
    assert (program.folder / f"run/checkpoints/step-{done:08d}/manifest.json").exists()
    goes_on_as_if_nothing_had_happened(program, tiny, running)


@pytest.mark.parametrize("steps", [0, 6], ids=["starting", "running"])
def test_what_an_impatient_launcher_kills_loses_nothing_either(program: Program, tiny: Path, steps: int) -> None:
    """mpirun passes TERM on and kills a second later, whatever its ranks are doing."""
    running = program.start(tiny, "run", 2, steps=steps, fault=HELD, **SETTINGS)
    tell(running, "mpirun", signal.SIGTERM)
    assert let_it_end(running).code != 0
    goes_on_as_if_nothing_had_happened(program, tiny, running)
