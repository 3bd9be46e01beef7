"""Fails if a source file has more than 300 lines, if the median exceeds 100, or if a C++ function exceeds 60 lines."""

import statistics
import sys
from pathlib import Path

root = Path(sys.argv[1])
files = [
    p
    for folder, suffixes in (("src", (".hpp", ".cpp", ".cu", ".inl")), ("analysis/src", (".py",)))
    for p in (root / folder).rglob("*")
    if p.suffix in suffixes
]
sizes = {path: len(path.read_text().splitlines()) for path in files}
problems = [f"{path}: {lines} lines (at most 300)" for path, lines in sizes.items() if lines > 300]
median = statistics.median(sizes.values())
if median > 100:
    problems.append(f"median file has {median} lines (at most 100)")

for path in files:
    if path.suffix == ".py":
        continue
    start = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        # A function closes at the indentation of its first line (clang-format); namespaces and classes do not count.
        if (
            line
            and not line[0].isspace()
            and line.rstrip().endswith("{")
            and ")" in line
            and not line.startswith(("namespace", "struct", "class", "extern", "enum"))
        ):
            start = number
        elif line == "}" and start is not None:
            if number - start + 1 > 60:
                problems.append(f"{path}:{start}: function of {number - start + 1} lines (at most 60)")
            start = None
print("\n".join(problems) or f"sizes ok: {len(files)} files, median {median:.0f} lines")
sys.exit(bool(problems))
