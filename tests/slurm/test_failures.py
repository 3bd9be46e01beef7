"""Jobs that fail: tried again where that may help, and not for ever."""

import os
import signal
from pathlib import Path

import pytest
from cluster import Cluster
from compare import same_bits, state
from jobs import STEPS, Desk, finished_undisturbed


def test_a_job_goes_on_where_there_is_power(desk: Desk, apart: Cluster, whole: Path) -> None:
    job = desk.train()
    job.trains()
    victim = job.nodes()[-1]
    apart.power_off(victim)
    try:
        # What Slurm finds out by itself after SlurmdTimeout.
        apart.run("scontrol", "update", f"nodename={victim}", "state=down", "reason=test")
        job.again()
        job.ends("COMPLETED")
    finally:
        apart.power_on(victim)
    assert victim not in job.nodes(1)
    assert job.verdicts()[-1] == "finished"
    assert same_bits(state(whole, STEPS), state(job.run, STEPS)) == []
    assert job.segments() == [(job.number, 0, 2), (job.number, 1, 2)]


def test_a_killed_rank_is_one_more_attempt(desk: Desk, whole: Path) -> None:
    job = desk.train()
    job.trains()
    os.kill(job.ranks()[1], signal.SIGKILL)
    job.again()
    finished_undisturbed(job, whole, ["failed", "finished"])


@pytest.mark.parametrize("cap", [{"WEIGHTSCOPE_FAILURES": "2"}, {"WEIGHTSCOPE_RESTARTS": "1"}], ids=["failures", "all"])
def test_a_rank_that_always_dies_ends_the_job_at_the_cap(desk: Desk, cap: dict[str, str]) -> None:
    job = desk.train(nodes=1, tasks=2, WEIGHTSCOPE_FAULT="forward:1:3:throw", **cap)
    job.again()
    job.ends("FAILED")
    assert job.restarts == 1
    assert job.facts["ExitCode"] != "0:0"
    assert job.verdicts() == ["failed", "failed"]
    assert "given up" in job.said()


def test_a_configuration_that_is_refused_is_not_tried_again(desk: Desk) -> None:
    job = desk.train(nodes=1, settings={"model.heads": 3})
    job.ends("FAILED")
    assert job.facts["ExitCode"] == "2:0"
    assert job.restarts == 0
    assert not job.run.exists()
    assert "model.heads = 3 does not divide" in job.said()
