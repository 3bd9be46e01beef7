"""Jobs to which nothing happens: the same weights as on one machine, wherever and however they start."""

import json
import platform
from collections import defaultdict
from pathlib import Path

import h5py
import pytest
from cluster import Cluster, until
from compare import experiment_differences, largest_difference, same_bits, state, weights
from jobs import SETTINGS, STEPS, Desk, Job, job_environment, plain
from program import BINARY, ROOT, Program

SCRIPTS = sorted((ROOT / "slurm").glob("*.sbatch"))
PLACES = BINARY.parent / "tests/weightscope_places"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_shipped_script_is_accepted_as_it_is(apart: Cluster, script: Path) -> None:
    array = ("--array=0-29%2",) if script.stem == "sweep" else ()
    answer = apart.run("sbatch", "--test-only", *array, script, "a.yaml")
    assert "to start at" in answer
    if script.stem == "train":
        assert "on nodes n[1-4]" in answer
    bad = apart.run("sbatch", "--test-only", *array, "--nodes=5", script, "a.yaml", check=False)
    assert "not available" in bad  # so the check above can fail


@pytest.fixture(scope="module")
def four(material: Path) -> Path:
    """What four ranks of this machine train."""
    Program(material).train("tiny.yaml", "four", ranks=4, **plain(SETTINGS))
    return material / "four"


@pytest.mark.parametrize(("launcher", "sums"), [("srun", "reproducible"), ("mpirun", "reproducible"), ("srun", "fast")])
def test_two_nodes_train_what_one_machine_trains(desk: Desk, four: Path, launcher: str, sums: str) -> None:
    job = desk.train(tasks=2, settings={"parallel.reduction": sums}, WEIGHTSCOPE_LAUNCHER=launcher)
    job.ends("COMPLETED")
    if sums == "reproducible":
        assert same_bits(state(four, STEPS), state(job.run, STEPS)) == []
        assert experiment_differences(four / "experiment.h5", job.run / "experiment.h5") == []
    else:
        assert largest_difference(weights(four, STEPS), weights(job.run, STEPS)) < 1e-4
    assert job.segments() == [(job.number, 0, 4)]
    with h5py.File(job.run / "experiment.h5") as file:
        hosts = file["segments/hosts"].asstr()[0]
    assert hosts == ("n1, n2" if desk.cluster.namespaces else platform.node())
    assert job.verdicts() == ["finished"]
    attempt = job.run / f"attempts/{job.number}-r0"
    assert {path.name for path in attempt.glob("*.log")} == {f"rank-{rank}.log" for rank in range(4)}
    assert "finished: run/experiment.h5" in (attempt / "rank-0.log").read_text()
    assert (attempt / "nodes.txt").read_text().split() == ["n1", "n2"]
    assert f"SLURM_JOB_ID={job.number}" in (attempt / "environment.txt").read_text()
    assert (attempt / "git.txt").exists()


def stand_in(folder: Path) -> Path:
    """A program that says where it is instead of training, and is weightscope otherwise."""
    program = folder / "bin/weightscope"
    program.parent.mkdir()
    program.write_text(f'#!/bin/bash\n[ "$1" = train ] && exec {PLACES}\nexec {BINARY} "$@"\n')
    program.chmod(0o755)
    return program


def places(job: Job) -> list[list[str]]:
    """Host, rank, ranks, local rank, devices of each rank."""
    job.ends("FAILED")  # it trained nothing
    logs = sorted(job.run.glob(f"attempts/{job.number}-r0/rank-*.log"))
    return [row.split()[1:] for log in logs for row in log.read_text().splitlines() if row.startswith("place ")]


@pytest.mark.parametrize(
    ("launcher", "asked", "seen"),
    [
        ("srun", "--gpus-per-node=2", 2),
        ("srun", "--gpus-per-task=1", 1),
        ("mpirun", "--gpus-per-node=2", 2),
    ],
)
def test_each_rank_has_a_device_of_its_own(desk: Desk, apart: Cluster, launcher: str, asked: str, seen: int) -> None:
    variables = {"WEIGHTSCOPE_BINARY": str(stand_in(desk.folder)), "WEIGHTSCOPE_RESTARTS": "0"}
    rows = places(desk.train(asked, tasks=2, WEIGHTSCOPE_LAUNCHER=launcher, **variables))
    assert [(host, rank) for host, rank, *_ in rows] == [("n1", "0"), ("n1", "1"), ("n2", "2"), ("n2", "3")]
    used = defaultdict(set)
    for host, _, _, local, devices in rows:
        visible = devices.split(",")
        assert len(visible) == seen
        used[host].add(visible[int(local) % len(visible)])  # as train/setup.cpp chooses
    assert [len(devices) for devices in used.values()] == [2, 2]


@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
def test_ranks_find_the_program_whatever_was_exported(desk: Desk, launcher: str) -> None:
    variables = {"WEIGHTSCOPE_BINARY": str(stand_in(desk.folder)), "WEIGHTSCOPE_RESTARTS": "0"}
    variables |= {"WEIGHTSCOPE_LAUNCHER": launcher}
    names = ",".join([*variables, *(key for key in job_environment() if key.startswith(("WEIGHTSCOPE", "OMPI")))])
    rows = places(desk.train(f"--export={names}", **variables))
    assert [size for _, _, size, *_ in rows] == ["2", "2"]


def test_a_sweep_is_an_array_and_ends_with_its_comparison(desk: Desk, cluster: Cluster) -> None:
    """One of the two runs is told to stop: it alone goes on in a second attempt, and the report waits for it."""
    settings = "".join(f"  {key}: {value}\n" for key, value in (SETTINGS | {"train.steps": 500}).items())
    (desk.folder / "sweep.yaml").write_text(f"name: s\nbase: tiny.yaml\nseeds: [1, 2]\nset:\n{settings}")
    options = ("--ntasks-per-node=1", "--cpus-per-task=1", "--time=60")
    said = cluster.run(
        ROOT / "slurm/submit.sh", "sweep", "sweep.yaml", "--", *options, cwd=desk.folder, **job_environment()
    ).split()
    array, report = said[1].rstrip(","), said[3]
    jobs = []
    for task in (0, 1):
        log = desk.folder / f"slurm-weightscope-sweep-{array}_{task}.log"
        jobs.append(Job(cluster, f"{array}_{task}", log, desk.folder / f"runs/sweep-s/seed-{task + 1}"))
    until(lambda: all(job.state == "RUNNING" for job in jobs), 30, "the array")
    # The task whose own number is that of the whole array: whoever takes one for the other restarts both.
    told, other = sorted(jobs, key=lambda job: job.facts["JobId"] != array)
    assert told.facts["JobId"] == array
    told.trains()
    with told.held(waits=False) as pids:
        told.told(pids)
    told.again()
    page = Job(cluster, report, desk.folder / f"slurm-weightscope-report-{report}.log", desk.folder)
    assert page.state == "PENDING"
    for job in jobs:
        job.ends("COMPLETED")
    assert told.verdicts() == ["stopped", "finished"]
    assert other.verdicts() == ["finished"]
    for seed, job in enumerate(jobs, 1):
        with h5py.File(job.run / "experiment.h5") as file:
            assert f"seed: {seed}\n" in str(file.attrs["config"])
    page.ends("COMPLETED")
    assert all((job.run / "report.html").exists() for job in jobs)
    folder = desk.folder / "runs/sweep-s"
    assert "seed-2" in (folder / "compare.html").read_text()
    assert json.loads((folder / "compare.json").read_text())
    assert (folder / "compare.md").exists()
    assert list((folder / "figures").glob("*.png"))


def test_a_report_follows_its_training(desk: Desk, cluster: Cluster) -> None:
    options = ("--nodes=1", "--ntasks-per-node=1", "--gpus-per-node=0", "--cpus-per-task=1", "--time=60")
    said = cluster.run(
        ROOT / "slurm/submit.sh", "train", "tiny.yaml", "--output=run", "--", *options, cwd=desk.folder,
        **job_environment(),
    ).split()  # fmt: skip
    page = Job(cluster, said[3], desk.folder / f"slurm-weightscope-report-{said[3]}.log", desk.folder)
    page.ends("COMPLETED")
    until((desk.folder / "run/report.html").exists, 5, "the page")
