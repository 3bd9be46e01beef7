"""Fails if a file of src/ includes a module that CMake does not declare as its dependency."""

import re
import sys
from pathlib import Path

source, layers = Path(sys.argv[1]), Path(sys.argv[2])
allowed: dict[str, set[str]] = {}
for line in layers.read_text().splitlines():
    name, _, dependencies = line.partition(":")
    allowed[name] = {name, *filter(None, dependencies.strip().split(","))}

problems = []
for path in sorted(source.rglob("*")):
    if path.suffix not in {".hpp", ".cpp", ".cu", ".cuh", ".inl"}:
        continue
    module = path.relative_to(source).parts[0]
    for number, text in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#include "(\w+)/', text)
        if match and match[1] not in allowed[module]:
            problems.append(f"{path}:{number}: {match[1]} is not a declared dependency of {module}")
print("\n".join(problems) or f"layers ok: {len(allowed)} modules")
sys.exit(bool(problems))
