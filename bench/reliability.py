"""What it costs GPT-2 124M to be safe, on two ranks: comparing replicas, writing checkpoints beside the training.

Comparing: the hash of all that a rank compares, on two ranks at once, over a training step in the same run, at the
default cadence.
Checkpoints: `weightscope train` itself, which logs how long training stood still and how long the writing took.
Prints Markdown tables.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from results import ROOT, Spread, as_json, caption, rows_of, table, write_json
from workers import ENVIRONMENT, Command, WorkerError, interleave

from train import SHAPES, Mode, Shape, our_command

TEXT = ROOT / "data/kjv/train.bin"
CADENCE = 50  # monitor.replicas_every
ARRAYS = {"weights, moments in shards": 1, "weights and moments": 3}


def comparing(arguments: argparse.Namespace) -> tuple[str, list[dict]]:
    step = our_command(arguments.build / "weightscope_bench_step", SHAPES["M"], "fp32", Mode(2, 1))
    digest = str(arguments.build / "weightscope_bench_digest")
    # Ranks hash at the same moment, and share the memory's bandwidth: two copies, not one alone.
    launch = [sys.executable, str(Path(__file__).parent / "together.py"), "2"]
    commands = [step] + [
        Command(name, [*launch, digest, "--arrays", str(arrays), "--threads", "1"], 1)
        for name, arrays in ARRAYS.items()
    ]
    rows = rows_of(interleave(commands, arguments.rounds, arguments.block_seconds))
    lines = [
        [row.name, f"{1e3 * row.seconds.median:.1f}", f"{row.ratio.median:.1%}", f"{row.ratio.median / CADENCE:.3%}"]
        for row in rows[1:]
    ]
    heads = ["compared on each rank, 1 thread", "ms", "of a step", f"of the time, every {CADENCE} steps"]
    return table(heads, lines), as_json(rows)


def train(arguments: argparse.Namespace, folder: Path, steps: int, every: int) -> list[dict]:
    """The log of a short training of GPT-2 124M."""
    shape: Shape = SHAPES["M" if not arguments.quick else "tiny"]
    model = ", ".join(f"{name}: {getattr(shape, name)}" for name in ("layers", "heads", "width", "block", "vocab"))
    config = folder / "run.yaml"
    config.write_text(
        f"name: reliability\noutput: {folder}/run\nmodel: {{{model}}}\n"
        f"data: {{train: {TEXT}}}\ntrain: {{steps: {steps}, global_batch: 4, micro_batch: 2}}\n"
        f"monitor: {{every: {steps}, early: none, replicas_every: 0}}\neval: {{every: 0}}\n"
        f"checkpoint: {{every: {every}, keep: 1}}\n"
    )
    words = ["mpirun", "--bind-to", "none", "-n", "2", str(arguments.build / "weightscope"), "train", str(config)]
    env = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*words, "--progress", "none"], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WorkerError(done.stderr)
    return [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]


def checkpoints(arguments: argparse.Namespace) -> tuple[str, list[dict]]:
    """Stall over writing time, and what the writing takes from the steps beside it."""
    lines, document = [], []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        every = 8 if not arguments.quick else 3
        rows = train(arguments, Path(folder), every * arguments.checkpoints + 1, every)
    written = [row for row in rows if row["event"] == "checkpoint"][:-1]  # the last one ends the run: nothing beside it
    stall = Spread.of([row["stall_seconds"] for row in written])
    write = Spread.of([row["write_seconds"] for row in written])
    ratio = Spread.of([row["stall_seconds"] / row["write_seconds"] for row in written])
    seconds = {row["step"]: row["step_seconds"] for row in rows if row["event"] == "train"}
    busy = {row["step"] + i for row in written for i in (0, 1)}  # steps while a checkpoint is being written
    calm = median([s for step, s in seconds.items() if step not in busy and step > 1])
    beside = median([s for step, s in seconds.items() if step in busy])
    lines.append(
        [f"{len(written)} checkpoints", f"{write.median:.2f}", f"{1e3 * stall.median:.0f}",
         f"{ratio.median:.1%} ({ratio.q25:.1%}–{ratio.q75:.1%})", f"{beside / calm:.2f}×"]
    )  # fmt: skip
    document = [{"name": "checkpoints", "written": written, "step_seconds": seconds}]
    return table(["1.5 GB each", "s to write", "ms of stall", "stall / write", "steps beside it"], lines), document


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--block-seconds", type=float, default=2.0)
    parser.add_argument("--checkpoints", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where checkpoints are written (default: the temporary folder)")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--quick", action="store_true", help="2 short rounds, a tiny model: shows that it works")
    parser.add_argument("--json", type=Path, help="all timings")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.block_seconds, arguments.checkpoints = 2, 0.05, 3
    return arguments


def main() -> int:
    arguments = parse()
    if not TEXT.exists():
        raise WorkerError(f"{TEXT} is missing; ./launch/data.sh kjv makes it")
    compared, timings = comparing(arguments)
    saved, document = checkpoints(arguments)
    print(f"{compared}\n\n{saved}\n\n{caption()}")
    if arguments.json:
        write_json(arguments.json, {"rounds": arguments.rounds}, [{"rows": timings}, *document])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerError as error:
        sys.exit(f"reliability.py: {error}")
