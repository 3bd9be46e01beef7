"""A worker that trains a GPT with PyTorch on one GPU: the plain one, or transformers' GPT2LMHeadModel.

The host waits for the device at the end of a block of steps only, so each step of a block gets an equal share of it.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from peers.plain_gpt import PlainGpt, Shape
from peers.train_peer import optimizer_of, transformers_model

ATTENTION = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("layers", "heads", "width", "vocab", "block", "batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--model", choices=("plain", "transformers"), required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--attention", choices=("auto", *ATTENTION), default="auto", help="of PyTorch's kernels")
    parser.add_argument("--compile", nargs="?", const="default", help="with torch.compile, in this mode")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--warmup", type=int, default=3)
    return parser.parse_args()


class Training:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device(arguments.device)
        shape = Shape(*(getattr(arguments, n) for n in ("layers", "heads", "width", "vocab", "block", "dropout")))
        torch.manual_seed(1337)
        torch.set_float32_matmul_precision("high")
        with self.device:
            self.model: nn.Module = PlainGpt(shape) if arguments.model == "plain" else transformers_model(shape)
            text = torch.randint(0, shape.vocab, (8, arguments.batch, shape.block + 1))
        self.model.train()
        self.loss: Callable[[Tensor, Tensor], Tensor] = self.model
        if arguments.compile:
            self.loss = torch.compile(self.model, mode=arguments.compile)
        self.optimizer = optimizer_of(self.model)
        self.low_precision = arguments.precision == "bf16"
        self.kernels = ATTENTION.get(arguments.attention)
        self.batches = [(rows[:, :-1].contiguous(), rows[:, 1:].contiguous()) for rows in text]
        self.done = 0

    def attention(self) -> AbstractContextManager[object]:
        return nullcontext() if self.kernels is None else sdpa_kernel(self.kernels)

    def update(self) -> Tensor:
        tokens, targets = self.batches[self.done % len(self.batches)]
        with self.attention(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            loss = self.loss(tokens, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return loss.detach()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def block(self, steps: int) -> float:
        """Seconds per step. One step before them fills the allocator's cache, which others get back afterwards."""
        loss = self.update()
        self.wait()
        start = perf_counter()
        for _ in range(steps):
            loss = self.update()
        self.wait()
        seconds = (perf_counter() - start) / steps
        if not loss.isfinite().item():
            raise RuntimeError("the loss is not finite; the timing means nothing")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return seconds


def main() -> None:
    arguments = parse()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu_peer: PyTorch sees no GPU")
    training = Training(arguments)
    training.block(arguments.warmup)
    print("READY", flush=True)
    for line in sys.stdin:
        seconds = training.block(int(line))
        for _ in range(int(line)):
            print(f"{seconds:.9f}", flush=True)
    if arguments.device == "cuda":
        print(f"PEAK {torch.cuda.max_memory_allocated()}", flush=True)


if __name__ == "__main__":
    main()
