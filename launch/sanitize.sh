#!/usr/bin/env bash
# Builds with sanitizers of the compiler and runs the tests with them, without CUDA. Takes as long as it sounds.
#   launch/sanitize.sh [asan|tsan] [LABEL...]
#   asan   AddressSanitizer (with leaks) and UBSan: the whole suite, or the tests with one of the labels
#   tsan   ThreadSanitizer: the tests with the label threads
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
preset=${1:-asan}; [ $# -gt 0 ] && shift
case $preset in
  asan) target=all labels=$(IFS='|'; echo "$*") ;;
  tsan) target=weightscope_thread_tests labels=threads ;;
  *) echo "sanitize: $preset is not asan or tsan" >&2; exit 2 ;;
esac
./launch/setup.sh --test
. launch/env.sh
cmake --preset "$preset" -DWEIGHTSCOPE_CUDA=OFF >"build/configure-$preset.log" 2>&1 || { cat "build/configure-$preset.log" >&2; exit 1; }
cmake --build --preset "$preset" --target "$target"
# Formatting and style do not depend on the compiler's options.
ctest --test-dir "build/$preset" --output-on-failure -j 2 ${labels:+-L "^($labels)$"} -LE '^lint$'
