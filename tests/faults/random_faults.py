"""What can happen to a job, drawn at random: see campaign.py."""

import random
import signal
from dataclasses import dataclass, field

from crash_points import KINDS

# Kinds of runs: ranks and settings. Small steps, many checkpoints, everything that is recorded.
APART = {"parallel.shared_memory": "off"}
VARIANTS: dict[str, tuple[int, dict[str, object]]] = {
    "1 rank": (1, {}),
    "2 ranks, shared memory": (2, {}),
    "2 ranks, messages": (2, APART),
    "2 ranks, bf16": (2, {"train.precision": "bf16"}),
    "2 ranks, ZeRO-1": (2, {**APART, "parallel.zero": 1}),
    "4 ranks, reproducible": (4, {"parallel.reduction": "reproducible"}),
}
SNAPSHOTS, CHECKPOINTS = (1, 2, 4, 8, 12), (3, 6, 9, 12)  # steps at which settings of job.py take them
DEATHS = ("kill", "segv", "abort", "exit", "throw")
ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS")
NUMBERS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
TARGETS = ("one rank", "all ranks", "mpirun")


@dataclass(frozen=True)
class Fault:
    """One thing that happens to a job. group: for the statistics. codes: exit codes that are right, None for any but 0
    and 75 (which say that all is well). sign: what a job says that it happened to and that went on."""

    group: str
    text: str
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    codes: tuple[int, ...] | None = None
    sign: str = ""
    number: signal.Signals | None = None
    target: str = ""
    after_rows: int = 0  # the signal is sent when log.jsonl has grown by so many rows of training

    def __str__(self) -> str:
        return f"{self.group}: {self.text}"

    def expects(self, code: int) -> bool:
        return code not in (0, 2, 75) if self.codes is None else code in self.codes


def death(draw: random.Random, ranks: int) -> Fault:
    place = draw.choice(["forward", "exchange", "snapshot", "checkpoint"])
    steps = {"snapshot": SNAPSHOTS, "checkpoint": CHECKPOINTS}.get(place, range(12))
    action, rank = draw.choice(DEATHS), draw.randrange(ranks)
    text = f"{place}:{rank}:{draw.choice(list(steps))}:{action}"
    return Fault("a rank dies", text, {"WEIGHTSCOPE_FAULT": text}, codes=(70,) if action == "throw" else None)


def hang(draw: random.Random, ranks: int) -> Fault:
    if ranks == 1:
        return death(draw, ranks)
    place, action = draw.choice([("forward", "stop"), ("forward", "hang"), ("collective", "corrupt")])
    text = f"{place}:{draw.randrange(ranks)}:{draw.randrange(1, 12)}:{action}"
    return Fault("a rank stops", text, {"WEIGHTSCOPE_FAULT": text}, {"parallel.timeout_s": 2}, codes=(9,))


def told_to_stop(draw: random.Random, _: int) -> Fault:
    number, target, rows = draw.choice(NUMBERS), draw.choice(TARGETS), draw.randrange(10)
    impatient = (number, target) == (signal.SIGTERM, "mpirun")  # which kills its ranks a second later
    return Fault(
        "told to stop, and killed" if impatient else "told to stop",
        f"{number.name} to {target} after {rows} rows",
        codes=None if impatient else (75,),
        number=number,
        target=target,
        after_rows=rows,
    )


def crash_at_a_file_operation(draw: random.Random, _: int) -> Fault:
    kind, at, action = draw.choice(list(KINDS)), draw.randrange(1, 120), draw.choice(["kill", "torn"])
    shim = {"SHIM_MATCH": KINDS[kind], "SHIM_AT": str(at), "SHIM_DO": action}
    return Fault("rank 0 dies at a file operation", f"{action} at {kind} {at}", shim)


def failing_disk(draw: random.Random, _: int) -> Fault:
    kind, at, error = draw.choice(list(KINDS)), draw.randrange(1, 120), draw.choice(ERRORS)
    shim = {"SHIM_MATCH": KINDS[kind], "SHIM_AT": str(at), "SHIM_DO": error, "SHIM_TIMES": str(draw.choice([1, 2, 5]))}
    return Fault("a disk fails for a moment", f"{error} at {kind} {at}", shim, codes=(5,), sign="warning: ")


def flipped_bit(draw: random.Random, ranks: int) -> Fault:
    if ranks == 1:
        return failing_disk(draw, ranks)
    tensor = draw.choice(["", "exp_avg.", "exp_avg_sq."]) + draw.choice(["wte.weight", "h.1.mlp.c_fc.weight"])
    text = f"{tensor}:{draw.randrange(1, ranks)}:{draw.randrange(1, 12)}:{draw.randrange(32)}:{draw.randrange(256)}"
    # Compared at every step and given back before it is used. Where replicas share memory nothing can differ, and the
    # program does not flip what has no second copy.
    repair = {"monitor.replicas": "repair", "monitor.replicas_every": 1}
    return Fault("a bit flips", text, {"WEIGHTSCOPE_FLIP": text}, repair, codes=(), sign="replicas differ")


def not_finite(draw: random.Random, ranks: int) -> Fault:
    text = f"exchange:{draw.randrange(ranks)}:{draw.randrange(12)}:corrupt"
    return Fault(
        "a loss is NaN",
        text,
        {"WEIGHTSCOPE_FAULT": text},
        {"train.nonfinite": "rollback"},
        codes=(),
        sign="is not finite",
    )


def draw_fault(draw: random.Random, ranks: int) -> Fault:
    kinds = [death, death, hang, told_to_stop, told_to_stop, crash_at_a_file_operation, failing_disk, flipped_bit]
    return draw.choice([*kinds, not_finite])(draw, ranks)
