"""Every header of src/ compiles alone, with the flags of compile_commands.json. Usage: check_headers.py BUILD SOURCE

A header that its own .cpp includes first, with no precompiled header before it, was compiled alone by the build. The
others are compiled here; those that include LibTorch's Tensor.h, themselves or through headers of ours, after a
precompiled one: it gives them nothing that they do not ask for.
"""

import concurrent.futures
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

build, root = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
commands = {
    str(Path(entry["file"]).resolve()): entry["command"]
    for entry in json.loads((build / "compile_commands.json").read_text())
}
by_module: dict[str, str] = {}
for file, command in commands.items():
    match = re.search(r"/src/(\w+)/", file)
    if match and file.endswith(".cpp"):  # the longest command knows the most include folders
        by_module[match[1]] = max(by_module.get(match[1], command), command, key=lambda c: c.count("-isystem"))


def built_alone(header: Path) -> bool:
    source = header.with_suffix(".cpp")
    command = commands.get(str(source))
    if not command or "cmake_pch" in command:
        return False
    first = re.search(r'^#include\s+[<"]([^>"]+)[>"]', source.read_text(), re.MULTILINE)
    return bool(first) and first[1] == str(header.relative_to(root / "src"))


def included(header: Path) -> set[str]:
    """What it includes, and what headers of ours among them include."""
    found: set[str] = set()
    left = [header]
    while left:
        for name in re.findall(r'^#include\s+[<"]([^>"]+)[>"]', left.pop().read_text(), re.MULTILINE):
            if name not in found and (root / "src" / name).exists():
                left.append(root / "src" / name)
            found.add(name)
    return found


def flags(header: Path) -> list[str]:
    words = shlex.split(by_module[header.relative_to(root / "src").parts[0]])
    words = words[next(i for i, w in enumerate(words) if w.endswith("c++")) :]
    keep = [
        w
        for i, w in enumerate(words)
        if w.startswith(("-I", "-std", "-W", "-D", "-f")) or words[i - 1] == "-isystem" or w == "-isystem"
    ]
    keep = [w for w in keep if "cmake_pch" not in w and w != "-Winvalid-pch"]
    return [words[0], *keep, "-x", "c++"]


def compiles(header: Path) -> str:
    first = ["-include", str(tensor)] if TENSOR in included(header) else []
    alone = ["-Wno-pragma-once-outside-header", "-fsyntax-only", *first, "-include", str(header), "/dev/null"]
    run = subprocess.run([*flags(header), *alone], capture_output=True, text=True, check=False)
    return (
        "" if run.returncode == 0 else f"{header}: {run.stderr.splitlines()[0] if run.stderr else 'does not compile'}"
    )


TENSOR = "ATen/core/Tensor.h"
folder = tempfile.TemporaryDirectory()
tensor = Path(folder.name) / "tensor.hpp"
tensor.write_text(f"#include <{TENSOR}>\n")
headers = sorted(p for p in (root / "src").rglob("*.hpp"))
left = [header for header in headers if not built_alone(header)]
if with_tensor := [header for header in left if TENSOR in included(header)]:
    words = [w if w != "c++" else "c++-header" for w in flags(with_tensor[0])]
    subprocess.run([*words, str(tensor), "-o", f"{tensor}.gch"], check=True)
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    problems = [text for text in pool.map(compiles, left) if text]
print("\n".join(problems) or f"headers ok: {len(headers)}, of them compiled here: {len(left)}")
sys.exit(bool(problems))
