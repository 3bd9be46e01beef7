#!/usr/bin/env bash
# Submits a training or a sweep, and its report to follow.
#   slurm/submit.sh train CONFIG [options of weightscope train] [-- options of sbatch]
#   slurm/submit.sh sweep SWEEP.yaml [-- options of sbatch]
# WEIGHTSCOPE_AT_ONCE=N: at most N runs of a sweep at a time.
# Ends with 1 and "job N" when job N is submitted but not its report.
set -euo pipefail
what=${1:?usage: slurm/submit.sh train CONFIG | sweep SWEEP.yaml [-- options of sbatch]}; shift
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=launch/env.sh
. "$here/../launch/env.sh"
# shellcheck source=slurm/known.sh
. "$here/known.sh"
export WEIGHTSCOPE_ROOT=${WEIGHTSCOPE_ROOT:-$weightscope_root}
words=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do words+=("$1"); shift; done
[ $# = 0 ] || shift
# What would be refused need not wait in a queue for that. Login nodes may lack what the program needs: then the jobs find out.
check() {
  if weightscope --version >/dev/null 2>&1; then "$@" >/dev/null
  else echo "submit: not checked, since weightscope does not run here" >&2; fi
}
case $what in
  # afterok: no report about a training that failed. A requeued job has not ended: the report waits on.
  train)
    known "${words[@]:?which CONFIG?}"
    check weightscope check "${words_of_check[@]}"
    array=() after=afterok ;;
  sweep)
    runs=$(python -m weightscope.sweep_command "${words[0]:?which SWEEP.yaml?}" --count)
    check python -m weightscope.sweep_command "${words[0]}" --check
    array=("--array=0-$((runs - 1))${WEIGHTSCOPE_AT_ONCE:+%$WEIGHTSCOPE_AT_ONCE}") after=afterany ;;
  *) echo "submit: $what is not train or sweep" >&2; exit 2 ;;
esac
# The report runs where, and at whose expense, the training does.
shared=() options=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --account|--partition|--qos|--clusters|--cluster|--chdir|-[ApqMD]) shared+=("$1" "${2:?$1 needs a value}"); shift ;;
    --account=*|--partition=*|--qos=*|--clusters=*|--cluster=*|--chdir=*|-[ApqMD]?*) shared+=("$1") ;;
  esac
  shift
done
job=$(sbatch --parsable "${array[@]}" "${options[@]}" "$here/$what.sbatch" "${words[@]}")
job=${job%%;*}  # JOB;CLUSTER where there are several clusters
printf 'job %s' "$job"  # at once: whatever becomes of the report, this one is in the queue
report=$(sbatch --parsable --dependency="$after:$job" --kill-on-invalid-dep=yes "${shared[@]}" "$here/report.sbatch" "$what" "${words[@]}") || {
  echo
  printf 'submit: job %s is submitted, its report is not (see above): when the job has ended,\n  WEIGHTSCOPE_ROOT=%q sbatch %s\n' "$job" \
    "$WEIGHTSCOPE_ROOT" "$(printf '%q ' "${shared[@]}" "$here/report.sbatch" "$what" "${words[@]}")" >&2
  exit 1
}
echo ", report ${report%%;*}"
