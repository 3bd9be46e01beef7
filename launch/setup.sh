#!/usr/bin/env bash
# Installs everything that weightscope needs: Debian/Ubuntu packages and a Python environment with LibTorch in .venv.
# Idempotent; takes under two seconds when there is nothing to do.
#   launch/setup.sh [--test] [--cuda auto|on|off]
#   --test   also what the tests need (GoogleTest, clang tools, Slurm, a browser, optional Python packages)
#   --cuda   auto (default): build the CUDA and NCCL path when nvcc is found
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
    -h|--help) sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
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
wanted=("${packages_build[@]}"); [ $tests = 1 ] && wanted+=("${packages_test[@]}")
if command -v dpkg-query >/dev/null; then
  have=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii *//p' | tr '\n' ' ') "
  missing=()
  for p in "${wanted[@]}"; do [[ $have == *" $p "* ]] || missing+=("$p"); done
  if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then as_root=(); elif sudo -n true 2>/dev/null; then as_root=(sudo); else
      printf 'setup: these packages are missing and this user may not install them; run\n  sudo %s\nand start again\n' "$install" >&2
      exit 2
    fi
    say "installing ${#missing[@]} packages: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    # some packages become known only after the first update
    . launch/packages.sh
    [ $tests = 1 ] && for p in "${packages_test[@]}"; do [[ " ${missing[*]} $have " == *" $p "* ]] || missing+=("$p"); done
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
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
  [ -x "$WEIGHTSCOPE_VENV/bin/python" ] || { say "creating $WEIGHTSCOPE_VENV"; "$python" -m venv "$WEIGHTSCOPE_VENV"; }
  say "installing Python packages (the LibTorch wheel and its libraries take about 5 GB)"
  if [ -n "$own_torch" ]; then grep -vE '^(torch|transformers)==' launch/requirements.lock >"$WEIGHTSCOPE_VENV/requirements.own"; "${pip[@]}" install -r "$WEIGHTSCOPE_VENV/requirements.own"
  else "${pip[@]}" install -r launch/requirements.lock; fi
  "${pip[@]}" install --no-deps --no-build-isolation -e analysis
  echo "$key" >"$stamp"
fi
if [ $tests = 1 ] && ! cmp -s launch/requirements-test.lock "$stamp-test"; then
  say "installing Python packages that only tests need"
  "${pip[@]}" install -r launch/requirements-test.lock
  cp launch/requirements-test.lock "$stamp-test"
fi

# 3. CUDA or not, for launch/build.sh.
if [ "$cuda" = auto ]; then command -v nvcc >/dev/null && cuda=on || cuda=off; fi
[ "$cuda" = on ] && ! command -v nvcc >/dev/null && { echo "setup: --cuda on needs nvcc on PATH" >&2; exit 2; }
mkdir -p build && echo "$cuda" >build/cuda
say "ready (CUDA path: $cuda)"
