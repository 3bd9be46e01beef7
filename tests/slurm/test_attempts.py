"""Jobs that Slurm wants to end: they save, are put back into the queue and end as if nothing had happened."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
from cluster import Cluster, until
from jobs import STEPS, WAITS, Desk, Job, finished_undisturbed


@pytest.fixture(scope="session", autouse=True)
def limited(cluster: Cluster, material: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A job that Slurm will warn of its time limit. Slurm looks only every 30 s: the other tests use that time.
    Meanwhile its ranks are suspended, so that they do not finish first."""
    folder = tmp_path_factory.mktemp("limited")
    for name in ("tiny.yaml", "data"):
        (folder / name).symlink_to(material / name)
    job = Desk(cluster, folder).train(nodes=1, tasks=2, **WAITS)
    job.trains()
    with job.held():
        cluster.run("scontrol", "update", f"jobid={job.number}", "EndTime=now+310")
        yield job


@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
def test_a_told_job_saves_and_goes_on(desk: Desk, whole: Path, launcher: str) -> None:
    job = desk.train(WEIGHTSCOPE_LAUNCHER=launcher, **WAITS)
    job.trains()
    with job.held() as pids:
        job.told(pids)
    job.again()
    finished_undisturbed(job, whole, ["stopped", "finished"])
    with h5py.File(job.run / "experiment.h5") as file:
        assert file["segments/status"].asstr()[0] == "stopped"
        assert 25 <= file["segments/end_step"][0] < STEPS


def test_a_preempted_job_makes_room_and_goes_on(desk: Desk, whole: Path) -> None:
    job = desk.train("--partition=low", "--nodelist=n3,n4", "--exclusive", **WAITS)
    job.trains()
    asked = ("--parsable", "--partition=high", "--nodelist=n3", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    with job.held():  # Slurm itself tells the ranks, and lets them go on
        urgent = desk.cluster.run("sbatch", *asked).strip()
        until(lambda: job.facts.get("PreemptTime", "None") != "None", 30, "preemption")
    job.again()
    other = Job(desk.cluster, urgent, desk.folder / "none", desk.folder / "none")
    other.ends("COMPLETED")
    finished_undisturbed(job, whole, ["stopped", "finished"])


@pytest.mark.parametrize("script_told", [False, True], ids=["plain", "while-saving"])
def test_a_cancelled_job_stays_cancelled(desk: Desk, script_told: bool) -> None:
    job = desk.train(nodes=1, tasks=2)
    job.trains()
    desk.cluster.run("scancel", *(["--full"] if script_told else []), job.number)
    until(lambda: "not requeued" in job.said(), 30, "last words of the script")
    job.ends("CANCELLED")
    assert job.restarts == 0
    assert not job.ranks()


def test_before_its_time_is_over_a_job_saves_and_goes_on(limited: Job, cluster: Cluster, whole: Path) -> None:
    pids = list(limited.ranks().values())
    limited.has_heard(pids, 60)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    until(lambda: limited.restarts == 1, 60, "requeue", limited.story)
    cluster.run("scontrol", "update", f"jobid={limited.number}", "TimeLimit=60")
    limited.again()
    finished_undisturbed(limited, whole, ["stopped", "finished"])
