#!/usr/bin/env bash
# clang-format over every C++ and CUDA file of ours.
cd "$1" && git ls-files '*.hpp' '*.cpp' '*.cu' '*.cuh' '*.inl' | xargs clang-format --dry-run -Werror
