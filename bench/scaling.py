"""Weak and strong scaling of the training step on this machine, and a prediction for larger ones.

Weak: the same batch per rank; strong: the same batch over all ranks. One thread per rank; more ranks than cores are
oversubscribed, which the table says. The prediction is arithmetic with the parameters it prints: nothing of it is
measured beyond the step of one rank.
"""

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from results import ROOT, Row, as_json, caption, rows_of, table, write_json
from train import SHAPES, Mode, Shape, our_command
from workers import WorkerError, interleave


@dataclass(frozen=True)
class Cluster:
    """Ranks of a node share memory or NVLink; the first ranks (or all GPUs) of the nodes meet over a network."""

    name: str
    ranks_per_node: int
    step_seconds: float  # forward and backward of one rank's batch
    inside_gb_s: float  # what the exchange within a node moves per rank and second; 0: hidden in the update
    network_gb_s: float  # per node
    latency_s: float

    def seconds(self, parameters: int, ranks: int) -> float:
        """Ring all-reduce (Patarasuk & Yuan 2009) between nodes: 2 (n − 1) / n of the bytes, 2 (n − 1) messages."""
        nodes = max(1, ranks // self.ranks_per_node)
        local = min(ranks, self.ranks_per_node)
        size = 4 * parameters / 1e9
        inside = 2 * (local - 1) / local * size / self.inside_gb_s if self.inside_gb_s and local > 1 else 0.0
        between = 2 * (nodes - 1) / nodes * size / self.network_gb_s + 2 * (nodes - 1) * self.latency_s
        return self.step_seconds + inside + between


def measured(arguments: argparse.Namespace, shape: Shape, kind: str) -> tuple[list[list[str]], list[Row]]:
    cores = len(os.sched_getaffinity(0))
    commands = []
    for ranks in arguments.ranks:
        batch = shape.batch * (ranks if kind == "weak" else 1)
        command = our_command(arguments.program, replace(shape, batch=batch), arguments.precision, Mode(ranks, 1))
        commands.append(replace(command, name=str(ranks)))
    rows = rows_of(interleave(commands, arguments.rounds, arguments.block_seconds))
    lines = []
    for ranks, row in zip(arguments.ranks, rows, strict=True):
        used = min(ranks, cores)
        work = ranks if kind == "weak" else 1
        speed = work / row.ratio.median  # tokens per second over those of one rank
        note = "" if ranks <= cores else f"{ranks} ranks on {cores} cores"
        lines.append(
            [kind, str(ranks), f"{1e3 * row.seconds.median:.0f}", f"{speed:.2f}×", f"{speed / used:.2f}", note]
        )
    return lines, rows


def predicted(clusters: list[Cluster], parameters: int) -> str:
    lines = []
    for ranks in (8, 16, 64, 256, 1024):
        cells = [str(ranks)]
        for cluster in clusters:
            seconds = cluster.seconds(parameters, ranks)
            cells += [f"{1e3 * seconds:.0f}", f"{cluster.step_seconds / seconds:.2f}"]
        lines.append(cells)
    heads = ["ranks", *(text for c in clusters for text in (f"{c.name}: ms", "efficiency"))]
    return table(heads, lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--shape", choices=tuple(SHAPES), default="S")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--ranks", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--block-seconds", type=float, default=3.0)
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/weightscope_bench_step")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    heads = ["", "ranks", "ms per step", "tokens/s over 1 rank", "efficiency per core", ""]
    lines, document, alone = [], [], 0.0
    for kind in ("weak", "strong"):
        some, rows = measured(arguments, shape, kind)
        lines += some
        document.append({"kind": kind, "rows": as_json(rows)})
        alone = rows[0].seconds.median if kind == "weak" else alone
    print(f"**{arguments.shape}** {arguments.precision}, one thread per rank\n\n{table(heads, lines)}\n")
    parameters = shape.layers * 12 * shape.width**2 + (shape.vocab + shape.block) * shape.width
    clusters = [
        Cluster("CPU nodes, 64 ranks, 25 GB/s, 2 µs", 64, alone, 0.0, 25.0, 2e-6),
        Cluster("GPU nodes, 8 × 400 GB/s, 8 × 50 GB/s, 5 µs", 8, 0.14, 400.0, 400.0, 5e-6),
    ]
    print("Predicted, weak scaling, gradients in float32, nothing overlapped:\n")
    print(predicted(clusters, parameters))
    print(
        "\nAssumed: the step of one rank is the one measured above (CPU) and 140 ms (GPU; published for a batch of "
        "65,536 tokens of GPT-2 124M on an H100); a ring all-reduce over the nodes at the bandwidth and latency named; "
        f"within a CPU node the exchange hides in the update. {caption()}"
    )
    if arguments.json:
        write_json(arguments.json, {"shape": arguments.shape, "precision": arguments.precision}, document)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerError as error:
        sys.exit(f"scaling.py: {error}")
