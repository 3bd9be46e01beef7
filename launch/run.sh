#!/usr/bin/env bash
# Runs weightscope on N ranks of this machine, or of the nodes of the current Slurm allocation.
#   launch/run.sh N train configs/quickstart.yaml [options]
# --bind-to none: mpirun would otherwise pin each rank, with all its threads, to one core; the program shares the cores
# out itself and stays on its own (docs/cli.md). In a batch job prefer slurm/train.sbatch, which also goes on after a
# time limit.
# Ctrl-C asks the ranks of `train` to save; the same command goes on. The second one, or the first one of other commands,
# ends them at once.
# WEIGHTSCOPE_LOGS=DIR: each rank's output goes to DIR/rank-N.log.
set -euo pipefail
ranks=${1:?usage: launch/run.sh N COMMAND [ARGUMENTS]}; shift
# shellcheck source=launch/env.sh
. "$(dirname "$0")/env.sh"
if [ ! -x "$weightscope_build/weightscope" ]; then
  echo "weightscope: error: $weightscope_build/weightscope is not built yet: ./launch/build.sh" >&2; exit 2
fi
# mpirun starts its daemons on the other nodes with srun, which would give them an empty environment after "sbatch --export=NONE".
[ -z "${SLURM_JOB_ID:-}" ] || export SLURM_EXPORT_ENV=ALL
command=("$weightscope_build/weightscope" "$@")
# shellcheck disable=SC2016  # for the shell of each rank
[ -z "${WEIGHTSCOPE_LOGS:-}" ] || command=(bash -c 'exec >"$0/rank-$PMIX_RANK.log" 2>&1; exec "$@"' "$WEIGHTSCOPE_LOGS" "${command[@]}")
launch=(mpirun --bind-to none -n "$ranks" "${command[@]}")
[ -t 0 ] || exec "${launch[@]}"
# At a terminal Ctrl-C would reach mpirun, which ends its ranks a second later. In a process group of its own it does not
# hear of it: the ranks are asked to save (USR1), and exit with 75. The second Ctrl-C ends them.
set -m
"${launch[@]}" &
mpirun=$! signal=TERM
[[ " $* " != *" train "* ]] || signal=USR1
set +m
stop() { heard=1; kill -"$signal" "$mpirun" 2>/dev/null || true; signal=TERM; }
trap stop INT TERM HUP
code=0
while
  heard=0 before=$code code=0
  wait "$mpirun" || code=$?
  [ $heard = 1 ]  # then it was the signal that ended the waiting
do :; done
[ "$code" != 127 ] || code=$before
exit "$code"
