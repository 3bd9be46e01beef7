# Sourced by the scripts of this folder.
# shellcheck shell=bash
# known CONFIG [OPTIONS of weightscope train]: the words of those that `weightscope check` takes, too.
known() {
  words_of_check=("$1"); shift
  while [ $# -gt 0 ]; do
    case $1 in
      --set|--output) words_of_check+=("$1" "${2:?$1 needs a value}"); shift ;;
      --set=*|--output=*) words_of_check+=("$1") ;;
    esac
    shift
  done
}
