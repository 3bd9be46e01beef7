#!/usr/bin/env bash
# Measures weightscope against its peers, after launch/setup.sh. Builds the benchmark programs first.
#   bench/run.sh [quick|full]
#   full   (default) about an hour on two quiet cores: bench/results/*.json and the tables of docs/performance.md
#   quick  shows that everything works; writes to build/bench/ and leaves the page alone
# On a quiet machine only: ratios survive noise, absolute times do not.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
. launch/env.sh
kind=${1:-full}
case $kind in
  full) out=bench/results page=docs/performance.md options=() train=(--shapes S,M,M1024 --rounds 4 --peers plain,plain-compile)
    beside=(--shapes M --rounds 3) dropout=(--shapes S --rounds 4 --peers plain,plain-compile) exchange=() scaling=() parity=() safe=() ;;
  quick) out=build/bench page=build/bench/performance.md options=(--quick) train=() beside=() dropout=() exchange=(--rounds 2)
    scaling=(--shape tiny --rounds 2 --block-seconds 0.1 --ranks 1,2) parity=(--shape tiny --steps 20) safe=(--quick) ;;
  -h|--help) sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
  *) echo "bench: unknown argument $kind (quick or full)" >&2; exit 2 ;;
esac
"$WEIGHTSCOPE_VENV/bin/python" -c 'import torch, transformers' 2>/dev/null ||
  { echo "bench: torch or transformers is missing in $WEIGHTSCOPE_VENV; run launch/setup.sh" >&2; exit 2; }
mkdir -p "$out" build
cmake --preset release -DWEIGHTSCOPE_BENCH=ON >build/configure-bench.log 2>&1 || { cat build/configure-bench.log >&2; exit 1; }
cmake --build --preset release --target weightscope weightscope_bench_step weightscope_bench_snapshot weightscope_bench_probe weightscope_bench_exchange weightscope_bench_digest
[ $kind = full ] || cp docs/performance.md "$page"
keep() {  # NAME COMMAND...: shows the table that the command prints and puts it into the page, unless the command fails half-way
  local name=$1 partial=$out/$1.md.partial; shift
  "$@" | tee "$partial"
  python bench/page.py "$page" "bench:$name" <"$partial"
  rm "$partial"
}
exchange() {
  echo '| GPT-2 124M, 2 ranks × 1 thread | weights | ranks × threads | ms | over the bare update |'
  echo '| --- | --- | --: | --: | --: |'
  for weights in "" --bf16; do mpirun --bind-to none -n 2 build/release/weightscope_bench_exchange $weights "${exchange[@]}"; done
}
./launch/data.sh kjv
keep snapshot python bench/snapshot.py "${options[@]}" --json "$out/snapshot.json"
keep train python bench/train.py "${options[@]}" "${train[@]}" --json "$out/train.json"
keep transformers python bench/train.py "${options[@]}" "${beside[@]}" --peers transformers --json "$out/train-transformers.json"
keep dropout python bench/train.py "${options[@]}" "${dropout[@]}" --dropout 0.2 --modes 1x2 --json "$out/train-dropout.json"
keep exchange exchange
scaling() {
  python bench/scaling.py "${scaling[@]}" --json "$out/scaling.json"
  [ $kind = quick ] || python bench/scaling.py --shape M --ranks 1,2 --predict --json "$out/scaling-M.json"
}
keep scaling scaling
keep exposed python bench/exposed.py
keep loss_parity python bench/loss_parity.py "${parity[@]}" --json "$out/loss_parity.json"
keep reliability python bench/reliability.py "${safe[@]}" --json "$out/reliability.json"
echo "bench: wrote $out and $page"
