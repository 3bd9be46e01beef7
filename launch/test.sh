#!/usr/bin/env bash
# Set-up, developer build (warnings are errors), all tests; ends with "weightscope: N passed, N failed, N skipped".
#   launch/test.sh [LABEL...]     only tests with one of these labels: fast, core, comm, …, system, lint, python, browser, fuzz
# WEIGHTSCOPE_FUZZ_SECONDS: how long each fuzz target runs (60).
set -uo pipefail
cd "$(dirname "$0")/.."
./launch/setup.sh --test || exit $?
. launch/env.sh
results=$PWD/build/dev/results
rm -rf "$results"; mkdir -p "$results"
labels=$(IFS='|'; echo "$*")

if [ "$labels" != fuzz ]; then
  ./launch/build.sh dev || exit 1
  ctest --test-dir build/dev --output-on-failure --timeout 900 -j 2 ${labels:+-L "^($labels)$"} --output-junit "$results/ctest.xml"
fi
if [ -z "$labels" ] || [[ "|$labels|" == *"|fuzz|"* ]]; then
  cmake --preset fuzz -DWEIGHTSCOPE_FUZZ_SECONDS="${WEIGHTSCOPE_FUZZ_SECONDS:-60}" >build/configure-fuzz.log 2>&1 ||
    { cat build/configure-fuzz.log >&2; exit 1; }
  cmake --build --preset fuzz -j 2 || exit 1
  ctest --test-dir build/fuzz --output-on-failure -j 2 -L '^fuzz$' --output-junit "$results/fuzz.xml"
  cat build/fuzz/outcomes/*
fi
"$WEIGHTSCOPE_VENV/bin/python" tests/support/summary.py "$results"
