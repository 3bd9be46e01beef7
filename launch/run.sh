#!/usr/bin/env bash
# Runs weightscope on N ranks of this machine, or of the nodes of the current Slurm allocation.
#   launch/run.sh N train configs/quickstart.yaml [options]
# --bind-to none: mpirun would otherwise pin each rank, with all its threads, to one core; the program shares the cores
# out itself and stays on its own (docs/cli.md). In a batch job prefer slurm/train.sbatch, which also goes on after a
# time limit.
# WEIGHTSCOPE_LOGS=DIR: each rank's output goes to DIR/rank-N.log.
set -euo pipefail
ranks=${1:?usage: launch/run.sh N COMMAND [ARGUMENTS]}; shift
# shellcheck source=launch/env.sh
. "$(dirname "$0")/env.sh"
# mpirun starts its daemons on the other nodes with srun, which would give them an empty environment after "sbatch --export=NONE".
[ -z "${SLURM_JOB_ID:-}" ] || export SLURM_EXPORT_ENV=ALL
command=("$weightscope_build/weightscope" "$@")
# shellcheck disable=SC2016  # for the shell of each rank
[ -z "${WEIGHTSCOPE_LOGS:-}" ] || command=(bash -c 'exec >"$0/rank-$PMIX_RANK.log" 2>&1; exec "$@"' "$WEIGHTSCOPE_LOGS" "${command[@]}")
exec mpirun --bind-to none -n "$ranks" "${command[@]}"
