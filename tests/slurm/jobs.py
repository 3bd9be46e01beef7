"""Jobs of the tests' cluster: submitted with the project's own scripts, watched from outside."""

import contextlib
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
from cluster import Cluster, until
from compare import same_bits, state
from program import BINARY, ROOT, alive, environment

STEPS = 160
# Rank 0 suspends itself at this step: however fast the machine is, a job is still training when a test holds it. A job
# must not be told before (held() waits for it): its next attempt would come to this step and wait for ever.
WAITS = {"WEIGHTSCOPE_FAULT": "forward:0:40:stop"}
# Sums in a fixed order: the same bits on any number of ranks, nodes and attempts.
SETTINGS = {
    "train.steps": STEPS,
    "schedule.name": "constant",
    "checkpoint.every": 20,
    "eval.every": STEPS,
    "monitor.every": 80,
    "monitor.replicas_every": 40,
    "parallel.reduction": "reproducible",
}


def words(settings: dict[str, object]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def plain(settings: dict[str, object]) -> dict[str, object]:
    """As Program.train wants them."""
    return {key.replace(".", "__"): value for key, value in settings.items()}


def job_environment() -> dict[str, str]:
    return environment(1) | {
        "WEIGHTSCOPE_ROOT": str(ROOT),
        "WEIGHTSCOPE_BINARY": str(BINARY),
        "WEIGHTSCOPE_VENV": sys.prefix,
        "PYTHONPATH": str(ROOT / "analysis/src"),
        "MPLBACKEND": "agg",
    }


def has_usr1(pid: int) -> bool:
    """Whether USR1 waits for a suspended process to go on."""
    if not alive(pid):
        return True
    with contextlib.suppress(OSError):
        pending = re.findall(r"(?:SigPnd|ShdPnd):\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
        return any(int(mask, 16) & 1 << (signal.SIGUSR1 - 1) for mask in pending)
    return True  # gone


def is_suspended(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    return False


@dataclass
class Job:
    """A job and, if it trains, its run directory."""

    cluster: Cluster
    number: str
    log: Path
    run: Path

    @property
    def facts(self) -> dict[str, str]:
        text = self.cluster.run("scontrol", "-o", "show", "job", self.number)
        return dict(re.findall(r"(\w+)=(\S*)", text.splitlines()[0]))

    @property
    def state(self) -> str:
        return self.facts["JobState"]

    @property
    def restarts(self) -> int:
        return int(self.facts["Restarts"])

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def steps(self) -> int:
        log = self.run / "log.jsonl"
        return log.read_text(errors="replace").count('"event":"train"') if log.exists() else 0

    def trains(self, steps: int = 25, seconds: float = 60) -> None:
        """Waits until it has begun, and has a checkpoint."""
        goal = self.steps() + steps
        until(lambda: self._alive_with(goal), seconds, f"training of job {self.number}", self.story)

    def _alive_with(self, goal: int) -> bool:
        assert self.state in ("PENDING", "CONFIGURING", "RUNNING"), self.story()
        return self.steps() >= goal and (self.run / "checkpoints/LATEST").exists()

    def again(self, restarts: int = 1) -> None:
        """Waits until it was requeued, and starts it without the pause that Slurm makes, if it has not begun yet."""
        until(lambda: self.restarts >= restarts, 60, f"requeue of job {self.number}", self.story)
        until(lambda: self.state != "COMPLETING", 30, f"end of the attempt before, job {self.number}", self.story)
        # Not in the second of the requeue: nodes refuse what was signed before they were told to forget the job.
        self.cluster.run("scontrol", "update", f"jobid={self.number}", "StartTime=now+2", check=False)

    def ends(self, state: str, seconds: float = 60) -> None:
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY")
        until(lambda: self.state in over, seconds, f"end of job {self.number}", self.story)
        assert self.state == state, self.story()

    def nodes(self, restarts: int = 0) -> list[str]:
        """Of one attempt, as it wrote them down."""
        return (self.run / f"attempts/{self.number}-r{restarts}/nodes.txt").read_text().split()

    def told(self, pids: list[int]) -> None:
        """By USR1 to the script, as --signal=B:USR1@300 does it."""
        self.cluster.run("scancel", "--batch", "--signal=USR1", self.number)
        self.has_heard(pids)

    def has_heard(self, pids: list[int], seconds: float = 30) -> None:
        """Waits until the script has passed USR1 on and it lies before every rank that is held, or the rank is gone."""
        until(lambda: "passed on to the ranks" in self.said(), seconds, "the script's answer", self.story)
        until(lambda: all(map(has_usr1, pids)), 30, "USR1 at every rank", self.story)

    def ranks(self) -> dict[int, int]:
        """Rank → process id, as this machine numbers it."""
        found, number = {}, self.facts["JobId"]
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                name, variables = (folder / "comm").read_text(), (folder / "environ").read_bytes().split(b"\0")
                place = os.readlink(folder / "cwd")
            except OSError:
                continue
            values = dict(v.decode(errors="replace").split("=", 1) for v in variables if b"=" in v)
            # Another cluster of this machine may have a job of the same number, but not in the same folder.
            ours = values.get("SLURM_JOB_ID") == number and place == str(self.log.parent)
            if name.strip() == BINARY.name and ours and "PMIX_RANK" in values:
                found[int(values["PMIX_RANK"])] = int(folder.name)
        return {rank: pid for rank, pid in found.items() if alive(pid)}

    @contextmanager
    def held(self, waits: bool = True) -> Iterator[list[int]]:
        """Its ranks suspended, so that it does not finish before what the test does has arrived. waits: it was started
        with WAITS."""
        ranks = self.ranks()
        assert 0 in ranks, self.story()
        if waits:
            until(lambda: is_suspended(ranks[0]), 60, "the step at which rank 0 waits", self.story)
        pids = list(ranks.values())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield pids
        finally:
            for pid in filter(alive, pids):
                os.kill(pid, signal.SIGCONT)

    def attempts(self) -> list[dict[str, str]]:
        """Rows of the run's table of attempts."""
        names = ("job", "restart", "began", "ended", "nodes", "launcher", "code", "verdict", "saved")
        rows = (self.run / "attempts.tsv").read_text().splitlines()
        return [dict(zip(names, row.split("\t"), strict=True)) for row in rows]

    def verdicts(self) -> list[str]:
        return [row["verdict"] for row in self.attempts()]

    def segments(self) -> list[tuple[str, int, int]]:
        """Job, restart count and ranks of each start, as the experiment file has them."""
        with h5py.File(self.run / "experiment.h5") as file:
            rows = zip(*(file[f"segments/{n}"][()] for n in ("job_id", "restart_count", "world_size")), strict=True)
            return [(job.decode(), int(restarts), int(ranks)) for job, restarts, ranks in rows]

    def story(self) -> str:
        logs = "\n".join(f"--- {p}\n{p.read_text(errors='replace')[-2000:]}" for p in self._rank_logs())
        return f"{self.facts}\n--- {self.log}\n{self.said()}\n{logs}"

    def _rank_logs(self) -> Iterator[Path]:
        yield from sorted(self.run.glob("attempts/*/rank-*.log"))


@dataclass
class Desk:
    """Where a test submits its jobs: a folder with a small configuration and its data."""

    cluster: Cluster
    folder: Path

    def train(self, *options: str, nodes: int = 2, tasks: int = 1, settings: object = None, **variables: str) -> Job:
        """slurm/train.sbatch on some nodes; `settings` beside those of all tests."""
        own = words(SETTINGS | (settings if isinstance(settings, dict) else {}))
        shape = (f"--nodes={nodes}", f"--ntasks-per-node={tasks}")
        return self.submit("train", *shape, *options, arguments=("tiny.yaml", *own, "--output", "run"), **variables)

    def submit(self, script: str, *options: str, arguments: tuple[str, ...] = (), **variables: str) -> Job:
        """A script of the project. The few options replace what it asks for itself: GPUs, hours."""
        plain = ("--gpus-per-node=0", "--cpus-per-task=1", "--time=60") if script != "report" else ()
        number = self.cluster.run(
            "sbatch", "--parsable", f"--chdir={self.folder}", f"--output={self.folder}/job-%j.log", *plain, *options,
            ROOT / f"slurm/{script}.sbatch", *arguments, **(job_environment() | variables)
        ).strip()  # fmt: skip
        return Job(self.cluster, number, self.folder / f"job-{number}.log", self.folder / "run")

    def inspect(self, run: str = "run") -> dict:
        command = (BINARY, "inspect", self.folder / run, "--format", "json")
        return json.loads(self.cluster.run(*command, **environment(1)).splitlines()[-1])


def finished_undisturbed(job: Job, whole: Path, verdicts: list[str]) -> None:
    """In as many attempts as there are verdicts, with the weights of the run `whole`. Beside them one attempt may have
    failed without training: on a busy machine Slurm may refuse to launch a step, and the script tries again."""
    job.ends("COMPLETED")
    began = [restarts for _, restarts, _ in job.segments()]
    rows = {int(row["restart"]): row["verdict"] for row in job.attempts()}
    unlaunched = [verdict for restart, verdict in rows.items() if restart not in began]
    story = f"{job.attempts()}\n{job.segments()}\n{job.story()}"
    assert [rows.get(restart) for restart in began] == verdicts, story
    assert unlaunched in ([], ["failed"]), story
    if unlaunched:
        warnings.warn(f"an attempt of job {job.number} began no training: {story}", stacklevel=2)
    assert same_bits(state(whole, STEPS), state(job.run, STEPS)) == []
    assert {number for number, _, _ in job.segments()} == {job.number}
