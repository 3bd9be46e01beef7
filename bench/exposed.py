"""Communication that a training step on several GPUs cannot hide: a model, not a measurement.

From the measured step of one GPU (bench/results/gpu.json) and an assumed bus bandwidth of NCCL. The backward pass is
shared out over head and blocks by the work in their products; a bucket of gradients starts when its last one is final
and the bucket before has arrived, as in src/train/message_exchange.cpp. What is left when the backward pass has ended
is exposed. Not in the model: collectives take multiprocessors and memory bandwidth from the computation beside them.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from gpu import CASES
from results import ROOT, table

from train import Shape

UPDATE_SHARE = 0.01  # norm and AdamW: 1.1 of 108 ms in the trace of docs/performance.md
BUCKET_BYTES = 25 * 2**20  # parallel.bucket_mb


@dataclass(frozen=True)
class Bucket:
    ready: float  # seconds after the start of the backward pass
    size: float  # bytes, float32


def backward(shape: Shape, seconds: float) -> tuple[float, list[Bucket]]:
    """Seconds from the head to the end, and the buckets. `seconds`: forward and backward pass of all micro-batches."""
    width = shape.width
    block = 24 * width**2 + 2 * shape.block * width  # of the forward pass, a token
    head = 2 * width * shape.vocab
    unit = seconds / (3 * (shape.layers * block + head))
    clock, size, buckets = 3 * head * unit, 4.0 * 2 * width, []  # logits are made in the backward pass; ln_f
    for _ in range(shape.layers):
        clock += 2 * block * unit
        size += 4 * (12 * width**2 + 13 * width)
        if size >= BUCKET_BYTES:
            buckets.append(Bucket(clock, size))
            size = 0
    # The position embedding is smaller than a bucket; the tied token embedding is final at the very end.
    buckets.append(Bucket(clock, size + 4 * (shape.block + shape.vocab) * width))
    return clock, buckets


def exposed(
    end: float, buckets: list[Bucket], gpus: int, bytes_per_second: float, latency: float
) -> tuple[float, float]:
    """Seconds beyond the end of the backward pass, and of all collectives together. Bus bandwidth as nccl-tests has it:
    an all-reduce of S bytes takes 2 (n - 1) / n · S / bandwidth."""
    arrived, busy = 0.0, 0.0
    for bucket in buckets:
        takes = latency + 2 * (gpus - 1) / gpus * bucket.size / bytes_per_second
        arrived = max(arrived, bucket.ready) + takes
        busy += takes
    return max(0.0, arrived - end), busy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--measured", type=Path, default=ROOT / "bench/results/gpu.json")
    parser.add_argument("--case", choices=("124M-64", "124M-16"), default="124M-64")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--micro-batches", type=int, default=1, help="of a step; only the last one meets the others")
    parser.add_argument("--gb-s", type=float, nargs="+", default=[450, 350, 250, 150], help="bus bandwidth")
    parser.add_argument("--latency-us", type=float, default=30, help="of one collective")
    arguments = parser.parse_args()
    groups = json.loads(arguments.measured.read_text())["groups"]
    case = next(group for group in groups if group["case"] == arguments.case)
    micro_step = next(row for row in case["rows"] if row["name"] == "weightscope")["seconds"]
    passes, update = micro_step * (1 - UPDATE_SHARE), micro_step * UPDATE_SHARE
    step = arguments.micro_batches * passes + update
    end, buckets = backward(CASES[arguments.case].shape, passes)
    lines = []
    for bandwidth in arguments.gb_s:
        cells = [f"{bandwidth:g} GB/s"]
        for half in (False, True):
            sent = [Bucket(b.ready, b.size / (2 if half else 1)) for b in buckets]
            late, busy = exposed(end, sent, arguments.gpus, bandwidth * 1e9, arguments.latency_us * 1e-6)
            cells += [f"{1e3 * busy:.2f}", f"{1e3 * late:.2f}", f"{100 * late / (step + late):.2f} %"]
        lines.append(cells)
    total = arguments.gpus * arguments.micro_batches * case["tokens_per_step"]
    largest = max(b.size for b in buckets) / 1e6
    print(
        f"{arguments.case} on {arguments.gpus} GPUs, {total:,} tokens a step, {1e3 * step:.1f} ms of one GPU alone, "
        f"{len(buckets)} buckets of up to {largest:.0f} MB, {arguments.latency_us:g} µs each\n"
    )
    heads = ["bus bandwidth"]
    for wire in ("fp32", "bf16"):
        heads += [f"{wire}: all-reduces, ms", "exposed, ms", "of the step"]
    print(table(heads, lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
