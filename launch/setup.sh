#!/usr/bin/env bash
# Installs everything that weightscope needs: Debian/Ubuntu packages and a Python environment with LibTorch in .venv.
# Idempotent; takes under two seconds when there is nothing to do.
#   launch/setup.sh [--test] [--cuda auto|on|off]
#   --test   also what the tests need (GoogleTest, clang tools, Slurm, a browser, optional Python packages)
#   --cuda   auto (default): build the CUDA and NCCL path when nvcc is found, on PATH or in CUDA_HOME (/usr/local/cuda), and of
#            the major version that LibTorch was built with
# WEIGHTSCOPE_VENV=DIR uses or creates another environment. Torch_DIR (PREFIX/share/cmake/Torch) or CMAKE_PREFIX_PATH name a
# LibTorch of your own.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "$0")/.."
. launch/packages.sh
. launch/env.sh
tests=0 cuda=auto
while [ $# -gt 0 ]; do
  case $1 in
    --test) tests=1 ;;
    --cuda) cuda=${2:?--cuda needs auto, on or off}; shift ;;
    --cuda=*) cuda=${1#*=} ;;
    -h|--help) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "setup: unknown option $1 (see launch/setup.sh --help)" >&2; exit 2 ;;
  esac
  shift
done
case $cuda in auto|on|off) ;; *) echo "setup: --cuda $cuda is not auto, on or off" >&2; exit 2 ;; esac

say() { echo "setup: $*"; }

# Where a LibTorch of one's own lies, if it does: CMAKE_PREFIX_PATH may be set for something else (ROS, conda). The places are
# those of cmake/FindTorchWheel.cmake.
own_torch() {
  local prefix prefixes places=()
  [ -z "${Torch_DIR:-}" ] || places+=("$Torch_DIR/../../..")
  IFS=: read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do [ -z "$prefix" ] || places+=("$prefix" "$prefix/../.."); done
  for prefix in "${places[@]}"; do [ ! -e "$prefix/include/ATen/ATen.h" ] || { (CDPATH='' cd -- "$prefix" && pwd); return; }; done
}

# 1. Packages. Nothing is touched when all are there.
wanted=("${packages_build[@]}" "${packages_optional[@]}"); [ $tests = 1 ] && wanted+=("${packages_test[@]}")
if command -v dpkg-query >/dev/null; then
  have=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii *//p' | tr '\n' ' ') "
  missing=() needed=()
  for p in "${wanted[@]}"; do
    [[ $have == *" $p "* ]] && continue
    missing+=("$p"); [[ " ${packages_optional[*]} " == *" $p "* ]] || needed+=("$p")
  done
  as_root=()
  if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then as_root=(sudo); else
      install="sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
      if [ ${#needed[@]} -gt 0 ]; then
        printf 'setup: these packages are missing and this user may not install them; run\n  %s\nand start again\n' "$install" >&2
        exit 2
      fi
      say "goes on without optional packages, which this user may not install ($install)"
      missing=()
    fi
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${#missing[@]} packages: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq || [ ${#needed[@]} = 0 ] || exit 2
    # some packages become known only after the first update
    . launch/packages.sh
    [ $tests = 1 ] && for p in "${packages_test[@]}"; do [[ " ${missing[*]} $have " == *" $p "* ]] || missing+=("$p"); done
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
      [ ${#needed[@]} = 0 ] || exit 2
      say "goes on without optional packages, which cannot be installed"
    }
  fi
else
  say "this is not Debian or Ubuntu: install yourself ${wanted[*]}"
fi

# 2. Python environment, from the lock file. The stamp says which lock it was made from.
stamp=$WEIGHTSCOPE_VENV/.weightscope-setup
own_torch=$(own_torch)
[ -z "$own_torch" ] || say "LibTorch is your own, $own_torch"
key=$(cat launch/requirements.lock analysis/pyproject.toml | sha256sum | cut -c1-16)-$( [ -n "$own_torch" ] && echo own || echo wheel)-$PWD
pip=("$WEIGHTSCOPE_VENV/bin/python" -m pip --disable-pip-version-check -q)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$key" ]; then
  python=/usr/bin/python3; [ -x $python ] || python=python3
  # Not "is there a python": an environment whose making was interrupted has one, but no pip. One of yours is not made again.
  if ! "$WEIGHTSCOPE_VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    if [ -x "$WEIGHTSCOPE_VENV/bin/python" ] && [ "$WEIGHTSCOPE_VENV" != "$PWD/.venv" ]; then
      "$WEIGHTSCOPE_VENV/bin/python" -m ensurepip >/dev/null 2>&1 || { echo "setup: $WEIGHTSCOPE_VENV has no pip" >&2; exit 2; }
    else
      say "creating $WEIGHTSCOPE_VENV"; "$python" -m venv "$WEIGHTSCOPE_VENV"
    fi
  fi
  say "installing Python packages$([ -n "$own_torch" ] || echo ' (the LibTorch wheel and its libraries take about 5 GB)')"
  lock=launch/requirements.lock
  if [ -n "$own_torch" ]; then  # the build takes NCCL and cuDNN from beside that LibTorch or from the toolkit, never from here
    grep -vE '^(torch|transformers|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==' $lock >"$WEIGHTSCOPE_VENV/requirements.own"
    lock=$WEIGHTSCOPE_VENV/requirements.own
  fi
  "${pip[@]}" install -r "$lock"
  "${pip[@]}" install --no-deps --no-build-isolation -e analysis
  echo "$key" >"$stamp"
fi
if [ $tests = 1 ] && ! cmp -s launch/requirements-test.lock "$stamp-test"; then
  say "installing Python packages that only tests need"
  "${pip[@]}" install -r launch/requirements-test.lock
  cp launch/requirements-test.lock "$stamp-test"
fi

# 3. CUDA or not, for launch/build.sh.
# Why the CUDA path cannot be built, or nothing. LibTorch's libraries and those of another major version do not mix.
no_cuda() {
  local torch=$own_torch toolkit theirs
  command -v nvcc >/dev/null || { echo "the CUDA toolkit's nvcc is neither on PATH nor in ${CUDA_HOME:-/usr/local/cuda}/bin"; return; }
  [ -n "$torch" ] || torch=$("$WEIGHTSCOPE_VENV/bin/python" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')
  [ -e "$torch/lib/libc10_cuda.so" ] || { echo "the LibTorch in $torch was built without CUDA"; return; }
  toolkit=$(nvcc --version | sed -n 's/.*release \([0-9]*\).*/\1/p')
  theirs=$(readelf -d "$torch/lib/libc10_cuda.so" 2>/dev/null | sed -n 's/.*\[libcudart[^]]*\.so\.\([0-9]*\).*/\1/p')
  [ -z "$toolkit" ] || [ -z "$theirs" ] || [ "$toolkit" = "$theirs" ] ||
    echo "$(command -v nvcc) is of CUDA $toolkit, the LibTorch in $torch was built with CUDA $theirs"
}
if [ "$cuda" != off ]; then
  why=$(no_cuda)
  if [ "$cuda" = on ] && [ -n "$why" ]; then echo "setup: --cuda on is not possible: $why" >&2; exit 2; fi
  cuda=on
  if [ -n "$why" ]; then
    cuda=off
    # Worth a line where it is a surprise: there is a GPU, or a compiler for one.
    if command -v nvcc >/dev/null || nvidia-smi -L >/dev/null 2>&1; then say "training will be on the CPU: $why"; fi
  fi
fi
mkdir -p build && echo "$cuda" >build/cuda
say "ready (CUDA path: $cuda)"
