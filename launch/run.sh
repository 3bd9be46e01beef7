#!/usr/bin/env bash
# Runs weightscope on N ranks of this machine, or of the current Slurm allocation.
#   launch/run.sh N train configs/quickstart.yaml [options]
# --bind-to none: mpirun would otherwise pin each rank, with all its threads, to one core; the program shares the cores
# out itself and stays on its own (docs/cli.md). Inside an allocation use srun --mpi=pmix where Slurm has it
# (slurm/train.sbatch).
set -euo pipefail
ranks=${1:?usage: launch/run.sh N COMMAND [ARGUMENTS]}; shift
. "$(dirname "$0")/env.sh"
exec mpirun --bind-to none -n "$ranks" "$weightscope_root/build/release/weightscope" "$@"
