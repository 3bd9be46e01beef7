#!/usr/bin/env python3
"""Flips every bit of a float, in the weights and in both moments of one replica, and looks whether the run notices.

    tests/faults/flips.py [--every N] [--seed S]

Two ranks that do not share memory compare their replicas at every second step. Each bit position 0..31 of a weight, of
a first and of a second moment is flipped on rank 1, in a random element of a random tensor: after the step that ends
with a comparison, and a whole step before one. Found means exit code 8, the tensor and the rank named. Between two
comparisons rounding can swallow the last bits of a moment, and a tensor that the flip has spread to can be named first.
"""

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from compare import same_bits, state
from program import Program, write_tiny

SETTINGS = {"parallel__shared_memory": "off", "monitor__replicas_every": 2}
COMPARED_AT = 8


@dataclass(frozen=True)
class Flip:
    prefix: str  # "", "exp_avg." or "exp_avg_sq."
    tensor: str
    bit: int
    element: int
    step: int

    def __str__(self) -> str:
        return f"{self.prefix}{self.tensor}:1:{self.step}:{self.bit}:{self.element}"


def flips(sizes: dict[str, int], seed: int) -> Iterator[Flip]:
    draw = random.Random(seed)
    for step in (COMPARED_AT, COMPARED_AT - 1):
        for prefix in ("", "exp_avg.", "exp_avg_sq."):
            for bit in range(32):
                tensor = draw.choice(sorted(sizes))
                yield Flip(prefix, tensor, bit, draw.randrange(sizes[tensor]), step)


def outcome(program: Program, flip: Flip, number: int) -> str:
    """'named', 'found' (another tensor named first), 'swallowed' (by rounding: the run ends as if nothing had
    happened, and rightly so), or what went wrong."""
    run = f"flip-{number}"
    ended = program.train("tiny.yaml", run, ranks=2, check=False, flip=str(flip), **SETTINGS)
    if ended.code == 8 and f"{flip.prefix}{flip.tensor} on rank 1 " in ended.err:
        return "named"
    if ended.code == 8 and " on rank 1 " in ended.err and flip.step < COMPARED_AT:
        return "found"
    same = ended.code == 0 and same_bits(state(program.folder / "whole", 12), state(program.folder / run, 12)) == []
    if same and flip.step < COMPARED_AT:
        return "swallowed"
    return f"not found, code {ended.code}: {ended.err.splitlines()[:1]}"


def flip_all(folder: Path, every: int, seed: int) -> tuple[Counter[tuple[str, bool, str]], list[str]]:
    """How often what came of it, by array and by whether a step lay between; and what went wrong."""
    program = Program(folder)
    write_tiny(folder)
    program.train("tiny.yaml", "whole", ranks=2, **SETTINGS)
    sizes = {name: value.size for name, value in state(folder / "whole", 12).items() if not name.startswith("exp_")}
    chosen = list(flips(sizes, seed))[::every]
    counts: Counter[tuple[str, bool, str]] = Counter()
    wrong = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(lambda work: outcome(program, work[1], work[0]), enumerate(chosen))
        for flip, what in zip(chosen, outcomes, strict=True):
            if what.startswith("not"):
                wrong.append(f"{flip}: {what}")
            counts[flip.prefix or "weights", flip.step < COMPARED_AT, what.split(",")[0]] += 1
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only every Nth flip")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = flip_all(Path(folder), arguments.every, arguments.seed)
    print("\n".join(wrong))
    for (array, before, what), count in sorted(counts.items()):
        print(f"{array.rstrip('.'):12} {'a step before' if before else 'at once':14} {what:10} {count}")
    print(f"{counts.total()} flips, {len(wrong)} not found")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
