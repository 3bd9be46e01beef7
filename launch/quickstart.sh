#!/usr/bin/env bash
# From a fresh Debian or Ubuntu machine to a trained model, its experiment file, figures and report:
# set-up, release build, King James text, training on 2 MPI ranks, report. Running it again does only what is missing.
#   launch/quickstart.sh [--cuda auto|on|off]     options of launch/setup.sh
set -euo pipefail
case " $* " in *" -h "*|*" --help "*) sed -n '2,4p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;; esac
CDPATH='' cd -- "$(dirname -- "$0")/.."
./launch/setup.sh "$@"
./launch/build.sh release
. launch/env.sh
./launch/data.sh kjv
run=runs/quickstart
./launch/run.sh 2 train configs/quickstart.yaml
[ "$run/report.html" -nt "$run/experiment.h5" ] || weightscope-report "$run" -o "$run/report.html" --figures "$run/figures"
cat <<TEXT

Done. Open the report:  $PWD/$run/report.html
The experiment file:    $PWD/$run/experiment.h5   (xarray, h5py, h5web)

Try next:
  . launch/env.sh
  weightscope sample $run --prompt "In the beginning" --tokens 300
  ./launch/run.sh 2 train configs/quickstart.yaml --set init.scheme=xavier_normal --output runs/xavier
  weightscope-compare $run runs/xavier -o runs/compare.html
TEXT
