"""Trains the same model twice, with weightscope and with PyTorch, from the same weights on the same batches.

Speed must not be bought with wrong numbers: fp32 losses agree to 1e-3 at every step, bf16 ones are as close to fp32 as
PyTorch's own autocast is. Exit code 1 when they are not. Needs data/kjv (launch/data.sh kjv).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from peers.plain_gpt import PlainGpt, Shape
from results import ROOT, caption, table
from safetensors.torch import load_file
from torch import nn
from workers import ENVIRONMENT

BATCH = 4
SHAPES = {"tiny": Shape(2, 2, 64, 256, 64), "S": Shape(6, 6, 384, 256, 256)}
HEADER_BYTES = 1024


def weightscope_losses(arguments: argparse.Namespace, precision: str, run: Path) -> np.ndarray:
    """One loss per step; leaves the initial weights in the run directory."""
    shape = SHAPES[arguments.shape]
    settings = {
        "name": "parity", "output": run, "seed": 1,
        "model.layers": shape.layers, "model.heads": shape.heads, "model.width": shape.width,
        "model.block": shape.block, "model.vocab": shape.vocab, "init.scheme": "gpt2",
        "data.train": arguments.tokens, "data.order": "sequential",
        "train.steps": arguments.steps, "train.global_batch": BATCH, "train.micro_batch": BATCH,
        "train.precision": precision, "train.device": "cpu",
        "optimizer.lr": 3e-4, "schedule.name": "constant",
        "eval.every": 0, "checkpoint.every": 0, "monitor.every": arguments.steps,
    }  # fmt: skip
    config = run.parent / "parity.yaml"
    config.write_text("name: parity\n")
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    subprocess.run(
        [arguments.program, "train", config, *words, "--progress", "none"],
        check=True,
        env={**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": str(arguments.threads)},
    )
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return np.array([row["loss"] for row in rows if row["event"] == "train"])


def load_weights(model: PlainGpt, path: Path) -> None:
    names = {"attn_proj": "attn.c_proj", "c_attn": "attn.c_attn", "c_fc": "mlp.c_fc", "mlp_proj": "mlp.c_proj"}
    ours = load_file(path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parts = [names.get(part, part) for part in name.replace("blocks.", "h.").split(".")]
            parameter.copy_(ours[".".join(parts)])


def torch_losses(arguments: argparse.Namespace, precision: str, weights: Path) -> np.ndarray:
    shape = SHAPES[arguments.shape]
    model = PlainGpt(shape)
    load_weights(model, weights)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=3e-4, betas=(0.9, 0.95), eps=1e-8, fused=True,
    )  # fmt: skip
    text = np.fromfile(arguments.tokens, np.uint16, offset=HEADER_BYTES).astype(np.int64)
    losses = []
    for step in range(arguments.steps):
        at = (step * BATCH + np.arange(BATCH)[:, None]) * shape.block + np.arange(shape.block + 1)
        rows = torch.from_numpy(text[at])
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
            loss = model(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return np.array(losses)


def largest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--shape", choices=tuple(SHAPES), default="S")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tokens", type=Path, default=ROOT / "data/kjv/train.bin")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/weightscope")
    parser.add_argument("--json", type=Path, help="all losses")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    curves: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "bf16"):
            run = Path(folder) / precision
            curves[f"weightscope {precision}"] = weightscope_losses(arguments, precision, run)
            curves[f"PyTorch {precision}"] = torch_losses(arguments, precision, run / "initial.safetensors")
    reference = curves["PyTorch fp32"]
    lines = [
        [name, f"{curve[0]:.4f}", f"{curve[-1]:.4f}", f"{largest(curve, reference):.2e}"]
        for name, curve in curves.items()
    ]
    print(f"**{arguments.shape}**, {arguments.steps} steps of {BATCH} × {SHAPES[arguments.shape].block} tokens\n")
    print(table(["", "first loss", "last loss", "largest difference to PyTorch fp32"], lines))
    print(f"\n{caption()}")
    if arguments.json:
        arguments.json.write_text(json.dumps({name: curve.tolist() for name, curve in curves.items()}) + "\n")
    close = largest(curves["weightscope fp32"], reference) < 1e-3 * float(reference.max())
    own, theirs = largest(curves["weightscope bf16"], reference), largest(curves["PyTorch bf16"], reference)
    if not close or own > 2 * theirs:
        print("the curves do not agree", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
