"""Runs a sweep on this machine, one or several trainings at a time. launch/sweep.py is its command.

All runs are checked before the first one starts. What is finished is skipped, what has begun goes on, and a run that
fails does not stop the others. Ctrl-C (or TERM) asks all trainings to save and end; the same command goes on from
there. A second one ends them at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TextIO

from weightscope.errors import UnusableFileError
from weightscope.summary import duration
from weightscope.sweep import Sweep, Trial, read_sweep
from weightscope.sweep_check import last_words, listed, refused
from weightscope.sweep_state import State, live_step, state_of

STOPPED = 75  # of the program: saved on request
CONFIGURATION = 2
FAILED = 1
_POLL = 0.2  # seconds
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Job:
    """A training of this session. `code` is None while it is going on."""

    trial: Trial
    before: State
    log: Path
    process: subprocess.Popen[bytes]
    slot: int
    began: float = field(default_factory=time.monotonic)
    code: int | None = None
    seconds: float = 0.0


def share(cores: Sequence[int], slot: int, slots: int) -> set[int]:
    """The cores of one of several trainings at a time; all of them when there are not enough to deal out."""
    if slots > len(cores):
        return set(cores)
    return {core for i, core in enumerate(sorted(cores)) if i * slots // len(cores) == slot}


class Session:
    """One call of the command. `launcher`: what starts a training, given the number of ranks and a command."""

    def __init__(self, sweep: Sweep, launcher: Sequence[str], ranks: int, at_a_time: int, out: TextIO) -> None:
        self.sweep, self.launcher, self.ranks, self.slots, self.out = sweep, list(launcher), ranks, at_a_time, out
        self.states = {trial.name: state_of(trial) for trial in sweep.trials}
        self.pending = [t for t in sweep.trials if self.states[t.name].word in ("new", "begun")]
        self.jobs: dict[str, Job] = {}
        self.asked = 0  # how often somebody asked to stop
        self.began = self.said = time.monotonic()

    def command(self, trial: Trial) -> list[str]:
        words = ["train", *trial.arguments(), "--resume", "auto", "--progress", "plain"]
        return [*self.launcher, str(self.ranks), *words]

    def refused(self) -> list[str]:
        """Of the runs that are to be started."""
        return refused(self.pending, [*self.launcher, "1"], self.ranks)

    def running(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.code is None]

    def say(self, text: str) -> None:
        """Trainings go on when nobody listens any more (a closed pipe or terminal)."""
        with contextlib.suppress(OSError):
            print(text, file=self.out, flush=True)

    def start(self, trial: Trial) -> None:
        slot = min(set(range(self.slots)) - {job.slot for job in self.running()})
        log = Path(self.sweep.folder) / f"{trial.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        mine = os.sched_getaffinity(0)
        # A child inherits the cores of its parent, and the program keeps the cores it is given.
        os.sched_setaffinity(0, share(sorted(mine), slot, self.slots))
        try:
            with log.open("ab") as sink:
                # A session of its own: Ctrl-C must reach this program only, which asks the trainings to save.
                process = subprocess.Popen(
                    self.command(trial), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
                )
        finally:
            os.sched_setaffinity(0, mine)
        before = self.states[trial.name]
        self.jobs[trial.name] = Job(trial, before, log, process, slot)
        self.say(f"{trial.name}: " + (f"goes on from step {before.step:,}" if before.step else "starts"))

    def reap(self) -> None:
        for job in self.running():
            if (code := job.process.poll()) is None:
                continue
            job.code, job.seconds = code if code >= 0 else 128 - code, time.monotonic() - job.began
            state = self.states[job.trial.name] = state_of(job.trial)
            how = "finished" if state.word == "finished" else outcome(job, state)
            self.say(f"{job.trial.name}: {how} after {duration(job.seconds)}; {self.progress()}")

    def progress(self) -> str:
        """Runs and steps so far, and how long the rest takes if steps go on at the speed of this session."""
        live = {job.trial.name: max(job.before.step, live_step(job.trial.output)) for job in self.running()}
        done = sum(
            live.get(job.trial.name, self.states[job.trial.name].step) - job.before.step for job in self.jobs.values()
        )
        rest = sum(max(0, self.states[n].steps - step) for n, step in live.items())
        rest += sum(max(0, self.states[t.name].steps - self.states[t.name].step) for t in self.pending)
        finished = sum(state.word == "finished" for state in self.states.values())
        said = f"{finished} of {len(self.states)} runs finished, {len(live)} going on"
        if done > 0 and rest > 0 and not self.asked:
            said += f", about {duration((time.monotonic() - self.began) * rest / done)} to go"
        return said

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """First USR1, which the launcher passes on and the ranks save at; then TERM."""
        self.asked += 1
        self.say(
            f"{signal.Signals(number).name}: " + ("asking the trainings to save" if self.asked == 1 else "ending them")
        )
        for job in self.running():
            try:
                if self.asked == 1:
                    job.process.send_signal(signal.SIGUSR1)
                else:
                    os.killpg(job.process.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue  # it has just ended

    def run(self, every: float) -> None:
        """Until nothing is left to start and nothing is going on; a line of progress `every` so many seconds."""
        heard = [n for n in _STOPS if signal.getsignal(n) is not signal.SIG_IGN]  # nohup ignores HUP, and means it
        old = {number: signal.signal(number, self.stop) for number in heard}
        try:
            while self.running() or (self.pending and not self.asked):
                while self.pending and not self.asked and len(self.running()) < self.slots:
                    self.start(self.pending.pop(0))
                time.sleep(_POLL)
                self.reap()
                if time.monotonic() - self.said >= every:
                    self.said = time.monotonic()
                    self.say(self.progress())
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def exit_code(self) -> int:
        """0 when all runs of the sweep are finished, 75 when the rest was stopped on request, else 1."""
        if all(state.word == "finished" for state in self.states.values()):
            return 0
        failed = any(job.code not in (0, STOPPED) for job in self.jobs.values())
        refused = any(state.word == "other" for state in self.states.values())
        stopped = self.asked or any(job.code == STOPPED for job in self.jobs.values())
        return STOPPED if stopped and not failed and not refused else FAILED


def outcome(job: Job, state: State) -> str:
    if job.code == STOPPED:
        return f"stopped at step {state.step:,}, saved"
    if job.code == 0:
        return f"ended at step {state.step:,} of {state.steps:,}"
    log = job.log.read_text(encoding="utf-8", errors="replace")
    return f"failed with exit code {job.code} at step {state.step:,} ({last_words(log)})"


def rows(session: Session) -> list[list[str]]:
    table = [["run", "state", "steps", "time", "validation loss", "exit code"]]
    for trial in session.sweep.trials:
        state, job = session.states[trial.name], session.jobs.get(trial.name)
        word = {"new": "not started", "begun": "stopped", "finished": "finished", "other": "other settings"}[state.word]
        if job is not None and job.code not in (None, 0, STOPPED):
            word = "failed"
        loss = f"{state.loss:.4f}" if state.loss == state.loss else ""
        time_taken = duration(job.seconds) if job is not None else ""
        code = str(job.code) if job is not None and job.code is not None else ""
        table.append([trial.name, word, f"{state.step:,} of {state.steps:,}", time_taken, loss, code])
    return table


def printed(table: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch/sweep.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweep", metavar="FILE.yaml", help="seeds × schemes × overrides, as configs/sweep-init.yaml")
    parser.add_argument(
        "--at-a-time",
        type=int,
        default=1,
        metavar="N",
        help="trainings at a time (default 1); they share out the cores",
    )
    parser.add_argument("--ranks", type=int, default=1, metavar="N", help="MPI ranks of each training (default 1)")
    parser.add_argument(
        "--every", type=float, default=30.0, metavar="SECONDS", help="between lines of progress (default 30)"
    )
    parser.add_argument("--dry-run", action="store_true", help="check all runs, say what would be run, and run nothing")
    return parser


def _run(options: argparse.Namespace, launcher: Sequence[str]) -> int:
    session = Session(read_sweep(options.sweep), launcher, options.ranks, options.at_a_time, sys.stdout)
    for name, state in session.states.items():
        if state.word == "other":
            session.say(
                f"{name}: left alone, it was recorded with other settings ({state.why}); give the sweep another output"
            )
    if lines := session.refused():
        print(
            f"weightscope: error: {options.sweep}: nothing was started, since some runs could not be:{listed(lines)}",
            file=sys.stderr,
        )
        return CONFIGURATION
    if options.dry_run:
        for trial in session.sweep.trials:
            state = session.states[trial.name]
            session.say(f"{trial.name}: {state.word}, step {state.step:,} of {state.steps:,}")
            if trial in session.pending:
                session.say(f"  {' '.join(session.command(trial))}")
        return 0
    session.run(options.every)
    session.say("\n" + printed(rows(session)))
    recorded = f"{session.sweep.folder}/*/"
    session.say(f"\nThe logs: {session.sweep.folder}/NAME.log. Compare: weightscope-compare {recorded} -o compare.html")
    return session.exit_code()


def main(launcher: Sequence[str], arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if min(options.at_a_time, options.ranks) < 1:
        parser.error("--at-a-time and --ranks need at least 1")
    if not 0 < options.every <= 86400:
        parser.error("--every must be above 0 and at most a day")
    try:
        return _run(options, launcher)
    except UnusableFileError as error:
        print(f"weightscope: error: {error}", file=sys.stderr)
        return 4
