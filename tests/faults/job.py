"""A job that something happens to, watched from outside."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from crash_points import SHIM
from program import BINARY, SLOWNESS, alive, children, environment, is_suspended, listens
from random_faults import Fault

SETTINGS = {"checkpoint.every": 3, "checkpoint.keep": 2}


@dataclass
class Ended:
    code: int
    err: str
    seconds_to_end: float | None  # from the first death, or from the signal, until no process was left
    left: list[int]
    timed_out: bool = False  # it hung and was killed by us, which is never right


@dataclass
class Job:
    """The same command each time: training in a folder, on so many ranks."""

    folder: Path
    name: str
    ranks: int
    settings: dict[str, object]

    def rows(self) -> int:
        log = self.folder / self.name / "log.jsonl"
        return log.read_text(errors="replace").count('"event":"train"') if log.exists() else 0

    def start(self, fault: Fault | None) -> tuple[subprocess.Popen[bytes], Path]:
        sets = SETTINGS | self.settings | (fault.settings if fault else {})
        words = ["train", "tiny.yaml", "--output", self.name, "--progress", "none"]
        words += [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        env = environment(1) | (fault.environment if fault else {})
        if fault and "SHIM_DO" in fault.environment:
            env |= {"SHIM_UNDER": str(self.folder / self.name), "LD_PRELOAD": str(SHIM), "SHIM_SYNC": "off"}
        said = self.folder / f"{self.name}.stderr"
        with said.open("wb") as file:
            command = ["mpirun", "--bind-to", "none", "-n", str(self.ranks), str(BINARY), *words]
            process = subprocess.Popen(command, cwd=self.folder, env=env, stderr=file, stdout=subprocess.DEVNULL)
        return process, said

    def tell(self, fault: Fault, process: subprocess.Popen[bytes], pids: list[int]) -> None:
        assert fault.number is not None
        targets = {"one rank": pids[-1:], "all ranks": pids, "mpirun": [process.pid]}[fault.target]
        for pid in targets:
            if alive(pid):
                os.kill(pid, fault.number)

    def run(self, fault: Fault | None = None, limit: float = 180) -> Ended:
        before = self.rows()
        process, said = self.start(fault)
        pids: list[int] = []
        began: float | None = None
        end = time.monotonic() + limit * SLOWNESS
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
            if len(pids) < self.ranks:
                pids = children(process.pid)
                continue
            if began is not None:
                continue
            if fault and fault.number is not None:
                if self.rows() >= before + fault.after_rows and all(map(listens, pids)):
                    self.tell(fault, process, pids)
                    began = time.monotonic()
            elif any(not alive(pid) or is_suspended(pid) for pid in pids):
                began = time.monotonic()
        if process.poll() is None:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(60)  # mpirun cleans up after them
            text = f"did not end in {limit * SLOWNESS} s; {said.read_text(errors='replace')}"
            return Ended(process.returncode, text, None, [], timed_out=True)
        return self.ended(process, said, pids, began)

    def ended(self, process: subprocess.Popen[bytes], said: Path, pids: list[int], began: float | None) -> Ended:
        patience = time.monotonic() + 5 * SLOWNESS
        while any(map(alive, pids)) and time.monotonic() < patience:
            time.sleep(0.005)
        gone = None if began is None else time.monotonic() - began
        left = [pid for pid in pids if alive(pid)]
        return Ended(process.returncode, said.read_text(errors="replace"), gone, left)
