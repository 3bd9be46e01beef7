#!/usr/bin/env bash
# Set-up, developer build (warnings are errors), all tests; ends with "weightscope: N passed, N failed, N skipped".
#   launch/test.sh [LABEL...]     only tests with one of these labels: fast, core, comm, …, system, lint, python, browser
set -uo pipefail
cd "$(dirname "$0")/.."
./launch/setup.sh --test || exit $?
. launch/env.sh
./launch/build.sh dev || exit 1
results=build/dev/results
rm -rf "$results"; mkdir -p "$results"
labels=$(IFS='|'; echo "$*")
ctest --test-dir build/dev --output-on-failure --timeout 900 -j 2 ${labels:+-L "^($labels)$"} --output-junit "$PWD/$results/ctest.xml"
"$WEIGHTSCOPE_VENV/bin/python" tests/support/summary.py "$results"
