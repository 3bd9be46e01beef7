"""Measures one snapshot of the 36 Q, K and V matrices of GPT-2 124M (float32, 85 MB) against other libraries.

weightscope takes 432 heads one by one, counts 449 bins and keeps moments to the fourth, extremes, zeros and non-finite
values; with monitor.gradients the same of the gradient, scaled, and the budget of the squared norm. The others take 36
whole matrices and say less; see bench/peers/snapshot_peer.py. Last, a probe of one block of 1024 tokens through the
whole model, the forward pass that is a part of it, and the spectra of all matrices (monitor.spectra_every). Prints a
Markdown table.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from results import ROOT, Row, as_json, caption, ratio_text, rows_of, table, write_json
from workers import Command, WorkerError, interleave

PEER = Path(__file__).parent / "peers" / "snapshot_peer.py"
PEERS = {
    "torch": "torch.histc + std_mean",
    "numpy": "numpy.histogram + moments",
    "tensorboard": "TensorBoard add_histogram",
}


def commands_of(program: Path, threads: int, cold: bool) -> list[Command]:
    options = ["--threads", str(threads), *(["--cold"] if cold else [])]
    commands = [
        Command("weightscope", [str(program), *options], threads),
        Command("weightscope, displacement too", [str(program), *options, "--displacement"], threads),
        Command("weightscope, gradients too", [str(program), *options, "--gradients"], threads),
    ]
    for tool, title in PEERS.items():
        if tool == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
            print("  TensorBoard is not installed: not measured", file=sys.stderr)
            continue
        commands.append(Command(title, [sys.executable, str(PEER), "--tool", tool, *options], threads))
    return commands


def probe_commands(program: Path, threads: int) -> list[Command]:
    words = [str(program), "--threads", str(threads)]
    return [
        Command("probe, 1024 tokens", words, threads),
        Command("its forward pass", [*words, "--forward"], threads),
        Command("spectra of all matrices", [*words, "--spectra"], threads),
    ]


def markdown_line(row: Row, cache: str) -> list[str]:
    middle, low, high = (f"{1e3 * t:.1f}" for t in (row.seconds.median, row.seconds.q25, row.seconds.q75))
    return [row.name, cache, f"{middle} ({low}–{high})", ratio_text(row)]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12, help="blocks per worker")
    parser.add_argument("--block-seconds", type=float, default=1.0, help="about how long a block takes")
    parser.add_argument("--quick", action="store_true", help="2 short rounds: shows that everything works")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/weightscope_bench_snapshot")
    parser.add_argument("--probe-program", type=Path, default=ROOT / "build/release/weightscope_bench_probe")
    parser.add_argument("--json", type=Path, help="all timings")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.block_seconds = 2, 0.05
    for program in (arguments.program, arguments.probe_program):
        if not program.exists():
            parser.error(f"{program} is missing; build with cmake --preset release -DWEIGHTSCOPE_BENCH=ON")
    return arguments


def main() -> int:
    arguments = parse()
    lines: list[list[str]] = []
    document: list[dict[str, object]] = []
    for cache in ("cold", "warm"):
        print(f"snapshot, {cache} caches", file=sys.stderr, flush=True)
        commands = commands_of(arguments.program, arguments.threads, cache == "cold")
        rows = rows_of(interleave(commands, arguments.rounds, arguments.block_seconds))
        lines += [markdown_line(row, cache) for row in rows]
        document.append({"cache": cache, "threads": arguments.threads, "rows": as_json(rows)})
    print("probe", file=sys.stderr, flush=True)
    commands = probe_commands(arguments.probe_program, arguments.threads)
    rows = rows_of(interleave(commands, arguments.rounds, arguments.block_seconds))
    lines += [markdown_line(row, "warm") for row in rows]
    document.append({"probe": True, "threads": arguments.threads, "rows": as_json(rows)})
    print(table(["", "caches", "ms (quartiles)", "time / that of the group's first"], lines))
    print(f"\n{caption()}")
    if arguments.json:
        settings = {"rounds": arguments.rounds, "block_seconds": arguments.block_seconds}
        write_json(arguments.json, settings, document)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerError as error:
        sys.exit(f"snapshot.py: {error}")
