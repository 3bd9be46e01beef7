"""Measures weightscope's training step against PyTorch's, in the same run.

Tokens are random, gradients are clipped at 1, the optimizer is AdamW. Prints Markdown tables.
"""

import argparse
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from peers.gemm_peer import FLOPS as GEMM_FLOPS
from results import ROOT, Row, as_json, caption, ratio_text, rows_of, table, write_json
from workers import Command, WorkerError, interleave

PEER = Path(__file__).parent / "peers" / "train_peer.py"
GEMM = Path(__file__).parent / "peers" / "gemm_peer.py"
PEERS = {
    "plain": ("PyTorch, plain GPT", ["--model", "plain"]),
    "plain-compile": ("PyTorch, plain GPT, torch.compile", ["--model", "plain", "--compile"]),
    "transformers": ("transformers GPT2LMHeadModel", ["--model", "transformers"]),
    "transformers-compile": ("transformers, torch.compile", ["--model", "transformers", "--compile"]),
}


@dataclass(frozen=True)
class Shape:
    """A model and the batch of one step, over all ranks."""

    title: str
    layers: int
    heads: int
    width: int
    vocab: int
    block: int
    batch: int
    dropout: float = 0.0

    @property
    def flops(self) -> float:
        """Of the model, forward and backward: 6 per weight of a matrix and token, and causal attention."""
        weights = 12 * self.layers * self.width**2 + self.vocab * self.width
        return self.batch * self.block * 6.0 * (weights + self.layers * self.block * self.width)

    def words(self) -> list[str]:
        names = ("layers", "heads", "width", "vocab", "block", "batch", "dropout")
        return [word for name in names for word in (f"--{name}", str(getattr(self, name)))]


SHAPES = {
    "tiny": Shape("2 layers, 2 heads, width 128, vocabulary 256, 8 × 64 tokens", 2, 2, 128, 256, 64, 8),
    "S": Shape("6 layers, 6 heads, width 384, vocabulary 256, 16 × 256 tokens", 6, 6, 384, 256, 256, 16),
    "M": Shape("GPT-2 124M (12, 12, 768, vocabulary 50257, block 64), 4 × 64 tokens", 12, 12, 768, 50257, 64, 4),
    "M1024": Shape("GPT-2 124M (12, 12, 768, vocabulary 50257), 1 × 1024 tokens", 12, 12, 768, 50257, 1024, 1),
}


@dataclass(frozen=True)
class Mode:
    ranks: int
    threads: int

    @classmethod
    def parse(cls, text: str) -> "Mode":
        ranks, _, threads = text.partition("x")
        return cls(int(ranks), int(threads))

    @property
    def title(self) -> str:
        return f"{self.ranks} × {self.threads}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def our_command(program: Path, shape: Shape, precision: str, mode: Mode) -> Command:
    options = [*shape.words(), "--precision", precision, "--threads", str(mode.threads)]
    launch = ["mpirun", "--bind-to", "none", "-n", str(mode.ranks)] if mode.ranks > 1 else []
    return Command("weightscope", [*launch, str(program), *options], mode.threads)


def peer_command(peer: str, shape: Shape, precision: str, mode: Mode) -> Command:
    title, choice = PEERS[peer]
    options = [str(PEER), *choice, *shape.words(), "--precision", precision, "--threads", str(mode.threads)]
    if mode.ranks == 1:
        return Command(title, [sys.executable, *options], mode.threads)
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(mode.ranks), "--master-addr", "127.0.0.1"]
    launch += ["--master-port", str(free_port())]
    return Command(f"{title}, DDP gloo", [sys.executable, *launch, *options], mode.threads)


def gemm_command(precision: str, mode: Mode) -> Command:
    words = [sys.executable, str(GEMM), "--precision", precision, "--threads", str(mode.threads)]
    return Command("torch.mm", words, mode.threads)


@dataclass(frozen=True)
class Group:
    """What ran in turn. `gemm`: seconds of one torch.mm by one rank, while the others waited."""

    precision: str
    mode: Mode
    rows: Sequence[Row]
    gemm: Row

    def lines(self, shape: Shape) -> list[list[str]]:
        at_most = self.mode.ranks * GEMM_FLOPS / self.gemm.seconds.median
        own = self.rows[0].peak_bytes
        lines = []
        for row in self.rows:
            middle, low, high = (f"{1e3 * t:.1f}" for t in (row.seconds.median, row.seconds.q25, row.seconds.q75))
            rate = f"{shape.batch * shape.block / row.seconds.median:.0f}"
            share = f"{shape.flops / row.seconds.median / at_most:.0%}"
            memory = f"{row.peak_bytes / 2**20:.0f} ({row.peak_bytes / own:.2f}×)"
            time = f"{middle} ({low}–{high})"
            lines.append([row.name, self.precision, self.mode.title, rate, time, ratio_text(row), share, memory])
        return lines


def markdown(name: str, shape: Shape, groups: Sequence[Group]) -> str:
    heads = [
        "", "precision", "ranks × threads", "tokens/s", "ms per step (quartiles)", "time / weightscope's",
        "share of torch.mm", "MiB per rank",
    ]  # fmt: skip
    dropout = f", dropout {shape.dropout:g}" if shape.dropout else ""
    lines = table(heads, [line for group in groups for line in group.lines(shape)])
    return f"**{name}**: {shape.title}{dropout}\n\n{lines}\n"


def parse() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--shapes", type=names, help="of " + ", ".join(SHAPES) + " (default: S,M; with --quick tiny)")
    parser.add_argument("--precisions", type=names, default=["fp32", "bf16"])
    parser.add_argument("--modes", type=names, default=["1x2", "2x1"], help="ranks x threads per rank")
    parser.add_argument("--dropout", type=float, default=0.0, help="of embeddings, attention weights and branches")
    parser.add_argument("--peers", type=names, default=["plain", "transformers"], help="of " + ", ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=12, help="blocks per worker")
    parser.add_argument("--block-seconds", type=float, default=3.0, help="about how long a block takes")
    parser.add_argument("--quick", action="store_true", help="2 short rounds of a tiny model: shows that it works")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/weightscope_bench_step")
    parser.add_argument("--json", type=Path, help="all timings")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.block_seconds = 2, 0.1
    arguments.shapes = arguments.shapes or (["tiny"] if arguments.quick else ["S", "M"])
    for given, known in ((arguments.shapes, SHAPES), (arguments.peers, PEERS)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))} (there are {', '.join(known)})")
    if not arguments.program.exists():
        parser.error(f"{arguments.program} is missing; build with cmake --preset release -DWEIGHTSCOPE_BENCH=ON")
    return arguments


def main() -> int:
    arguments = parse()
    document: list[dict[str, object]] = []
    for name in arguments.shapes:
        shape = replace(SHAPES[name], dropout=arguments.dropout)
        groups: list[Group] = []
        for precision in arguments.precisions:
            for mode in map(Mode.parse, arguments.modes):
                if shape.batch % mode.ranks:
                    continue
                print(f"{name} {precision} {mode.title}", file=sys.stderr, flush=True)
                commands = [our_command(arguments.program, shape, precision, mode)]
                commands += [peer_command(peer, shape, precision, mode) for peer in arguments.peers]
                commands.append(gemm_command(precision, mode))
                *rows, gemm = rows_of(interleave(commands, arguments.rounds, arguments.block_seconds))
                groups.append(Group(precision, mode, rows, gemm))
                group = {"shape": name, "precision": precision, "ranks": mode.ranks, "threads": mode.threads}
                group["dropout"] = shape.dropout
                document.append({**group, "tokens_per_step": shape.batch * shape.block, "rows": as_json([*rows, gemm])})
        print(markdown(name, shape, groups), flush=True)
    print(caption())
    if arguments.json:
        settings = {"rounds": arguments.rounds, "block_seconds": arguments.block_seconds}
        write_json(arguments.json, settings, document)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerError as error:
        sys.exit(f"train.py: {error}")
