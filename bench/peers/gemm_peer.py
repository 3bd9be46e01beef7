"""A worker that multiplies matrices with torch.mm, as large as those of GPT-2 124M: what the machine can do at most."""

import argparse
import sys
from time import perf_counter

import torch

ROWS, INNER, COLUMNS = 1024, 768, 3072
FLOPS = 2 * ROWS * INNER * COLUMNS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    a = torch.randn(ROWS, INNER, dtype=dtype)
    b = torch.randn(INNER, COLUMNS, dtype=dtype)
    out = torch.empty(ROWS, COLUMNS, dtype=dtype)
    for _ in range(3):
        torch.mm(a, b, out=out)
    print("READY", flush=True)
    for line in sys.stdin:
        for _ in range(int(line)):
            begin = perf_counter()
            torch.mm(a, b, out=out)
            print(perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
