"""Contenders for one GPU take turns: ready side by side where its memory allows, else started anew each turn."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from threading import Timer
from time import monotonic

from workers import Command, Worker, WorkerError

NO_TIME, NO_MEMORY = "no time left", "out of memory"


class Clock:
    """Seconds left of those that a whole run may take."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def left(self) -> float:
        return self._end - monotonic()


@dataclass(frozen=True)
class Contender:
    """resident: it stays while the others run (the peers give their memory back in between)."""

    command: Command
    start_seconds: float
    resident: bool = True


@dataclass
class Entry:
    """What is known of a contender: blocks by round, and why there are none or fewer. broken: it could not run, and
    neither time nor memory were too short."""

    contender: Contender
    blocks: list[list[float]] = field(default_factory=list)
    device_bytes: int = 0
    note: str = ""
    broken: bool = False
    late: bool = False
    repetitions: int = 0
    worker: Worker | None = None
    guard: Timer | None = None

    @property
    def name(self) -> str:
        return self.contender.command.name

    @property
    def seconds(self) -> float | None:
        return median(median(block) for block in self.blocks) if self.blocks else None

    def ratio_to(self, own: "Entry") -> float | None:
        """Round by round, so that a device that gets slower for a while does not bend it."""
        pairs = zip(self.blocks, own.blocks, strict=False)
        ratios = [median(theirs) / median(ours) for theirs, ours in pairs]
        return median(ratios) if ratios else None

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "seconds": self.seconds,
            "blocks": self.blocks,
            "device_bytes": self.device_bytes,
            "note": self.note,
        }

    def start(self, clock: Clock) -> None:
        self.worker = Worker(self.contender.command)
        self.guard = Timer(max(1.0, clock.left()), self.end_late)
        self.guard.daemon = True
        self.guard.start()

    def end_late(self) -> None:
        self.late = True
        if self.worker is not None:
            self.worker.kill()

    def make_ready(self, block_seconds: float) -> None:
        assert self.worker is not None
        self.worker.wait_ready()
        if self.repetitions == 0:
            trial = min(self.worker.run(2))
            self.repetitions = max(2, min(500, round(block_seconds / trial)))
            print(f"  {self.name}: {trial * 1e3:.2f} ms at the start", file=sys.stderr, flush=True)

    def stop(self) -> None:
        if self.worker is None:
            return
        if self.guard is not None:
            self.guard.cancel()
        self.worker.close()
        self.device_bytes = max(self.device_bytes, self.worker.device_bytes)
        self.worker = None

    def fail(self, error: WorkerError) -> None:
        why = NO_TIME if self.late else reason(error)
        self.broken = why not in (NO_TIME, NO_MEMORY)
        self.note = f"{'ended early' if self.blocks else 'not measured'}: {why}"
        print(f"  {error}", file=sys.stderr, flush=True)
        self.stop()


def reason(error: WorkerError) -> str:
    """One line of what a worker wrote last."""
    lines = [line.strip() for line in str(error).splitlines()[1:]]
    if any("out of memory" in line.lower() for line in lines):
        return NO_MEMORY
    named = [line for line in lines if "error" in line.lower()]
    return (named or lines or [str(error)])[0][:120]


def start_all(entries: Sequence[Entry], block_seconds: float, clock: Clock) -> None:
    """Those that share the device's memory start side by side, since most of a start is compiling on the host."""
    together = all(entry.contender.resident for entry in entries)
    waiting: list[Entry] = []
    for entry in entries:
        if not entry.contender.resident:
            continue
        if clock.left() < entry.contender.start_seconds:
            entry.note = f"not measured: {NO_TIME}"
            continue
        entry.start(clock)
        waiting.append(entry)
        if not together:
            get_ready(waiting, block_seconds)
    get_ready(waiting, block_seconds)


def get_ready(waiting: list[Entry], block_seconds: float) -> None:
    while waiting:
        entry = waiting.pop(0)
        try:
            entry.make_ready(block_seconds)
        except WorkerError as error:
            entry.fail(error)


def take_turn(entry: Entry, block_seconds: float, clock: Clock) -> None:
    visiting = not entry.contender.resident
    if entry.note or (entry.worker is None and not visiting):
        return
    if clock.left() < (entry.contender.start_seconds if visiting else 0) + 2 * block_seconds:
        entry.note = "no time for more rounds" if entry.blocks else f"not measured: {NO_TIME}"
        return
    try:
        if visiting:
            entry.start(clock)
            entry.make_ready(block_seconds)
        assert entry.worker is not None
        entry.blocks.append(entry.worker.run(entry.repetitions))
    except WorkerError as error:
        entry.fail(error)
    if visiting:
        entry.stop()


def measure(contenders: Sequence[Contender], rounds: int, block_seconds: float, clock: Clock) -> list[Entry]:
    entries = [Entry(contender) for contender in contenders]
    try:
        start_all(entries, block_seconds, clock)
        for turn in range(rounds):
            for i in range(len(entries)):
                take_turn(entries[(turn + i) % len(entries)], block_seconds, clock)
    finally:
        for entry in entries:
            entry.stop()
    return entries
