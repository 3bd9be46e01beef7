"""Jobs to which nothing happens: the same weights as on one machine, wherever and however they start."""

from pathlib import Path

import pytest
from compare import same_bits, state
from jobs import STEPS, Desk


@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
def test_two_nodes_train_what_one_machine_trains(desk: Desk, whole: Path, launcher: str) -> None:
    job = desk.train(tasks=2, WEIGHTSCOPE_LAUNCHER=launcher)
    job.ends("COMPLETED")
    assert same_bits(state(whole, STEPS), state(job.run, STEPS)) == []
    assert job.segments() == [(job.number, 0, 4)]
    assert job.verdicts() == ["finished"]
