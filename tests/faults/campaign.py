#!/usr/bin/env python3
"""Random faults at random places of random kinds of runs; then the final state must be that of an undisturbed run.

    tests/faults/campaign.py --runs 300 [--seed S] [--json FILE]

Each run meets one to three faults, each in the job that goes on after the one before. Then it is left alone until it
ends, and its weights, moments and every row of its record must have the bits of a run to which nothing happened.
Nothing may be left: no process, no half-written file, no shared memory. Prints how many runs recovered with the 95 %
bound (Clopper-Pearson), and how long it took until the last process was gone.
"""

import argparse
import contextlib
import json
import random
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from compare import checkpoint, experiment_differences, same_bits, state, status
from job import Ended, Job
from program import abandoned_segments, until, write_tiny
from random_faults import VARIANTS, Fault, draw_fault

LAST = 12


@dataclass
class Outcome:
    """One run: what happened to it, what is wrong with the result, and the times that were taken."""

    number: int
    variant: str
    faults: list[Fault]
    met: list[bool] = field(default_factory=list)  # else it came too late, or had nothing to happen to
    wrong: list[str] = field(default_factory=list)
    times: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class Campaign:
    folder: Path
    seed: int

    def job(self, variant: str, run: str) -> Job:
        return Job(self.folder, run, *VARIANTS[variant])

    def prepare(self) -> None:
        """The undisturbed run of each variant."""
        write_tiny(self.folder)
        for number, variant in enumerate(VARIANTS):
            ended = self.job(variant, f"whole-{number}").run()
            assert ended.code == 0, ended.err

    def run(self, number: int) -> Outcome:
        draw = random.Random(f"{self.seed} {number}")
        variant = draw.choice(list(VARIANTS))
        ranks = VARIANTS[variant][0]
        outcome = Outcome(number, variant, [draw_fault(draw, ranks) for _ in range(draw.choice([1, 1, 2, 3]))])
        job = self.job(variant, f"run-{number}")
        for fault in outcome.faults:
            ended = job.run(fault)
            outcome.met.append(ended.code != 0 or (bool(fault.sign) and fault.sign in ended.err))
            outcome.wrong += surprises(fault, ended, self.folder / job.name)
            if ended.seconds_to_end is not None and ended.code != 0:
                outcome.times.append((fault.group, ended.seconds_to_end))
        last = job.run()
        if last.code != 0 or last.timed_out:
            outcome.wrong.append(f"going on ended with {last.code}: {last.err}")
        else:
            outcome.wrong += self.differences(variant, self.folder / f"run-{number}")
        return outcome

    def differences(self, variant: str, run: Path) -> list[str]:
        whole = self.folder / f"whole-{list(VARIANTS).index(variant)}"
        found = unfinished(run)
        if found:
            return found
        found += same_bits(state(whole, LAST), state(run, LAST))
        record = experiment_differences(whole / "experiment.h5", run / "experiment.h5")
        found += [name for name in record if not name.startswith("alarms")]  # those of the faults stay on record
        left = [*(run / "checkpoints").glob(".*"), *(run / "tail").glob("*"), *run.glob(".*.tmp")]
        return found + [str(path) for path in left if checkpoint(run, LAST) not in path.parents]


def unfinished(run: Path) -> list[str]:
    """What a job that ended with 0 must have left, and did not."""
    wrong = [] if (checkpoint(run, LAST) / "manifest.json").exists() else [f"there is no checkpoint of step {LAST}"]
    return wrong if status(run) == "finished" else [*wrong, f"the run is {status(run)}"]


def surprises(fault: Fault, ended: Ended, run: Path) -> list[str]:
    """0 is right for a run that finished: the fault came too late, or was survived."""
    wrong = []
    if ended.timed_out:
        wrong.append(f"{fault}: {ended.err}")
    elif ended.code == 0:
        wrong += [f"{fault} ended with 0: {what}" for what in unfinished(run)]
    elif not fault.expects(ended.code):
        wrong.append(f"{fault} ended with {ended.code}: {ended.err}")
    if ended.left:
        wrong.append(f"{fault} left processes {ended.left}")
    return wrong


def summary(outcomes: list[Outcome]) -> dict:
    from scipy.stats import beta

    failed = [o for o in outcomes if o.wrong]
    n, k = len(outcomes), len(failed)
    groups: dict[str, list[float]] = {}
    for o in outcomes:
        for group, seconds in o.times:
            groups.setdefault(group, []).append(seconds)
    kinds: dict[str, int] = {}
    for o in outcomes:
        for fault, met in zip(o.faults, o.met, strict=True):
            kind = f"{fault.group}, {'met' if met else 'not met'}"
            kinds[kind] = kinds.get(kind, 0) + 1
    return {
        "runs": n,
        "recovered": n - k,
        "failure_probability_below": float(beta.ppf(0.95, k + 1, n - k)) if k < n else 1.0,
        "faults": dict(sorted(kinds.items())),
        "seconds_until_gone": {
            group: {"n": len(times), "median": statistics.median(times), "max": max(times)}
            for group, times in sorted(groups.items())
        },
        "failures": [
            {"run": o.number, "variant": o.variant, "faults": list(map(str, o.faults)), "wrong": o.wrong}
            for o in failed
        ],
    }


def run_campaign(folder: Path, runs: int, seed: int, at_a_time: int) -> dict:
    campaign = Campaign(folder, seed)
    campaign.prepare()
    before = abandoned_segments()
    with ThreadPoolExecutor(at_a_time) as pool:
        result = summary(list(pool.map(campaign.run, range(runs))))
    with contextlib.suppress(AssertionError):  # files of others come and go
        until(lambda: abandoned_segments() <= before, 10)
    result["shared_memory_left"] = sorted(abandoned_segments() - before)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-a-time", type=int, default=2, help="runs side by side (times are longer than alone)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run_campaign(Path(folder), arguments.runs, arguments.seed, arguments.at_a_time)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 1 if result["failures"] or result["shared_memory_left"] else 0


if __name__ == "__main__":
    sys.exit(main())
