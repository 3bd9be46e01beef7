"""Measures weightscope's training step on one GPU against PyTorch's, in the same run, and what a snapshot costs.

bf16, random tokens, gradients clipped at 1, AdamW. Prints Markdown tables. What time or memory is too short
for is named in them, not left out. Ends with 1 when a program of ours could not run for another reason; then, and for
anything but the whole on a GPU, the published numbers stay as they are. bench/gpu.sh runs it together with the tests.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from gpu_schedule import Clock, Contender, Entry, measure, reason
from results import ROOT, revision, table, versions, write_json
from workers import Command, Worker, WorkerError

from train import SHAPES, Shape

PEER = Path(__file__).parent / "peers" / "gpu_peer.py"
PEERS = {
    "compile-cudnn": ("PyTorch, plain GPT, torch.compile, cuDNN attention", "plain", "cudnn", "default"),
    "compile-flash": ("PyTorch, plain GPT, torch.compile, flash attention", "plain", "flash", "default"),
    "compile-graphs": ("PyTorch, plain GPT, torch.compile with CUDA graphs", "plain", "flash", "reduce-overhead"),
    "eager": ("PyTorch, plain GPT, eager", "plain", "flash", None),
    "hf-compile": ("transformers GPT2LMHeadModel, torch.compile", "transformers", "auto", "default"),
    "hf-eager": ("transformers GPT2LMHeadModel, eager", "transformers", "auto", None),
}
STEP, SNAPSHOT = "weightscope_bench_step", "weightscope_bench_snapshot_cuda"  # only builds with CUDA have the second
GPT2 = (12, 12, 768, 50257)
PUBLISHED, DRAFT = (ROOT / folder / "gpu.json" for folder in ("bench/results", "build/bench"))
NO_GPU = "no GPU"


@dataclass(frozen=True)
class Case:
    """exclusive: two of its contenders do not fit into the memory of the device at once. rounds: at most."""

    shape: Shape
    peers: tuple[str, ...]
    exclusive: bool = False
    rounds: int = 9
    own: dict[str, list[str]] = field(default_factory=lambda: {"weightscope": []})


CASES = {
    "124M-64": Case(
        Shape("GPT-2 124M, 64 × 1024 tokens", *GPT2, 1024, 64),
        ("compile-cudnn", "compile-flash", "hf-compile"),
        True,
    ),
    "124M-16": Case(
        Shape("GPT-2 124M, 16 × 1024 tokens", *GPT2, 1024, 16),
        ("compile-cudnn", "compile-flash", "hf-compile", "eager", "hf-eager"),
        own={"weightscope": [], "weightscope, all weights measured at every step": ["--snapshots"]},
    ),
    "124M-16-dropout": Case(
        Shape("GPT-2 124M, 16 × 1024 tokens, dropout 0.1", *GPT2, 1024, 16, 0.1),
        ("compile-flash", "hf-compile"),
        rounds=3,
    ),
    "124M-8x256": Case(Shape("GPT-2 124M, 8 × 256 tokens", *GPT2, 256, 8), ("compile-flash", "compile-graphs")),
    "1.5B-64": Case(
        Shape("GPT-2 1.5B, 64 × 1024 tokens", 48, 25, 1600, 50257, 1024, 64),
        (),
        True,
        2,
        {
            "weightscope, micro-batches of 8": ["--micro", "8"],
            "weightscope, micro-batches of 32, recompute": ["--micro", "32", "--recompute"],
        },
    ),
    "tiny": Case(SHAPES["tiny"], ("compile-flash", "eager", "hf-eager")),
}


@dataclass(frozen=True)
class Result:
    name: str
    tokens_per_step: int
    entries: list[Entry]
    broken: bool

    def as_json(self) -> dict[str, object]:
        rows = [entry.as_json() for entry in self.entries]
        return {"case": self.name, "tokens_per_step": self.tokens_per_step, "rows": rows}


def own_program(arguments: argparse.Namespace, name: str) -> list[str]:
    path = str(arguments.build / name)
    return ["env", f"LD_LIBRARY_PATH={arguments.library_path}", path] if arguments.library_path else [path]


def contenders_of(case: Case, arguments: argparse.Namespace) -> list[Contender]:
    program = [*own_program(arguments, STEP), "--device", arguments.device, "--precision", "bf16"]
    found = [
        Contender(Command(name, [*program, *case.shape.words(), *options], 8), 20, resident=not case.exclusive)
        for name, options in case.own.items()
    ]
    for peer in case.peers:
        title, model, attention, compiled = PEERS[peer]
        words = [sys.executable, str(PEER), *case.shape.words(), "--model", model, "--device", arguments.device]
        words += ["--attention", attention] if arguments.device == "cuda" else []
        words += ["--compile", compiled] if compiled else []
        found.append(Contender(Command(title, words, 8), 75 if compiled else 25))
    return found


def line_of(entry: Entry, own: Entry, shape: Shape) -> list[str]:
    step = entry.seconds
    if step is None:
        return [entry.name, entry.note or "not measured", "", "", "", ""]
    times = [median(block) for block in entry.blocks]
    ratio = entry.ratio_to(own)
    return [
        entry.name + (f" ({entry.note})" if entry.note else ""),
        f"{shape.batch * shape.block / step:,.0f}",
        f"{1e3 * step:.2f} ({1e3 * min(times):.2f}–{1e3 * max(times):.2f})",
        f"{ratio:.2f}×" if ratio else "not measured",
        f"{shape.flops / step / 1e12:.0f}",
        f"{entry.device_bytes / 2**30:.1f}" if entry.device_bytes else "not measured",
    ]


def verdict(entries: list[Entry], own: Entry, peers: list[Entry]) -> str:
    ratios = {peer.name: ratio for peer in peers if (ratio := peer.ratio_to(own))}
    if not ratios:
        return "Against the fastest peer: not measured."
    name = min(ratios, key=lambda n: ratios[n])
    missing = [entry.name for entry in entries if not entry.blocks]
    rest = f" Not measured: {'; '.join(missing)}." if missing else ""
    return f"weightscope runs at {ratios[name]:.2f}× the speed of the fastest peer ({name}).{rest}"


def train(name: str, case: Case, arguments: argparse.Namespace, clock: Clock) -> Result:
    print(f"{name}: {clock.left():.0f} s left", file=sys.stderr, flush=True)
    contenders = contenders_of(case, arguments)
    entries = measure(contenders, min(case.rounds, arguments.rounds), arguments.block_seconds, clock)
    own, peers = entries[0], entries[len(case.own) :]
    heads = ["", "tokens/s", "ms per step (rounds)", "time / weightscope's", "TFLOP/s", "GiB of tensors"]
    print(f"**{name}**: {case.shape.title}, bf16\n\n{table(heads, [line_of(e, own, case.shape) for e in entries])}\n")
    if peers:
        print(f"{verdict(entries, own, peers)}\n")
    sys.stdout.flush()
    broken = any(entry.broken for entry in entries[: len(case.own)])
    return Result(name, case.shape.batch * case.shape.block, entries, broken)


SNAPSHOTS = {"start to end": [], "start to end, displacement too": ["--displacement"], "held up": ["--start"]}


def snapshot(arguments: argparse.Namespace, step_seconds: float | None) -> tuple[dict[str, object], bool]:
    """A snapshot of the Q, K and V matrices of GPT-2 124M, head by head, and for how long it holds up the host. Second:
    whether all of it was measured."""
    program = own_program(arguments, SNAPSHOT)
    blocks: dict[str, list[list[float]]] = {}
    lines: list[list[str]] = []
    for name, options in SNAPSHOTS.items():
        worker = Worker(Command(name, [*program, *options], 1))
        try:
            worker.wait_ready()
            blocks[name] = [worker.run(20) for _ in range(5)]
            seconds = median(s for block in blocks[name] for s in block)
            share = f"{seconds / step_seconds:.3%}" if step_seconds else "not measured"
            lines.append([name, f"{1e6 * seconds:.0f}", share])
        except WorkerError as error:
            lines.append([name, f"not measured: {reason(error)}", ""])
        finally:
            worker.close()
    print("**snapshot**: Q, K and V of GPT-2 124M by heads, 85 MB, caches cold\n")
    print(f"{table(['', 'µs', 'of a step of 124M-64'], lines)}\n\n{kernel_table(arguments)}\n", flush=True)
    return {"snapshot": blocks}, blocks.keys() == SNAPSHOTS.keys()


def kernel_table(arguments: argparse.Namespace) -> str:
    words = own_program(arguments, "weightscope_bench_tile_variants")
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"The kernel alone: not measured ({error})"


def gpu() -> dict[str, str]:
    fields = ("name", "driver_version", "memory.total", "clocks.max.sm", "power.limit")
    words = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return {"name": NO_GPU}
    return dict(zip(fields, done.stdout.splitlines()[0].split(", "), strict=False))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--build", type=Path, help="where the bench programs are; None: build/release, dev or cuda")
    parser.add_argument("--library-path", default="", help="LD_LIBRARY_PATH of the bench programs")
    parser.add_argument("--cases", type=lambda text: text.split(","), help="of " + ", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--block-seconds", type=float, default=2.0, help="about how long a block takes")
    parser.add_argument("--seconds", type=float, default=480.0, help="for all; what does not fit is not measured")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: shows that the program works")
    parser.add_argument("--quick", action="store_true", help="one short round of each case")
    parser.add_argument("--json", type=Path, help="None: bench/results/gpu.json, for a part build/bench/gpu.json")
    arguments = parser.parse_args()
    arguments.whole = arguments.device == "cuda" and not (arguments.quick or arguments.cases)
    if arguments.quick:
        arguments.rounds, arguments.block_seconds = 1, 0.3
    arguments.cases = arguments.cases or [name for name in CASES if (name == "tiny") == (arguments.device == "cpu")]
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"unknown: {', '.join(sorted(unknown))} (there are {', '.join(CASES)})")
    program, option = (SNAPSHOT, " -DWEIGHTSCOPE_CUDA=ON") if arguments.device == "cuda" else (STEP, "")
    builds = [arguments.build] if arguments.build else [ROOT / "build" / name for name in ("release", "dev", "cuda")]
    arguments.build = next((build for build in builds if (build / program).exists()), None)
    if not arguments.build:
        looked = " or ".join(os.path.relpath(build) for build in builds)
        sys.exit(f"gpu.py: no {program} in {looked}: build with -DWEIGHTSCOPE_BENCH=ON{option}")
    return arguments


def main() -> int:
    arguments = parse()
    clock, device = Clock(arguments.seconds), gpu()
    results: list[Result] = []
    draft = arguments.json or DRAFT
    settings = {"gpu": device, "rounds": arguments.rounds, "block_seconds": arguments.block_seconds}
    for name in arguments.cases:
        results.append(train(name, CASES[name], arguments, clock))
        write_json(draft, settings, [result.as_json() for result in results])
    broken = [result.name for result in results if result.broken]
    if arguments.device == "cuda":
        steps = [result.entries[0].seconds for result in results if result.name == "124M-64"]
        monitor, measured = snapshot(arguments, steps[0] if steps else None)
        write_json(draft, settings, [*(result.as_json() for result in results), monitor])
        broken += [] if measured else ["snapshot"]
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    print(f"{', '.join(device.values())}; {packages}; weightscope {revision()}; {arguments.build.name} build.")
    if broken:
        print(f"gpu.py: weightscope could not run: {', '.join(broken)}; what there is lies in {draft}", file=sys.stderr)
        return 1
    if arguments.whole and not arguments.json and device["name"] != NO_GPU:
        shutil.copy(draft, PUBLISHED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
