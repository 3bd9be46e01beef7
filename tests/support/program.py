"""The whole program, driven as a user drives it. WEIGHTSCOPE_BINARY names it (CTest sets it)."""

import atexit
import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("WEIGHTSCOPE_BINARY", ROOT / "build/dev/weightscope"))
ORACLE = ROOT / "tests/oracle"
SLOWNESS = float(os.environ.get("WEIGHTSCOPE_TEST_SLOWNESS", "1"))  # of a build with sanitizers
HELD = "forward:0:40:stop"


@dataclass
class Result:
    code: int
    out: str
    err: str


def alive(pid: int) -> bool:
    """Not one that is dead already and only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def is_suspended(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    return False


def has_pending(pid: int, number: int) -> bool:
    """Whether a signal waits for a suspended process to go on."""
    status = Path(f"/proc/{pid}/status").read_text()
    return any(int(mask, 16) & 1 << (number - 1) for mask in re.findall(r"(?:SigPnd|ShdPnd):\s*(\w+)", status))


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


def abandoned_segments() -> set[str]:
    """Files in /dev/shm that no process maps or holds open: leaked, if they stay. Folders are somebody's own."""
    names = {path.name for path in Path("/dev/shm").iterdir() if not path.is_dir()}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            used = (process / "maps").read_text() + " ".join(os.readlink(fd) for fd in (process / "fd").iterdir())
            names -= {name for name in names if f"/dev/shm/{name}" in used}
    return names


def listens(pid: int) -> bool:
    """Whether USR1 would be handled by now (and not end the process)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        if Path(f"/proc/{pid}/exe").resolve() != BINARY.resolve():
            return False  # still the copy of mpirun that becomes a rank
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1]
    return bool(int(caught, 16) & 1 << (signal.SIGUSR1 - 1))


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Looks every few milliseconds; an error when it does not come true in time."""
    end = time.monotonic() + seconds * SLOWNESS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@dataclass
class Running:
    """mpirun, the processes of its ranks, and what they were told."""

    process: subprocess.Popen[str]
    ranks: list[int]
    words: list[str]
    stderr: Path

    def said(self) -> str:
        return self.stderr.read_text(errors="replace")

    def holds(self, rank: int = 0) -> None:
        """Waits until this rank has suspended itself: see `fault` of start."""
        until(lambda: is_suspended(self.ranks[rank]), 60)

    def go_on(self) -> None:
        for pid in self.ranks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def wait(self, timeout: float) -> Result:
        """Until all of it is gone."""
        self.process.wait(timeout * SLOWNESS)
        until(lambda: not any(map(alive, self.ranks)), 5)  # mpirun may be gone a moment before its ranks
        return Result(self.process.returncode, "", self.said())


@dataclass
class Program:
    """Runs weightscope on some ranks in a folder of its own."""

    folder: Path

    def __call__(
        self,
        *arguments: object,
        ranks: int = 1,
        threads: int = 1,
        timeout: float = 120,
        check: bool = True,
        fault: str = "",
        flip: str = "",
    ) -> Result:
        launcher = [] if ranks == 1 else ["mpirun", "--bind-to", "none", "-n", str(ranks)]
        done = subprocess.run(
            [*launcher, str(BINARY), *map(str, arguments)],
            cwd=self.folder,
            env=environment(threads) | {"WEIGHTSCOPE_FAULT": fault, "WEIGHTSCOPE_FLIP": flip},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout * SLOWNESS,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, result.err
        return result

    def train(
        self,
        config: Path | str,
        output: str,
        *extra: str,
        ranks: int = 1,
        threads: int = 1,
        check: bool = True,
        fault: str = "",
        flip: str = "",
        **settings: object,
    ) -> Result:
        """fault: POINT:RANK:STEP:ACTION, flip: TENSOR:RANK:STEP:BIT:ELEMENT, see core/fault_point.hpp."""
        words = ["train", config, "--output", output, "--progress", "none", *set_words(settings), *extra]
        return self(*words, ranks=ranks, threads=threads, check=check, fault=fault, flip=flip)

    def trained(self, config: Path | str, output: str, ranks: int = 1, **settings: object) -> Path:
        """As train; but the same run is computed once for all tests of this process, and each gets a copy. Its
        configuration must name only files that write_tiny makes, or absolute paths."""
        text, wrong = (self.folder / config).read_text(), os.environ.get("WEIGHTSCOPE_FAULT_FROM", "")
        shutil.copytree(trained_once(text, ranks, tuple(set_words(settings)), wrong), self.folder / output)
        return self.folder / output

    def start(
        self, config: Path | str, output: str, ranks: int, *, steps: int = 6, fault: str = "", **settings: object
    ) -> "Running":
        """Training that goes on while the test does something to it. Has taken so many steps on return; with 0 its
        ranks have only just begun: they listen to signals, and that is all. With the fault HELD rank 0 suspends itself
        at step 40: however fast the machine is, the run has not ended before it was told to go on."""
        words = ["train", str(config), "--output", output, "--progress", "none", *set_words(settings)]
        stderr = self.folder / f"{Path(output).name}.stderr"
        with stderr.open("w") as file:
            process = subprocess.Popen(
                ["mpirun", "--bind-to", "none", "-n", str(ranks), str(BINARY), *words],
                cwd=self.folder,
                env=environment(1) | {"WEIGHTSCOPE_FAULT": fault},
                stderr=file,
                text=True,
            )
        log = self.folder / output / "log.jsonl"
        if steps > 0:
            until(lambda: log.exists() and log.read_text().count('"event":"train"') >= steps)
        until(lambda: len(children(process.pid)) == ranks and all(map(listens, children(process.pid))))
        return Running(process, children(process.pid), words, stderr)

    def sample(self, model: str, prompt: str, *words: object) -> bytes:
        """What `weightscope sample` prints after the prompt."""
        command = [BINARY, "sample", model, "--prompt", prompt, *map(str, words)]
        done = subprocess.run(
            command, cwd=self.folder, env=environment(1), capture_output=True, timeout=120 * SLOWNESS, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        assert done.stdout.startswith(prompt.encode())
        assert done.stdout.endswith(b"\n")
        return done.stdout[len(prompt.encode()) : -1]

    def log(self, output: str, event: str = "train") -> list[dict]:
        lines = [json.loads(line) for line in (self.folder / output / "log.jsonl").read_text().splitlines()]
        return [line for line in lines if line["event"] == event]


def set_words(settings: dict[str, object]) -> list[str]:
    """Keyword arguments as --set options: "train__steps" → "train.steps"."""
    return [word for key, value in settings.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


def environment(threads: int) -> dict[str, str]:
    return (
        {"XDG_CACHE_HOME": str(BINARY.parent / "cache")}
        | os.environ
        | {
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "passive",
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        }
    )


@functools.cache
def shelf() -> Path:
    """A folder for what the tests of this process have in common; gone when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="weightscope-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def prepared() -> Path:
    """A folder with a text and its tokens."""
    folder = shelf() / "prepared"
    folder.mkdir()
    (folder / "text.txt").write_text(
        "".join(f"line {i * 7919 % 977} of a text that repeats itself now and then.\n" for i in range(600))
    )
    Program(folder)("prepare", "--tokenizer", "byte", "-o", "data", "text.txt")
    return folder


@functools.cache
def trained_once(config: str, ranks: int, sets: tuple[str, ...], wrong: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=shelf()))
    write_tiny(folder)
    (folder / "run.yaml").write_text(config)
    assert wrong == os.environ.get("WEIGHTSCOPE_FAULT_FROM", "")
    Program(folder).train("run.yaml", "run", *sets, ranks=ranks)
    return folder / "run"


def write_tiny(folder: Path) -> Path:
    """A configuration that trains in a second, with data; dropout on, so that masks matter everywhere."""
    shutil.copytree(prepared(), folder, dirs_exist_ok=True)
    config = folder / "tiny.yaml"
    config.write_text(
        "name: tiny\nseed: 5\nmodel: {layers: 2, heads: 2, width: 16, block: 16, vocab: 256, dropout: 0.1}\n"
        "data: {train: data/train.bin, val: data/val.bin}\ntrain: {steps: 12, global_batch: 8, micro_batch: 2}\n"
        "optimizer: {lr: 2.0e-3}\nschedule: {warmup_steps: 3}\nmonitor: {every: 4, replicas_every: 2}\n"
        "eval: {every: 6, batches: 2}\ncheckpoint: {every: 6, keep: 5}\n"
    )
    return config
