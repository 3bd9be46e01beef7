"""Worker processes that are timed in turn.

A worker prints READY, then for every number N it reads does N repetitions, prints the seconds of each on a line and
waits; it leaves at the end of its input. Waiting workers sleep, so several can be kept ready and their
short blocks interleaved: what else the machine does hits all of them alike. A worker that uses a GPU ends with
PEAK and the most bytes of its memory that its tensors took.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT: Mapping[str, str] = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}


class WorkerError(RuntimeError):
    """A worker ended early; the text holds what it wrote last."""


@dataclass(frozen=True)
class Command:
    """How to start a worker. `threads` is what one of its processes may use."""

    name: str
    words: Sequence[str]
    threads: int = 1


@dataclass
class Worker:
    """One started worker. `blocks` holds the seconds of every repetition, one list per block; `peak_bytes` the most
    memory that one of its processes (a rank) ever had, shared memory included; `device_bytes` that of its tensors on a
    GPU, once it is closed."""

    command: Command
    blocks: list[list[float]] = field(default_factory=list)
    peak_bytes: int = 0
    device_bytes: int = 0

    def __post_init__(self) -> None:
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in close)
        self._process = subprocess.Popen(
            self.command.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env={**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": str(self.command.threads)},
        )

    def wait_ready(self) -> None:
        while self._line() != "READY":
            pass

    def run(self, repetitions: int) -> list[float]:
        """Runs and returns a block without keeping it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{repetitions}\n")
        self._process.stdin.flush()
        return [float(self._line()) for _ in range(repetitions)]

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return line.strip()
        code = self._process.wait()
        self._stderr.seek(0)
        last = "\n  ".join(self._stderr.read().strip().splitlines()[-12:])
        raise WorkerError(f"{self.command.name} ended with code {code}:\n  {last}")

    def note_peak(self) -> None:
        self.peak_bytes = max(map(peak_bytes, process_tree(self._process.pid)))

    def close(self) -> None:
        """Ends the input and waits for the end of the process."""
        try:
            rest, _ = self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            rest, _ = self._process.communicate()
        peaks = [int(line.split()[1]) for line in rest.splitlines() if line.startswith("PEAK ")]
        self.device_bytes = max([self.device_bytes, *peaks])
        self._stderr.close()

    def kill(self) -> None:
        self._process.kill()


def process_tree(pid: int) -> list[int]:
    children = [int(n) for path in Path(f"/proc/{pid}/task").glob("*/children") for n in path.read_text().split()]
    return [pid, *(below for child in children for below in process_tree(child))]


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def interleave(commands: Sequence[Command], rounds: int, block_seconds: float, most: int = 200) -> list[Worker]:
    """Starts all, then gives each a block of about `block_seconds` per round; rounds begin with different workers."""
    with contextlib.ExitStack() as ending:
        workers, repetitions = [], []
        for command in commands:
            worker = Worker(command)
            ending.callback(worker.close)
            worker.wait_ready()
            trial = min(worker.run(1)[0], worker.run(1)[0])
            workers.append(worker)
            repetitions.append(max(1, min(most, round(block_seconds / trial))))
            print(f"  {command.name}: {trial * 1e3:.2f} ms at the start", file=sys.stderr, flush=True)
        for turn in range(rounds):
            for i in range(len(workers)):
                at = (turn + i) % len(workers)
                workers[at].blocks.append(workers[at].run(repetitions[at]))
        for worker in workers:
            worker.note_peak()
    return workers
