"""Jobs that fail: tried again where that may help, and not for ever."""

import os
import signal
from pathlib import Path

import pytest
from cluster import Cluster, until
from compare import same_bits, state
from jobs import SETTINGS, STEPS, Desk, finished_undisturbed, plain
from program import Program


@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
def test_a_job_goes_on_where_there_is_power(desk: Desk, apart: Cluster, whole: Path, launcher: str) -> None:
    job = desk.train(WEIGHTSCOPE_LAUNCHER=launcher)
    job.trains()
    victim = job.nodes()[-1]
    apart.power_off(victim)
    try:
        if launcher == "mpirun":  # notices before Slurm does, and the script asks for another attempt
            until(lambda: "checkpoint step-" in job.said() and job.state != "RUNNING", 30, "the end of mpirun")
        # What Slurm finds out by itself after SlurmdTimeout.
        apart.run("scontrol", "update", f"nodename={victim}", "state=down", "reason=test")
        job.again()
        job.ends("COMPLETED")
    finally:
        apart.power_on(victim)
    assert victim not in job.nodes(1)
    # Slurm requeues an srun job itself, without a verdict.
    failed = {"srun": [], "mpirun": ["205"]}[launcher]
    assert [row["code"] for row in job.attempts()[:-1]] == failed, f"{job.story()}\n{apart.logs()}"
    assert job.verdicts() == ["failed"] * len(failed) + ["finished"]
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


@pytest.mark.parametrize(
    ("settings", "code", "why"),
    [
        ({"model.heads": 3}, 2, "model.heads = 3 does not divide"),  # found before ranks are started
        ({"data.train": "nowhere.bin"}, 3, "nowhere.bin"),
    ],
    ids=["configuration", "data"],
)
def test_what_would_fail_again_is_not_tried_again(desk: Desk, settings: dict[str, object], code: int, why: str) -> None:
    job = desk.train(nodes=1, settings=settings)
    job.ends("FAILED")
    assert job.facts["ExitCode"] == f"{code}:0"
    assert job.restarts == 0
    assert why in job.said()


def test_a_finished_run_is_finished_only_with_the_configuration_that_it_had(desk: Desk) -> None:
    Program(desk.folder).train("tiny.yaml", "run", **plain(SETTINGS))
    other = desk.train(nodes=1, settings={"optimizer.lr": 0.5})
    other.ends("FAILED")
    assert other.facts["ExitCode"] == "4:0"
    assert other.verdicts() == ["refused"]
    assert "record finished" in other.said()
    same = desk.train(nodes=1)
    same.ends("COMPLETED")
    assert same.verdicts() == ["refused", "finished"]


def test_a_job_that_an_alarm_stopped_waits_for_somebody_to_look(desk: Desk) -> None:
    alarms = "[{rule: update_ratio, low: 1, high: 2, action: stop}]"
    job = desk.train(nodes=1, settings={"monitor.alarms": alarms})
    job.ends("FAILED")
    assert job.facts["ExitCode"] == "7:0"
    assert job.restarts == 0
    assert job.verdicts() == ["refused"]
    assert "record stopped" in job.said()
    assert "stopped by an alarm after step" in job.said()
    looked = desk.train(nodes=1, settings={"monitor.alarms": "[]"})
    looked.ends("COMPLETED")
    assert looked.verdicts()[-1] == "finished"


def test_the_record_of_an_earlier_attempt_says_nothing_about_this_one(desk: Desk) -> None:
    """A run that was once told to stop, and now a site file with which no step can be started."""
    stopped = Program(desk.folder).train(
        "tiny.yaml", "run", check=False, train__steps=STEPS, train__max_seconds=1e-6, schedule__name="constant"
    )
    assert stopped.code == 75
    (desk.folder / "site.sh").write_text("srun_options=(--nodelist=nowhere)\n")
    job = desk.train(nodes=1, WEIGHTSCOPE_SITE=str(desk.folder / "site.sh"), WEIGHTSCOPE_FAILURES="1")
    job.ends("FAILED")
    assert job.verdicts() == ["failed"]
    assert "given up after 1 failures" in job.said()
