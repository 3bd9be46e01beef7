"""Every way to ask a run to stop: agreed by all ranks at one step, saved, code 75, and nothing is lost."""

import itertools
import os
import signal
from pathlib import Path

import pytest
from compare import experiment_differences, same_bits, state
from program import Program, Running, until, write_tiny

SETTINGS = {"train__steps": 150, "schedule__name": "constant", "checkpoint__every": 10, "eval__every": 150}
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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = Program(tmp_path_factory.mktemp("undisturbed"))
    program.train(write_tiny(program.folder), "run", ranks=2, **SETTINGS)
    return program.folder / "run"


def tell(running: Running, target: str, number: signal.Signals) -> None:
    pids = {"one rank": running.ranks[1:], "all ranks": running.ranks, "mpirun": [running.process.pid]}[target]
    for pid in pids:
        os.kill(pid, number)


def goes_on_as_if_nothing_had_happened(program: Program, running: Running, undisturbed: Path) -> None:
    program(*running.words, ranks=2)
    run = program.folder / "run"
    assert same_bits(state(undisturbed, 150), state(run, 150)) == []
    assert experiment_differences(undisturbed / "experiment.h5", run / "experiment.h5") == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2].name}")
def test_a_signal_saves_and_ends_with_75(
    program: Program, tiny: Path, undisturbed: Path, case: tuple[str, str, signal.Signals]
) -> None:
    moment, target, number = case
    running = program.start(tiny, "run", 2, steps=0 if moment == "starting" else 6, **SETTINGS)
    if moment == "in a checkpoint":
        until(lambda: any((program.folder / "run/checkpoints").glob(".tmp-*")))
    tell(running, target, number)
    if moment == "twice":
        tell(running, target, number)
    ended = running.wait(60)
    assert ended.code == 75, ended.err
    assert "state saved" in ended.err
    done = len(program.log("run"))
    assert (program.folder / f"run/checkpoints/step-{done:08d}/manifest.json").exists()
    goes_on_as_if_nothing_had_happened(program, running, undisturbed)


@pytest.mark.parametrize("steps", [0, 6], ids=["starting", "running"])
def test_what_an_impatient_launcher_kills_loses_nothing_either(
    program: Program, tiny: Path, undisturbed: Path, steps: int
) -> None:
    """mpirun passes TERM on and kills a second later, whatever its ranks are doing."""
    running = program.start(tiny, "run", 2, steps=steps, **SETTINGS)
    tell(running, "mpirun", signal.SIGTERM)
    assert running.wait(60).code != 0
    goes_on_as_if_nothing_had_happened(program, running, undisturbed)
