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
from workers import WorkerError, interleave

from train import SHAPES, Mode, Shape, our_command

ASSUMED = """
Assumed, not measured. CPU nodes: 64 ranks with the step of one rank measured above; they read each other's gradients
once, at 200 GB/s for the node; 25 GB/s and 2 µs between nodes. GPU nodes: 8 ranks with a step of 140 ms (65,536 tokens
of GPT-2 124M at 470,000 tokens/s); a ring at 400 GB/s within the node; 8 × 50 GB/s and 5 µs between nodes. Between
nodes: a ring all-reduce, 2 (n − 1)/n of the bytes and 2 (n − 1) messages, after the backward pass. bf16 transport
halves the bytes between nodes; gradient accumulation divides the cost by the number of micro-batches.
"""


@dataclass(frozen=True)
class Cluster:
    """Ranks of a node share memory or NVLink; the first ranks (or all GPUs) of the nodes meet over a network."""

    name: str
    ranks_per_node: int
    step_seconds: float  # of one rank by itself
    shared_memory: bool  # one pass over all gradients of the node; else a ring within the node
    inside_gb_s: float  # shared memory: of the node's memory; ring: of a rank's links
    network_gb_s: float  # per node
    latency_s: float

    def seconds(self, parameters: int, ranks: int) -> float:
        """Ring all-reduce (Patarasuk & Yuan 2009) between nodes: 2 (n − 1) / n of the bytes, 2 (n − 1) messages."""
        nodes = max(1, ranks // self.ranks_per_node)
        local = min(ranks, self.ranks_per_node)
        size = 4 * parameters / 1e9
        traffic = local - 1 if self.shared_memory else 2 * (local - 1) / local
        inside = traffic * size / self.inside_gb_s
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
    parser.add_argument("--predict", action="store_true", help="8 to 1024 ranks from a model of the exchange")
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
        Cluster("CPU nodes", 64, alone, True, 200.0, 25.0, 2e-6),
        Cluster("GPU nodes", 8, 0.14, False, 400.0, 400.0, 5e-6),
    ]
    if arguments.predict:
        print("Predicted, weak scaling, gradients in float32, nothing overlapped:\n")
        print(predicted(clusters, parameters))
        print(ASSUMED)
    print(caption())
    if arguments.json:
        write_json(arguments.json, {"shape": arguments.shape, "precision": arguments.precision}, document)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerError as error:
        sys.exit(f"scaling.py: {error}")
