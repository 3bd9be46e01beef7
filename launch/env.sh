# Source this file: puts weightscope and its Python environment on PATH.
#   . launch/env.sh
# shellcheck shell=bash
# WEIGHTSCOPE_VENV and WEIGHTSCOPE_BINARY name another environment and another build than those of launch/setup.sh and build.sh.
weightscope_root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")/.." && pwd)
export WEIGHTSCOPE_VENV=${WEIGHTSCOPE_VENV:-$weightscope_root/.venv}
weightscope_build=$weightscope_root/build/release
[ -z "${WEIGHTSCOPE_BINARY:-}" ] || weightscope_build=$(CDPATH='' cd -- "$(dirname -- "$WEIGHTSCOPE_BINARY")" && pwd)
export PATH="$weightscope_build:$WEIGHTSCOPE_VENV/bin:$PATH"
# NVIDIA's installer leaves PATH alone. Last: a compiler that somebody chose comes first.
if ! command -v nvcc >/dev/null && [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
  export PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"
fi
# Containers often run as root, and a laptop has fewer cores than a test has ranks: OpenMPI refuses both unless told.
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
export OMPI_MCA_rmaps_base_oversubscribe=1
# A rank that waits gives its core to whoever can use it: spinning doubled the step on a laptop that does something else besides.
export OMPI_MCA_mpi_yield_when_idle=${OMPI_MCA_mpi_yield_when_idle:-1}
