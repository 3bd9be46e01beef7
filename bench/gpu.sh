#!/usr/bin/env bash
# Tests and measures the CUDA path on one GPU, in one call of under ten minutes.
#   bench/gpu.sh [OPTION...] [tests|bench|sanitizer ...]   all three by default, in this order
#   --build DIR       where the bench programs are (default: the first of build/release, dev, cuda that was built for CUDA)
#   --tests DIR       a build with tests and CUDA (default: build/dev)
#   --python PYTHON   one that has torch and transformers (default: that of launch/setup.sh)
#   --libraries DIR   shared libraries for programs that were built on another machine, beside those of PYTHON's torch
#   --out DIR         where gpu.json goes (default: bench/results, but build/bench for a part, without a GPU, or when it failed);
#                     logs go to build/bench
#   --seconds N       for everything together (default: 570); what does not fit is named as not measured
#   --quick           one short round of each case
#   --cases NAMES     of bench/gpu.py, with commas between them
# Programs run as single ranks, without mpirun, but for the test of two ranks, which needs it and two GPUs, or NCCL 2.30.
# Ends with 1 when a test or the sanitizer found something, when there is a GPU and a test program passed nothing on it, and
# when a program of ours could not be measured.
set -uo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.." || exit 2
. launch/env.sh
build='' tests=build/dev python=$WEIGHTSCOPE_VENV/bin/python libraries='' out='' logs=build/bench seconds=570 options=() parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; shift ;;
    --tests) tests=$2; shift ;;
    --python) python=$2; shift ;;
    --libraries) libraries=$2; shift ;;
    --out) out=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --quick) options+=(--quick) ;;
    --cases) options+=(--cases "$2"); shift ;;
    tests|sanitizer|bench) parts+=("$1") ;;
    -h|--help) sed -n '2,15p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "gpu.sh: unknown argument $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || parts=(tests bench sanitizer)
mkdir -p "$logs" ${out:+"$out"}
torch_libraries=$("$python" -c 'import glob, importlib.util as u, os
spec = u.find_spec("torch")
site = os.path.dirname(os.path.dirname(spec.origin)) if spec else ""
print(":".join([site + "/torch/lib", *glob.glob(site + "/nvidia/*/lib")] if spec else []))') || exit 2
# For our programs alone: Python has its own.
library_path=$torch_libraries${libraries:+:$libraries}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export GTEST_COLOR=no OMPI_MCA_ess_singleton_isolated=1 OMPI_MCA_pml=ob1 OMPI_MCA_btl=self PYTHONUNBUFFERED=1
status=0
gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
left() { echo $((seconds - SECONDS)); }
limit() { local n; n=$(left); [ "$n" -lt "$1" ] || n=$1; [ "$n" -gt 0 ] || n=1; echo "$n"; }
# That of several GPUs skips itself in one rank: run_two_ranks has it.
programs() { [ -s "$tests/tests/gpu_tests.txt" ] && sed "/several_gpus/d; s|^|$tests/tests/|" "$tests/tests/gpu_tests.txt"; }

run_test() {  # NAME COMMAND...
  local name=$1 log=$logs/$1.log; shift
  LD_LIBRARY_PATH=$library_path timeout "$(limit 150)" "$@" >"$log" 2>&1 </dev/null
  local code=$? passed skipped
  passed=$(grep -c '^\[       OK' "$log"); skipped=$(grep -c '^\[  SKIPPED \].*ms)' "$log")
  case $code in
    0) if [ "$passed" = 0 ] && [ "$gpus" -gt 0 ]; then status=1; echo "| $name | RAN NOTHING on a GPU: $skipped skipped, see $log |"
      else echo "| $name | $passed passed, $skipped skipped |"; fi ;;
    124) status=1; echo "| $name | not finished in time, $passed passed |" ;;
    *) status=1; echo "| $name | FAILED ($code), $passed passed: $(grep '^\[  FAILED  \] [A-Za-z]*\.' "$log" | sort -u | sed 's/^\[  FAILED  \] //; s/ (.*//' | tr '\n' ' ')|"
      grep -B12 '^\[  FAILED  \]' "$log" | head -60 >&2; tail -5 "$log" >&2 ;;
  esac
}

run_two_ranks() {  # a GPU for each, or one for both where NCCL can do that
  local name='test_train_several_gpus, 2 ranks' nccl
  nccl=$("$python" -c 'import torch; print("%d%02d" % torch.cuda.nccl.version()[:2])' 2>/dev/null || echo 0)
  if ! command -v mpirun >/dev/null; then echo "| $name | not run: there is no mpirun |"; return; fi
  if [ "$gpus" -lt 2 ] && { [ "$gpus" = 0 ] || [ "$nccl" -lt 230 ]; }; then
    echo "| $name | not run: $gpus GPU(s); two ranks on one need NCCL 2.30 |"; return
  fi
  run_test "$name" env -u OMPI_MCA_ess_singleton_isolated -u OMPI_MCA_btl NCCL_MULTI_RANK_GPU_ENABLE=1 OMPI_ALLOW_RUN_AS_ROOT=1 \
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe --bind-to none -n 2 "$tests/tests/test_train_several_gpus"
}

run_tests() {
  echo '| GPU tests | result |'; echo '| --- | --- |'
  programs >/dev/null || {
    [ "$gpus" = 0 ] || status=1
    echo "| $tests has no GPU tests (build with -DWEIGHTSCOPE_CUDA=ON) | not run |"; echo; return
  }
  while read -r program; do run_test "$(basename "$program")" "$program"; done < <(programs)
  run_two_ranks
  echo
}

run_sanitizer() {
  echo '| compute-sanitizer | tool | result |'; echo '| --- | --- | --- |'
  local sanitizer
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer /usr/local/cuda*/compute-sanitizer/compute-sanitizer 2>/dev/null | head -1)
  [ -n "$sanitizer" ] || { echo '| compute-sanitizer is not there | | not run |'; echo; return; }
  while read -r program; do
    local name tool log code; name=$(basename "$program")
    for tool in memcheck racecheck; do
      [ $tool = memcheck ] || [[ $name = *monitor* ]] || continue
      log=$logs/$tool-$name.log
      # Tests with Large in their names take too long under it.
      TEST_HANG_SECONDS=300 LD_LIBRARY_PATH=$library_path timeout "$(limit 90)" "$sanitizer" --tool $tool --report-api-errors no --error-exitcode 86 \
        "$program" --gtest_filter=-'*Large*' >"$log" 2>&1 </dev/null
      code=$?
      case $code in
        0) echo "| $name | $tool | clean: $(grep -o 'ERROR SUMMARY.*\|RACECHECK SUMMARY.*' "$log" | tail -1), $(grep -c '^\[       OK' "$log") tests |" ;;
        124) echo "| $name | $tool | not finished: no finding in $(grep -c '^\[       OK' "$log") tests |" ;;
        *) status=1; echo "| $name | $tool | FOUND SOMETHING ($code), see $log |"; grep -m 30 '^=========' "$log" >&2; tail -3 "$log" >&2 ;;
      esac
    done
  done < <(programs)
  echo
}

run_bench() {
  local kept=5
  [[ ${parts[*]} != *bench*sanitizer* ]] || kept=150
  "$python" bench/gpu.py ${build:+--build "$build"} ${out:+--json "$out/gpu.json"} --seconds "$(($(left) - kept))" --library-path "$library_path" "${options[@]}" || status=1
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "There is no GPU here: tests skip themselves, nothing is measured."
for part in "${parts[@]}"; do run_$part; done
echo "gpu.sh: $SECONDS s"
exit $status
