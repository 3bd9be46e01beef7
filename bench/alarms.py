"""How often alarms are wrong: false ones of clean runs, and which faults they find, how late.

Small models on real text, one rank each. Clean: several configurations and seeds. Faults, from a step on: learning rate
times 30, random labels, a zeroed or a swollen head, sharp attention, a flipped bit, a gradient that is not a number.
Needs data/kjv (launch/data.sh kjv) and a test build (build/dev), whose fault points do the damage. Prints Markdown
tables; --json keeps every alarm.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from results import ROOT, caption, table, write_json
from scipy.stats import beta, chi2
from workers import ENVIRONMENT

STEPS = 500
BASE = {
    "model.layers": 2, "model.heads": 4, "model.width": 64, "model.block": 64, "model.vocab": 256,
    "train.steps": STEPS, "train.global_batch": 8, "train.micro_batch": 8, "train.device": "cpu",
    "optimizer.lr": 2e-3, "schedule.warmup_steps": 40,
    "monitor.every": 10, "monitor.probe_every": 10, "monitor.probe_blocks": 2, "monitor.displacement": "false",
    "eval.every": 0, "checkpoint.every": 0,
}  # fmt: skip
CLEAN: dict[str, dict[str, object]] = {
    "article": {},
    "gpt2, 3 layers": {
        "init.scheme": "gpt2", "model.layers": 3, "model.width": 96, "model.heads": 3, "optimizer.lr": 1e-3,
    },
    "zero_proj, batch 16": {"init.scheme": "zero_proj", "model.layers": 3, "train.global_batch": 16},
    "qk_norm, lr 4e-3, wsd": {
        "init.scheme": "normal", "model.qk_norm": "true", "optimizer.lr": 4e-3, "schedule.name": "wsd",
    },
    "xavier_uniform, constant lr": {
        "init.scheme": "xavier_uniform", "model.heads": 8, "optimizer.lr": 5e-4, "schedule.name": "constant",
    },
    "mitchell, untied, linear to 0": {
        "init.scheme": "mitchell", "model.tied": "false", "schedule.name": "linear", "schedule.min_ratio": 0,
    },
}  # fmt: skip
FAULTS: dict[str, dict[str, str]] = {
    "learning rate × 30": {"WEIGHTSCOPE_FAULT_FROM": "rate:{step}"},
    "random labels": {"WEIGHTSCOPE_FAULT_FROM": "labels:{step}"},
    "zeroed head": {"WEIGHTSCOPE_FAULT_FROM": "head:{step}"},
    "a head's q, k and v × 6": {"WEIGHTSCOPE_FAULT": "head:0:{step}:corrupt"},
    "q and k of a layer × 10": {"WEIGHTSCOPE_FAULT": "logits:0:{step}:corrupt"},
    "NaN in the loss": {"WEIGHTSCOPE_FAULT": "exchange:0:{step}:corrupt"},
    "flipped bit 30 of a weight": {"WEIGHTSCOPE_FLIP": "h.1.mlp.c_fc.weight:0:{step}:30:{element}"},
    "flipped bit 25 of a weight": {"WEIGHTSCOPE_FLIP": "h.1.mlp.c_fc.weight:0:{step}:25:{element}"},
    "flipped bit 22 of a weight": {"WEIGHTSCOPE_FLIP": "h.1.mlp.c_fc.weight:0:{step}:22:{element}"},
}
REPLICAS = {"train.micro_batch": 4, "parallel.shared_memory": "off", "monitor.replicas_every": 10, "train.steps": 120}
ONE_STEP_NORM = 10  # a loss spike is confirmed by a gradient norm so many times the median of the 64 before


@dataclass
class Job:
    group: str
    settings: dict[str, object]
    seed: int
    environment: dict[str, str] = field(default_factory=dict)
    fault_step: int = -1
    ranks: int = 1


@dataclass
class Outcome:
    group: str
    seed: int
    steps: int
    fault_step: int
    code: int
    alarms: list[dict]
    confirmed: list[bool]  # of each alarm: whether it is a spike that the gradient norm shows, too


def run(job: Job, arguments: argparse.Namespace, folder: Path, number: int) -> Outcome:
    output = folder / str(number)
    settings = {
        "name": "alarms", "output": output, "seed": job.seed,
        "data.train": arguments.data / "train.bin", "data.val": arguments.data / "val.bin", **BASE, **job.settings,
    }  # fmt: skip
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    launch = [] if job.ranks == 1 else ["mpirun", "--bind-to", "none", "-n", str(job.ranks)]
    done = subprocess.run(
        [*launch, arguments.program, "train", folder / "run.yaml", *words, "--progress", "none"],
        env={**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1", **job.environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 7, 8):
        sys.exit(f"alarms.py: {done.stderr}")
    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    alarms = [event for event in log if event["event"] == "alarm"]
    if done.returncode == 8:  # recorded by nobody: the run ends there
        step = int(done.stderr.split("replicas differ at step ")[1].split(":")[0])
        alarms.append({"step": step, "rule": "replicas", "target": ""})
    norms = [event["grad_norm"] for event in log if event["event"] == "train"]
    confirmed = [alarm["rule"] == "loss_spike" and stands_out(norms, alarm["step"] - 1) for alarm in alarms]
    return Outcome(job.group, job.seed, len(norms), job.fault_step, done.returncode, alarms, confirmed)


def stands_out(norms: list[float | None], step: int) -> bool:
    before = [norm for norm in norms[max(0, step - 64) : step] if norm is not None]
    return norms[step] is not None and norms[step] > ONE_STEP_NORM * median(before)


def clean_jobs(seeds: int) -> list[Job]:
    """Thresholds were chosen on seeds 1 to 3."""
    return [Job(name, settings, seed) for name, settings in CLEAN.items() for seed in range(11, 11 + seeds)]


def fault_jobs(runs: int) -> list[Job]:
    """Each run with another configuration, seed, step (after warm-up, before the end) and element."""
    jobs = []
    for name, environment in FAULTS.items():
        for i in range(runs):
            settings = list(CLEAN.values())[i % len(CLEAN)]
            step = 150 + 37 * i % 250
            given = {key: text.format(step=step, element=97 * i + 5) for key, text in environment.items()}
            jobs.append(Job(name, settings, 100 + i, given, step))
    for bit in (30, 22):
        for i in range(runs):
            step, flip = 53 + 37 * i % 50, f"h.1.mlp.c_fc.weight:1:{{}}:{bit}:{97 * i + 5}"
            given = {"WEIGHTSCOPE_FLIP": flip.format(step)}
            jobs.append(Job(f"flipped bit {bit}, 2 replicas", REPLICAS, 200 + i, given, step, 2))
    return jobs


def poisson_interval(count: int, exposure: float) -> tuple[float, float]:
    """95 %, exact (Garwood 1936), per unit of exposure."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return low / exposure, chi2.ppf(0.975, 2 * count + 2) / 2 / exposure


def binomial_interval(found: int, tried: int) -> tuple[float, float]:
    """95 %, exact (Clopper & Pearson 1934)."""
    low = beta.ppf(0.025, found, tried - found + 1) if found else 0.0
    high = beta.ppf(0.975, found + 1, tried - found) if found < tried else 1.0
    return float(low), float(high)


def clean_table(outcomes: list[Outcome]) -> str:
    lines = []
    for name in [*CLEAN, "all"]:
        group = [o for o in outcomes if name in (o.group, "all")]
        steps, count = sum(o.steps for o in group), sum(len(o.alarms) for o in group)
        confirmed = sum(sum(o.confirmed) for o in group)
        low, high = poisson_interval(count - confirmed, steps / 1000)
        rules = Counter(a["rule"] for o in group for a, real in zip(o.alarms, o.confirmed, strict=True) if not real)
        lines.append(
            [f"**{name}**" if name == "all" else name, str(len(group)), f"{steps:,}", str(count), str(confirmed),
             str(count - confirmed), f"{(count - confirmed) / steps * 1000:.3f} ({low:.3f}–{high:.3f})",
             f"{sum(len(o.alarms) > sum(o.confirmed) for o in group)} of {len(group)}",
             ", ".join(f"{rule} {n}" for rule, n in rules.items()) or "–"]
        )  # fmt: skip
    heads = ["clean runs", "runs", "steps", "alarms", "true spikes", "false", "false per 1000 steps (95 %)",
             "runs with a false one", "rules"]  # fmt: skip
    return table(heads, lines)


def fault_table(outcomes: list[Outcome]) -> str:
    lines = []
    for name in dict.fromkeys(o.group for o in outcomes):
        group = [o for o in outcomes if o.group == name]
        first, rules = [], Counter()
        for outcome in group:
            after = [a for a in outcome.alarms if a["step"] >= outcome.fault_step]
            if after:
                first.append(min(a["step"] for a in after) - outcome.fault_step)
                rules.update({a["rule"] for a in after})
        low, high = binomial_interval(len(first), len(group))
        delay = f"{median(first):g} ({min(first)}–{max(first)})" if first else "–"
        lines.append(
            [name, str(len(group)), str(len(first)), f"{len(first) / len(group):.0%} ({low:.0%}–{high:.0%})", delay,
             ", ".join(f"{rule} {n}" for rule, n in rules.most_common()) or "–"]
        )  # fmt: skip
    heads = ["fault", "runs", "found", "rate (95 %)", "steps until the first alarm, median (range)", "runs per rule"]
    return table(heads, lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="clean runs of each configuration")
    parser.add_argument("--faults", type=int, default=12, help="runs of each fault")
    parser.add_argument("--parallel", type=int, default=len(os.sched_getaffinity(0)), help="runs at a time")
    parser.add_argument("--program", type=Path, default=ROOT / "build/dev/weightscope", help="a test build")
    parser.add_argument("--data", type=Path, default=ROOT / "data/kjv")
    parser.add_argument("--json", type=Path, help="every alarm of every run")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    jobs = clean_jobs(arguments.seeds) + fault_jobs(arguments.faults)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(arguments.parallel) as pool:
        (Path(folder) / "run.yaml").write_text("name: alarms\n")
        outcomes = list(pool.map(lambda job: run(job[1], arguments, Path(folder), job[0]), enumerate(jobs)))
    clean = [o for o in outcomes if o.fault_step < 0]
    faulty = [o for o in outcomes if o.fault_step >= 0]
    print(f"{clean_table(clean)}\n\n{fault_table(faulty)}\n\n{caption()}")
    if arguments.json:
        write_json(
            arguments.json,
            {"seeds": arguments.seeds, "faults": arguments.faults, "steps": STEPS},
            [
                {"name": "clean", "runs": [asdict(o) for o in clean]},
                {"name": "faults", "runs": [asdict(o) for o in faulty]},
            ],
        )


if __name__ == "__main__":
    main()
