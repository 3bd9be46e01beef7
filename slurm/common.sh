# What the scripts of this folder share. Sourced, inside a Slurm job, from the directory the job was submitted in.
# shellcheck shell=bash
weightscope_slurm=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=launch/env.sh
. "$weightscope_slurm/../launch/env.sh"
# shellcheck source=slurm/known.sh
. "$weightscope_slurm/known.sh"
# What a site needs (modules, network variables, srun options) goes into a file of its own: see README.md here.
srun_options=()
site=${WEIGHTSCOPE_SITE:-$weightscope_slurm/site.sh}
# shellcheck disable=SC1090
[ ! -r "$site" ] || . "$site"
launcher=${WEIGHTSCOPE_LAUNCHER:-srun}

# 12_3 names task 3 of array 12. Its plain number would not do: one of the tasks has the number of the whole array, and
# "scontrol requeue" of that one would start all of them again.
job=${SLURM_JOB_ID:?not under Slurm}
[ -z "${SLURM_ARRAY_TASK_ID:-}" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
restarts=${SLURM_RESTART_COUNT:-0}

say() { echo "$(date '+%F %T') job $job attempt $restarts: $*"; }

# Slurm tells the script (USR1 before the time limit, TERM at preemption); it passes USR1 on to all ranks, which agree on a
# step, save and end. Set at once: an untrapped USR1 would end the script.
step='' told=''
pass_on() { told=$1; [ -z "$step" ] || { say "$1 from Slurm, passed on to the ranks"; kill -USR1 "$step" 2>/dev/null || true; }; }
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM

# begun STATUS WHAT: how WHAT ended, that comes before the training. What is refused ends the job here. What fails otherwise
# (killed, a file system that is away) may work on another node; but a program that is not found at the first attempt (126, 127)
# was never built, and what fails WEIGHTSCOPE_FAILURES times in a row fails everywhere. Those are counted in a file where the
# job was submitted: the run's directory is not known yet.
counted=${SLURM_SUBMIT_DIR:-.}/.weightscope-check-$job
begun() {
  status=$1
  local failed
  case $restarts:$status in
    *:0) ;;
    *:[2-6]|0:126|0:127) rm -f "$counted"; say "not started: $2 ended with exit code $status"; exit "$status" ;;
    *)
      failed=$(($(cat "$counted" 2>/dev/null || echo 0) + 1))
      say "$2 ended with $status on $(uname -n), $failed time(s) in a row"
      if [ "$failed" -ge "${WEIGHTSCOPE_FAILURES:-3}" ] || ! echo "$failed" >"$counted"; then rm -f "$counted"; exit "$status"; fi
      sleep "${WEIGHTSCOPE_PAUSE:-10}"
      requeue ;;
  esac
}

# resolve CONFIG [OPTIONS of weightscope train]: run, steps, resolved.
resolve() {
  known "$@"
  status=0
  resolved=$(weightscope check "${words_of_check[@]}" --ranks "${SLURM_NTASKS:-1}") || status=$?
  begun "$status" "weightscope check"
  rm -f "$counted"
  run=$(sed -n 's/^output: *//p' <<<"$resolved"); run=${run#\"}; run=${run%\"}
  steps=$(sed -n '/^train:/,/^[a-z]/s/^  steps: *//p' <<<"$resolved")
}

# What may matter to a run, one variable a line. Names that are known, since nobody can list all that open a door; whoever may
# read the run could read it.
environment() {
  local line name value
  while IFS= read -r -d '' line; do
    name=${line%%=*} value=${line#*=}
    case $name in
      SLURM*|SBATCH_*|SRUN_*|OMPI_*|PMIX_*|PMI_*|PRTE_*|NCCL_*|UCX_*|UCC_*|FI_*|HCOLL_*|SHARP_*|WEIGHTSCOPE_*) ;;
      OMP_*|GOMP_*|KMP_*|MKL_*|DNNL_*|ONEDNN_*|TORCH_*|PYTORCH_*|CUDA_*|CUBLAS*|CUDNN_*|NVIDIA_*|HDF5_*|MALLOC_*) ;;
      PATH|LD_LIBRARY_PATH|LD_PRELOAD|PYTHONPATH|VIRTUAL_ENV|CONDA_PREFIX|LOADEDMODULES|HOSTNAME|PWD|TMPDIR|TZ|LANG|LC_*) ;;
      *) continue ;;
    esac
    case ${name^^} in *TOKEN*|*SECRET*|*PASS*|*CREDENTIAL*|*KEY*|*AUTH*|*JWT*) continue ;; esac
    value=${value//$'\n'/\\n}
    printf '%s=%s\n' "$name" "$value"
  done < <(env -0) | sed -E 's#://[^[:space:]]*@#://***@#g' | sort
}

# Everything that one may want to know later about this attempt, in a directory of its own: RUN/attempts/JOB-rRESTARTS.
record_attempt() {
  attempt=$run/attempts/$job-r$restarts began=$(date '+%FT%T')
  mkdir -p "$attempt"
  printf '%s\n' "$resolved" >"$attempt/config.yaml"
  # Once, here: judge takes its time for that of the start.
  (umask 077; environment >"$attempt/environment.txt") || true
  scontrol show hostnames "$SLURM_JOB_NODELIST" >"$attempt/nodes.txt"
  scontrol -o show job "$job" >"$attempt/job.txt" || true
  {
    git -C "$weightscope_root" rev-parse HEAD && git -C "$weightscope_root" status --short
  } >"$attempt/git.txt" 2>&1 || true
  say "$run on $SLURM_JOB_NODELIST with $launcher; logs of the ranks: $attempt"
}

# start COMMAND...: one process per task of the job, each with a log of its own, in the background, because bash runs a trap
# only while it waits. Sets step.
start() {
  case $launcher in
    # pmix: the only plugin that Debian's OpenMPI speaks. ALL: "sbatch --export=NONE" would leave the ranks without PATH.
    # cpus-per-task: from Slurm 22.05 on steps do not take it over from the job.
    srun) srun --mpi=pmix --kill-on-bad-exit=1 --export=ALL --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
      --output="$attempt/rank-%t.log" "${srun_options[@]}" weightscope "$@" & ;;
    mpirun) WEIGHTSCOPE_LOGS=$attempt "$weightscope_root/launch/run.sh" "${SLURM_NTASKS:?give --ntasks-per-node}" "$@" & ;;
    *) say "WEIGHTSCOPE_LAUNCHER=$launcher is not srun or mpirun"; exit 2 ;;
  esac
  step=$!
  [ -z "$told" ] || pass_on "$told"
}

# Until the launcher is gone; a trap only interrupts the wait. Sets status.
wait_for_step() {
  while :; do
    status=0; wait "$step" || status=$?
    kill -0 "$step" 2>/dev/null || break
  done
  end_leftovers
}

# When mpirun loses a node it leaves the srun behind that started its daemons. Seconds later that one would cancel "its" step
# 0 of this job, which by then is the next attempt's. Where Slurm tracks processes by cgroup it ends with the job anyway.
end_leftovers() {
  local stat line fields own=''
  for stat in /proc/$$/stat /proc/[0-9]*/stat; do
    { read -r line <"$stat"; } 2>/dev/null || continue
    read -ra fields <<<"${line##*) }"  # state, parent, group, session, ...
    own=${own:-${fields[3]}}
    if [[ $line == *"(srun) "* && ${fields[3]} = "$own" ]]; then kill -KILL "${line%% *}" 2>/dev/null || true; fi
  done
}

# Sets verdict: finished, stopped (saved; go on), refused (would end the same way again, or an alarm stopped the run and
# somebody has to look) or failed (worth another try).
# Rank 0's own record decides: launchers report 0 for steps that Slurm killed, 137 for ranks that left a moment later than
# others, and 1 for ranks that saved in time. A record older than this attempt says nothing about it; that an earlier one
# finished still holds, except where the program refused what it was given this time (2 to 6).
judge() {
  local facts='' record last ours=no
  if [ -e "$run/experiment.h5" ]; then facts=$(weightscope inspect "$run" --format json) || facts=; fi
  record=$(sed -n 's/.*"status":"\([a-z ]*\)".*/\1/p' <<<"$facts")
  last=$(sed -n 's/.*"last_step":\(-\{0,1\}[0-9]*\).*/\1/p' <<<"$facts")
  [ ! "$run/experiment.h5" -nt "$attempt/environment.txt" ] || ours=yes
  verdict=failed
  if [ "$record" = finished ] && [ $((${last:--1} + 1)) -ge "$steps" ] && [[ $ours = yes || $status != [2-6] ]]; then
    verdict=finished
  elif [ "$status" = 7 ]; then verdict=refused      # an alarm that stops a run leaves the record stopped, too
  elif [ "$record" = stopped ] && [ $ours = yes ]; then verdict=stopped
  elif [ -n "$told" ]; then verdict=stopped
  else
    case $status in
      75|143) verdict=stopped ;;                 # 143: ranks that were told before they listened
      2|3|4|5) verdict=refused ;;                # configuration, data, files, disk
      6) [ "$restarts" -gt 0 ] || verdict=refused ;;  # after a restart: the attempt before still dies on a node that Slurm lost
    esac
  fi
  local saved; saved=$(cat "$run/checkpoints/LATEST" 2>/dev/null || echo none)
  say "exit code $status, record ${record:-none}, last update ${last:-none}, checkpoint $saved: $verdict"
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$job" "$restarts" "$began" "$(date '+%FT%T')" "$SLURM_JOB_NODELIST" "$launcher" \
    "$status" "$verdict" "$saved" >>"$run/attempts.tsv"
}

# Failures of this job in a row since there was a new checkpoint.
failures_in_a_row() {
  awk -F '\t' -v job="$job" '$1 == job {
    if ($8 != "failed") n = 0; else n = (n > 0 && $9 == saved) ? n + 1 : 1
    saved = $9 } END { print n + 0 }' "$run/attempts.tsv"
}

# Another attempt, as long as attempts get somewhere.
go_on() {
  local failures=${WEIGHTSCOPE_FAILURES:-3} failed
  [ "$status" != 0 ] || status=75
  failed=$(failures_in_a_row) || failed=0
  [ "$failed" -lt "$failures" ] || { say "given up after $failures failures without a new checkpoint"; exit "$status"; }
  requeue
}

# Puts the same job back into the queue, or ends it with the program's code.
requeue() {
  local limit=${WEIGHTSCOPE_RESTARTS:-100} state
  [ "$restarts" -lt "$limit" ] || { say "given up after $restarts restarts"; exit "$status"; }
  # A job that somebody cancelled is COMPLETING by now and must stay dead. The controller may be away for a moment.
  for _ in 1 2 3 4 5 6; do
    state=$(scontrol -o show job "$job" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p') || true
    [ -z "$state" ] || break
    sleep 10
  done
  [ "$state" = RUNNING ] || { say "not requeued: the job is $state"; exit "$status"; }
  trap '' TERM USR1
  scontrol requeue "$job" || say "cannot be requeued: submit the same command again to go on"
  exit "$status"
}

# train CONFIG [OPTIONS]: one attempt, and what follows from how it ended.
train() {
  resolve "$@"
  record_attempt
  start train "$1" --resume auto --progress plain "${@:2}"
  wait_for_step
  judge
  case $verdict in
    finished) say "finished: $run"; exit 0 ;;
    refused) say "not tried again"; tail_of_logs; exit "$status" ;;
    failed) tail_of_logs ;;
  esac
  go_on
}

# What the ranks said last, so that the job's own log tells the reason.
tail_of_logs() { grep -hE 'error|warning' "$attempt"/rank-*.log 2>/dev/null | sort -u | tail -n 20 || true; }
