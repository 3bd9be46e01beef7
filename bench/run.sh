#!/usr/bin/env bash
# Measures weightscope against its peers, after launch/setup.sh. Builds the benchmark programs first.
#   bench/run.sh [quick|full]
#   full   (default) about half an hour on two quiet cores: bench/results/*.json and the tables of docs/performance.md
#   quick  shows that everything works; writes to build/bench/ and leaves the page alone
# On a quiet machine only: ratios survive noise, absolute times do not.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/env.sh
kind=${1:-full}
case $kind in
  full) out=bench/results page=docs/performance.md options=() ;;
  quick) out=build/bench page=build/bench/performance.md options=(--quick) ;;
  -h|--help) sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
  *) echo "bench: unknown argument $kind (quick or full)" >&2; exit 2 ;;
esac
"$WEIGHTSCOPE_VENV/bin/python" -c 'import torch, transformers' 2>/dev/null ||
  { echo "bench: torch or transformers is missing in $WEIGHTSCOPE_VENV; run launch/setup.sh" >&2; exit 2; }
mkdir -p "$out" build
cmake --preset release -DWEIGHTSCOPE_BENCH=ON >build/configure-bench.log 2>&1 || { cat build/configure-bench.log >&2; exit 1; }
cmake --build --preset release --target weightscope_bench_step weightscope_bench_snapshot
[ $kind = full ] || cp docs/performance.md "$page"
for what in snapshot train; do
  python bench/$what.py "${options[@]}" --json "$out/$what.json" | tee "$out/$what.md"
  python bench/page.py "$page" "bench:$what" <"$out/$what.md"
  rm "$out/$what.md"
done
echo "bench: wrote $out and $page"
