"""clang-tidy over the modules that do not include LibTorch (there its headers take minutes), a module at a time: most
of its time goes into headers, which the files of a module share. There misc-unused-using-decls takes a name as used
that another file uses with its namespace, so using-declarations are looked at here, in all files.
Usage: check_tidy.py SOURCE BUILD"""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MODULES = ("store", "monitor", "comm", "core", "config", "data", "alarms", "init")  # long ones first
LEFT_OUT = {"nccl_backend.cpp"}  # includes LibTorch
ALONE = {"build_info.cpp", "nccl_sum.cpp"}  # with definitions of their own, or names that a neighbour uses otherwise

source, build = (Path(argument).resolve() for argument in sys.argv[1:])
commands = {Path(entry["file"]): entry for entry in json.loads((build / "compile_commands.json").read_text())}
folder = build / "tidy"
folder.mkdir(exist_ok=True)
entries = []


def unit(name: str, files: list[Path]) -> Path:
    """One translation unit of several, compiled as the first of them is."""
    path = folder / f"{name}.cpp"
    path.write_text("".join(f'#include "{file}"  // NOLINT(bugprone-suspicious-include)\n' for file in files))
    first = commands[files[0]]
    entries.append(first | {"file": str(path), "command": first["command"].replace(str(files[0]), str(path))})
    return path


units = []
for module in MODULES:
    files = [file for file in sorted((source / "src" / module).glob("*.cpp")) if file.name not in LEFT_OUT]
    units.append(unit(module, [file for file in files if file.name not in ALONE]))
    units += [unit(f"{module}_{file.stem}", [file]) for file in files if file.name in ALONE]
(folder / "compile_commands.json").write_text(json.dumps(entries, indent=1))


def tidy(path: Path) -> bool:
    options = ["--quiet", "--extra-arg=-Wno-unknown-warning-option"]
    done = subprocess.run(
        ["clang-tidy", "-p", str(folder), f"--config-file={source}/.clang-tidy", *options, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    return done.returncode == 0


def unused_names(path: Path) -> list[str]:
    """`using SCOPE::NAME;` whose NAME the rest of a .cpp never says without a scope."""
    text = path.read_text()
    names = re.findall(r"^\s*using\s+(?!namespace)[\w:]+::(\w+);", text, re.MULTILINE)
    return [name for name in names if not re.search(rf"(?<!::)\b{name}\b", text)]


unused = [
    f"{path.relative_to(source)}: using {name}: unused"
    for top in ("src", "tests", "bench")
    for path in sorted((source / top).rglob("*.cpp"))
    for name in unused_names(path)
]
print("".join(f"{line}\n" for line in unused), end="")
with ThreadPoolExecutor(2) as pool:
    fine = list(pool.map(tidy, units))
sys.exit(0 if all(fine) and not unused else 1)
