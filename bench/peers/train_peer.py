"""A worker that trains a GPT with PyTorch: the plain one, or transformers' GPT2LMHeadModel.

One rank by default. Under `python -m torch.distributed.run` it is DistributedDataParallel over gloo.
"""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, distributed, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also when started by torch.distributed.run
from peers.plain_gpt import PlainGpt, Shape

Loss = Callable[[Tensor, Tensor], Tensor]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("layers", "heads", "width", "vocab", "block", "batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--model", choices=("plain", "transformers"), required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--warmup", type=int, default=2)
    return parser.parse_args()


def transformers_model(shape: Shape) -> nn.Module:
    from transformers import AutoModelForCausalLM, GPT2Config

    class WithLoss(nn.Module):
        """The loss as transformers computes it. It shifts labels itself, hence one token more per row."""

        def __init__(self) -> None:
            super().__init__()
            config = GPT2Config(
                vocab_size=shape.vocab, n_positions=shape.block, n_embd=shape.width, n_layer=shape.layers,
                n_head=shape.heads, resid_pdrop=shape.dropout, embd_pdrop=shape.dropout, attn_pdrop=shape.dropout,
                use_cache=False, bos_token_id=0, eos_token_id=0,
            )  # fmt: skip
            self.model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")

        def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
            return self.model(input_ids=tokens, shift_labels=targets, labels=targets).loss

    return WithLoss()


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """Decay on matrices only, one fused kernel: what nanoGPT does where the device has it."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)


class Training:
    def __init__(self, arguments: argparse.Namespace, rank: int, ranks: int) -> None:
        shape = Shape(*(getattr(arguments, n) for n in ("layers", "heads", "width", "vocab", "block", "dropout")))
        torch.manual_seed(1337)
        self.model: nn.Module = PlainGpt(shape) if arguments.model == "plain" else transformers_model(shape)
        self.model.train()
        loss: nn.Module = nn.parallel.DistributedDataParallel(self.model) if ranks > 1 else self.model
        self.loss: Loss = torch.compile(loss) if arguments.compile else loss
        self.optimizer = optimizer_of(self.model)
        self.autocast = torch.autocast("cpu", torch.bfloat16) if arguments.precision == "bf16" else nullcontext()
        torch.manual_seed(1 + rank)
        text = torch.randint(0, shape.vocab, (8, arguments.batch // ranks, shape.block + 1))
        self.batches = [(rows[:, :-1].contiguous(), rows[:, 1:].contiguous()) for rows in text]
        self.done = 0
        self.last_loss = float("nan")

    def step(self) -> float:
        """One update; its seconds. The loss and the norm are read, as a training loop that logs them does."""
        start = perf_counter()
        tokens, targets = self.batches[self.done % len(self.batches)]
        with self.autocast:
            loss = self.loss(tokens, targets)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.last_loss, finite = loss.item(), norm.isfinite().item()
        seconds = perf_counter() - start
        self.done += 1
        if not finite:
            raise RuntimeError("the gradient is not finite; the timing means nothing")
        return seconds


def next_request(rank: int, ranks: int) -> int:
    """Rank 0 reads a number of steps (0 at the end of the input) and tells the others, who sleep until then."""
    line = sys.stdin.readline() if rank == 0 else ""
    count = torch.tensor(int(line) if line.strip() else 0)
    if ranks > 1:
        distributed.broadcast(count, 0)
        distributed.barrier()
    return int(count)


def main() -> None:
    arguments = parse()
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(arguments.threads)
    if ranks > 1:
        distributed.init_process_group("gloo", timeout=timedelta(hours=12))
    training = Training(arguments, rank, ranks)
    for _ in range(arguments.warmup):
        training.step()
    if rank == 0:
        print("READY", flush=True)
    while count := next_request(rank, ranks):
        for _ in range(count):
            seconds = training.step()
            if rank == 0:
                print(f"{seconds:.9f}", flush=True)
    if rank == 0:
        print(f"last loss {training.last_loss:.4f}", file=sys.stderr)
    if ranks > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
