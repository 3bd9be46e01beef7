#!/usr/bin/env python3
"""Kills a run before each of its file operations, one after the other, and looks whether anything is lost.

    tests/faults/crash_points.py life|train [--every N]

life is the made-up run of life.cpp (milliseconds a point), train the program itself on one rank. For each point the run
is killed there; then every snapshot and checkpoint that was committed (renamed to its final name) must still be there,
and the same command again must end with the files of an undisturbed run, bit for bit. Writes are also torn at a page
boundary. Then the same for the operations of a run that resumes, so that a crash during a resume is met as well.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import h5py
from compare import checkpoint, experiment_differences
from program import BINARY, SLOWNESS, environment, write_tiny

SHIM = BINARY.parent / "tests/libweightscope_shim.so"
LIFE = BINARY.parent / "tests/weightscope_life"
# Operations of one kind are always in the same order; those of different kinds are done by different threads.
KINDS = {
    "record": "/experiment.h5|/.experiment.h5|/tail|/set-aside",
    "checkpoints": "/checkpoints",
    "rest": "/log.jsonl|/config.yaml|/initial|/.lock|/.preflight",
}
SETTINGS = ["train.steps=6", "monitor.every=3", "monitor.early=none", "checkpoint.every=3", "checkpoint.keep=1"]


@dataclass(frozen=True)
class Subject:
    """What is killed. folder holds its data, and the run `start` from which each attempt begins, if any."""

    kind: str
    folder: Path
    start: Path | None = None
    name: str = "fresh"

    def command(self, run: Path) -> list[str]:
        if self.kind == "life":
            return [str(LIFE), str(run), "6"]
        sets = [word for setting in SETTINGS for word in ("--set", setting)]
        return [str(BINARY), "train", "tiny.yaml", "--output", str(run), "--progress", "none", *sets]

    def __call__(self, run: Path, **shim: object) -> int:
        env = environment(1)
        if shim:
            env |= {f"SHIM_{key}": str(value) for key, value in shim.items()}
            env |= {"LD_PRELOAD": str(SHIM), "SHIM_UNDER": str(run), "SHIM_SYNC": "off"}
        done = subprocess.run(
            self.command(run),
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=120 * SLOWNESS,
            check=False,
        )
        if done.returncode not in (0, -9):
            print(done.stderr, file=sys.stderr)
        return done.returncode

    def begin(self, run: Path) -> None:
        shutil.rmtree(run, ignore_errors=True)
        if self.start:
            shutil.copytree(self.start, run)
        else:
            run.mkdir()


@dataclass
class Trace:
    """What the shim wrote down."""

    operations: list[tuple[int, str, int, str]] = field(default_factory=list)  # number, name, bytes before a page, path
    renamed: list[Path] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "Trace":
        trace = cls()
        for line in file.read_text().splitlines() if file.exists() else []:
            words = line.split(" ")
            if words[0] == "done":
                trace.renamed.append(Path(words[6]))
            else:
                trace.operations.append((int(words[0]), words[1], int(words[3]), words[4]))
        return trace


@dataclass(frozen=True)
class Point:
    subject: Subject
    kind: str
    number: int
    action: str
    what: str

    def __str__(self) -> str:
        return f"{self.subject.kind} {self.subject.name}: {self.action} at {self.kind} {self.number} ({self.what})"


def points(subject: Subject, folder: Path) -> Iterator[Point]:
    """Every operation of a run that nothing happens to."""
    for kind, match in KINDS.items():
        run, trace = folder / "counted", folder / "counted.trace"
        subject.begin(run)
        trace.unlink(missing_ok=True)
        assert subject(run, MATCH=match, TRACE=trace) == 0
        for number, name, before, path in Trace.read(trace).operations:
            what = f"{name} {path[len(str(run)) + 1 :]}"
            yield Point(subject, kind, number, "kill", what)
            if before:
                yield Point(subject, kind, number, "torn", what)


def snapshots(run: Path) -> set[int]:
    found: set[int] = set()
    for path in [run / "experiment.h5", *(run / "tail").glob("*.h5")]:
        if path.exists():
            with h5py.File(path) as file:
                found |= {int(step) for step in file["snapshot_step"]}
    return found


def lost(run: Path, trace: Trace, resumed_from: int) -> list[str]:
    """Snapshots and checkpoints that were committed before the crash and are not there after it."""
    problems = []
    steps = {int(path.stem) for path in trace.renamed if path.parent.name == "tail" and path.suffix == ".h5"}
    if missing := {step for step in steps if step > resumed_from} - snapshots(run):
        problems.append(f"snapshots {sorted(missing)} are lost")
    committed = [path for path in trace.renamed if path.name.startswith("step-")]
    if committed and not (committed[-1] / "manifest.json").exists():
        problems.append(f"checkpoint {committed[-1].name} is lost")
    return problems


def differences(subject: Subject, run: Path, whole: Path) -> list[str]:
    found = experiment_differences(whole / "experiment.h5", run / "experiment.h5")
    for name in ("model.safetensors", "optimizer.safetensors"):
        if (checkpoint(whole, 6) / name).read_bytes() != (checkpoint(run, 6) / name).read_bytes():
            found.append(name)
    # Half-written or half-removed things are gone; an old checkpoint may wait for the next one to be removed.
    left = [*(run / "checkpoints").glob(".*"), *(run / "tail").glob("*"), *run.glob(".*.tmp")]
    return found + [path.name for path in left]


def attempt(work: tuple[Point, Path]) -> tuple[Point, list[str]]:
    """Crash there, look, go on, compare."""
    point, folder = work
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        run, trace = Path(scratch) / "run", Path(scratch) / "trace"
        point.subject.begin(run)
        code = point.subject(run, MATCH=KINDS[point.kind], AT=point.number, DO=point.action, TRACE=trace)
        if code != -9:
            return point, [f"was not killed but ended with {code}"]
        resumed_from = 3 if point.subject.start else -1
        problems = lost(run, Trace.read(trace), resumed_from)
        if (code := point.subject(run)) != 0:
            return point, [*problems, f"going on ended with {code}"]
        return point, problems + differences(point.subject, run, folder / "whole")


def stopped_half_way(subject: Subject, folder: Path) -> Subject:
    """A run that died just before its last checkpoint got its name: there are newer snapshots and rows to recompute."""
    run, trace = folder / "half", folder / "half.trace"
    assert subject(run, MATCH=KINDS["checkpoints"], TRACE=trace) == 0
    renames = [
        number for number, name, _, path in Trace.read(trace).operations if "rename" in name and "/step-" in path
    ]
    shutil.rmtree(run)
    assert subject(run, MATCH=KINDS["checkpoints"], AT=renames[-1], DO="kill") == -9
    return Subject(subject.kind, subject.folder, run, "resumed")


def enumerate_all(kind: str, folder: Path, every: int, processes: int) -> tuple[int, list[str]]:
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "train":
        write_tiny(folder)
    fresh = Subject(kind, folder)
    assert fresh(folder / "whole") == 0
    tried, failures = 0, []
    for subject in (fresh, stopped_half_way(fresh, folder)):
        chosen = list(points(subject, folder))[::every]
        print(f"{kind} {subject.name}: {len(chosen)} points", file=sys.stderr, flush=True)
        with Pool(processes) as pool:
            for point, problems in pool.imap_unordered(attempt, [(point, folder) for point in chosen], chunksize=4):
                tried += 1
                failures += [f"{point}: {problem}" for problem in problems]
                if tried % 100 == 0:  # all of `train` takes about an hour
                    print(f"{subject.name}: {tried} tried, {len(failures)} problems", file=sys.stderr, flush=True)
    return tried, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["life", "train"])
    parser.add_argument("--every", type=int, default=1, help="only every Nth point")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tried, failures = enumerate_all(arguments.kind, Path(folder), arguments.every, arguments.processes)
    print("\n".join(failures))
    print(
        f"{tried} crash points of {arguments.kind}, {tried - len({f.rsplit(': ', 1)[0] for f in failures})} recovered"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
