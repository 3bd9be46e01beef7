#!/usr/bin/env bash
# Configures and builds one preset (release or dev) after launch/setup.sh.
#   launch/build.sh [release|dev]
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
. launch/env.sh
preset=${1:-release}
cuda=OFF; [ "$(cat build/cuda 2>/dev/null)" = on ] && cuda=ON
cmake --preset "$preset" -DWEIGHTSCOPE_CUDA=$cuda >"build/configure-$preset.log" 2>&1 || { cat "build/configure-$preset.log" >&2; exit 1; }
cmake --build --preset "$preset"
