#!/usr/bin/env bash
# Set-up, developer build (warnings are errors), all tests; ends with "weightscope: N passed, N failed, N skipped".
#   launch/test.sh [LABEL...]     only tests with one of these labels: fast, core, comm, …, system_resume, analysis (with the
#                                 browser tests), lint, python, slurm, fuzz
# WEIGHTSCOPE_FUZZ_SECONDS: how long each fuzz target runs (60).
set -uo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
./launch/setup.sh --test || exit $?
. launch/env.sh
results=$PWD/build/dev/results
rm -rf "$results"; mkdir -p "$results"
labels=$(IFS='|'; echo "$*") broken=0
options=(--test-dir build/dev --output-on-failure --timeout 900)

wants_fuzz=0; if [ -z "$labels" ] || [[ "|$labels|" == *"|fuzz|"* ]]; then wants_fuzz=1; fi
beside=()  # process groups that run beside the tests
trap '[ ${#beside[@]} = 0 ] || kill -- "${beside[@]/#/-}" 2>/dev/null' EXIT

[ "$labels" = fuzz ] || ./launch/build.sh dev || exit 1
if [ $wants_fuzz = 1 ]; then  # beside the tests, in what time they leave: many of them wait
  # shellcheck disable=SC2016  # for the shell inside
  setsid nice -n 19 bash -c '{ echo 19 >/proc/self/autogroup; } 2>/dev/null  # where the kernel weighs sessions, and nice inside them only
    cmake --preset fuzz -DWEIGHTSCOPE_FUZZ_SECONDS="$1" && cmake --build --preset fuzz -j 2' \
    fuzz "${WEIGHTSCOPE_FUZZ_SECONDS:-60}" >build/fuzz.log 2>&1 & fuzz=$!
  beside+=("$fuzz")
fi
if [ -z "$labels" ]; then  # Slurm's jobs wait most of their time: beside all other tests
  setsid ctest "${options[@]}" -L '^slurm$' --output-junit "$results/ctest-slurm.xml" >"$results/slurm.log" 2>&1 & slurm=$!
  beside+=("$slurm")
  ctest "${options[@]}" -j 2 -LE '^slurm$' --output-junit "$results/ctest.xml" || broken=1
  wait "$slurm" || broken=1
  beside=("$fuzz")
  cat "$results/slurm.log"
elif [ "$labels" != fuzz ]; then
  ctest "${options[@]}" -j 2 -L "^($labels)$" --output-junit "$results/ctest.xml" || broken=1
fi
if [ $wants_fuzz = 1 ]; then
  wait "$fuzz" || { cat build/fuzz.log >&2; exit 1; }
  beside=()
  ctest --test-dir build/fuzz --output-on-failure -j 2 -L '^fuzz$' --output-junit "$results/fuzz.xml" || broken=1
  cat build/fuzz/outcomes/*
fi
"$WEIGHTSCOPE_VENV/bin/python" tests/support/summary.py "$results" || broken=1
exit $broken
