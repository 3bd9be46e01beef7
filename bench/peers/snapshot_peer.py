"""A worker that takes statistics of the 36 Q, K and V matrices of GPT-2 124M with another library."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

MATRICES, WIDTH = 36, 768
BINS = 449  # as many as weightscope's histogram has
SCRATCH_BYTES = 768 << 20
Weights = torch.Tensor  # float32 [36, 768, 768]


def with_torch(weights: Weights) -> None:
    """Histogram, mean and standard deviation, the two-line way."""
    for matrix in weights:
        torch.histc(matrix, bins=BINS)
        torch.std_mean(matrix)


def with_numpy(weights: Weights) -> None:
    """Histogram and moments to the fourth, extremes."""
    for matrix in weights.numpy():
        flat = matrix.ravel()
        np.histogram(flat, bins=BINS)
        centred = flat - flat.mean()
        squares = centred * centred
        _ = squares.mean(), (squares * centred).mean(), (squares * squares).mean(), flat.min(), flat.max()


def tensorboard_writer(folder: Path) -> Callable[[Weights], None]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    step = 0

    def write(weights: Weights) -> None:
        nonlocal step
        step += 1
        for i, matrix in enumerate(weights):
            writer.add_histogram(f"qkv/{i}", matrix, step)

    return write


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tool", choices=("torch", "numpy", "tensorboard"), required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cold", action="store_true", help="empty the caches before each")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    weights = torch.randn(MATRICES, WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)) * 0.02
    scratch = np.zeros(SCRATCH_BYTES if arguments.cold else 0, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        tools = {"torch": lambda: with_torch, "numpy": lambda: with_numpy}
        measure = tools.get(arguments.tool, lambda: tensorboard_writer(Path(folder)))()
        measure(weights)
        print("READY", flush=True)
        for line in sys.stdin:
            measure(weights)  # not timed: the threads wake, the caches fill
            for _ in range(int(line)):
                scratch[::64] += 1
                start = perf_counter()
                measure(weights)
                print(f"{perf_counter() - start:.9f}", flush=True)


if __name__ == "__main__":
    main()
