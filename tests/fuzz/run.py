#!/usr/bin/env python3
"""Runs fuzz targets and prints what they did. Exit code 1 when one of them found something.

run.py BUILD [TARGET ...] [--seconds N] [--jobs N] [--corpus FOLDER]

The seeds are only read. What the targets learn is kept in --corpus for the next run, or forgotten. What they find stays
in BUILD/findings/TARGET-*: give such a file to BUILD/tests/fuzz/fuzz_TARGET to see it again. The line of each target is
also in BUILD/outcomes/TARGET."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = ["config", "safetensors", "tokens", "manifest", "checkpoint", "hf_config"]
OPTIONS = [
    "-max_len=4096",
    "-len_control=0",
    "-timeout=20",
    "-rss_limit_mb=1500",
    "-malloc_limit_mb=512",
    "-use_value_profile=1",
    "-print_final_stats=1",
]


@dataclass
class Outcome:
    target: str
    executions: int
    edges: int
    findings: int
    log: str

    def __str__(self) -> str:
        numbers = f"{self.executions:>12,} executions {self.edges:>6,} edges {self.findings:>3} findings"
        return f"fuzz {self.target:12} {numbers}"


def fuzz(target: str, build: Path, seconds: int, corpus: Path) -> Outcome:
    findings, outcomes = build / "findings", build / "outcomes"
    for folder in (findings, outcomes, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.glob(f"{target}-*"))
    words = HERE / "words" / target
    done = subprocess.run(
        [
            build / f"tests/fuzz/fuzz_{target}",
            f"-max_total_time={seconds}",
            f"-artifact_prefix={findings}/{target}-",
            *([f"-dict={words}"] if words.exists() else []),
            *OPTIONS,
            corpus,
            HERE / "seeds" / target,
        ],
        env=os.environ | {"UBSAN_OPTIONS": "print_stacktrace=1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    log = done.stderr.decode(errors="replace")
    edges = re.findall(r"cov: (\d+) ft:", log)[-1:] or ["0"]
    count = re.search(r"stat::number_of_executed_units: +(\d+)", log)
    found = len(set(findings.glob(f"{target}-*")) - before) or int(done.returncode != 0)
    outcome = Outcome(target, int(count[1]) if count else 0, int(edges[0]), found, log)
    (outcomes / target).write_text(f"{outcome}\n")
    return outcome


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=Path)
    arguments.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS) + "; default: all")
    arguments.add_argument("--seconds", type=int, default=60, help="for each target")
    arguments.add_argument("--jobs", type=int, default=1, help="targets at a time")
    arguments.add_argument("--corpus", type=Path, help="folder that grows from run to run")
    a = arguments.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(a.jobs) as pool:
        corpus = a.corpus or Path(scratch)
        found = 0
        for outcome in pool.map(lambda t: fuzz(t, a.build.resolve(), a.seconds, corpus / t), a.targets or TARGETS):
            if outcome.findings:
                print("\n".join(outcome.log.splitlines()[-60:]))
            print(outcome, flush=True)
            found += outcome.findings
    sys.exit(bool(found))


main()
