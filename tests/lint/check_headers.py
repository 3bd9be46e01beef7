"""Every header of src/ compiles alone, with the flags of compile_commands.json. Usage: check_headers.py BUILD SOURCE"""

import concurrent.futures
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

build, root = Path(sys.argv[1]), Path(sys.argv[2])
commands = json.loads((build / "compile_commands.json").read_text())
by_module: dict[str, str] = {}
for entry in commands:
    match = re.search(r"/src/(\w+)/", entry["file"])
    if match and entry["file"].endswith(".cpp"):  # the longest command knows the most include folders
        by_module[match[1]] = max(
            by_module.get(match[1], entry["command"]), entry["command"], key=lambda c: c.count("-isystem")
        )


def compiles(header: Path) -> str:
    command = by_module[header.relative_to(root / "src").parts[0]]
    words = shlex.split(command)
    words = words[next(i for i, w in enumerate(words) if w.endswith("c++")) :]
    keep = [
        w
        for i, w in enumerate(words)
        if w.startswith(("-I", "-std", "-W", "-D", "-f")) or words[i - 1] == "-isystem" or w == "-isystem"
    ]
    keep = [w for w in keep if "cmake_pch" not in w and w != "-Winvalid-pch"]
    run = subprocess.run(
        [
            words[0],
            *keep,
            "-Wno-pragma-once-outside-header",
            "-fsyntax-only",
            "-x",
            "c++",
            "-include",
            str(header),
            "/dev/null",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return (
        "" if run.returncode == 0 else f"{header}: {run.stderr.splitlines()[0] if run.stderr else 'does not compile'}"
    )


headers = sorted(p for p in (root / "src").rglob("*.hpp"))
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    problems = [text for text in pool.map(compiles, headers) if text]
print("\n".join(problems) or f"headers ok: {len(headers)}")
sys.exit(bool(problems))
