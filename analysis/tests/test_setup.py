"""launch/setup.sh: whether it installs torch. Packages and pip are stand-ins here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ["setup.sh", "packages.sh", "env.sh", "requirements.lock"]
PACKAGES = """#!/bin/bash
. launch/packages.sh
printf 'ii %s\\n' "${packages_build[@]}"
"""
PYTHON = """#!/bin/sh
for word; do [ ! -f "$word" ] || cat "$word" >>installed; done
"""


def installed(folder: Path, **variables: str) -> tuple[str, str]:
    """What pip was asked to install, and what the script said."""
    tools = folder / "venv/bin"
    for place in ("launch", "analysis", "venv/bin"):
        (folder / place).mkdir(parents=True)
    for name in NEEDED:
        shutil.copy(ROOT / "launch" / name, folder / "launch")
    shutil.copy(ROOT / "analysis/pyproject.toml", folder / "analysis")
    for name, text in (("dpkg-query", PACKAGES), ("python", PYTHON), ("apt-cache", "#!/bin/sh\nexit 1\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    mine = {key: value for key, value in os.environ.items() if key not in ("Torch_DIR", "CMAKE_PREFIX_PATH")}
    mine |= {"WEIGHTSCOPE_VENV": str(folder / "venv"), "WEIGHTSCOPE_BINARY": ""} | variables
    script = ["bash", str(folder / "launch/setup.sh"), "--cuda", "off"]
    done = subprocess.run(script, env=mine, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "installed").read_text(), done.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"CMAKE_PREFIX_PATH": "{own}/nothing:/nowhere"},
        {"CMAKE_PREFIX_PATH": ":"},
        {"Torch_DIR": "/nowhere/share/cmake/Torch"},
    ],
)
def test_torch_is_installed_where_no_other_lies(tmp_path: Path, variables: dict[str, str]) -> None:
    own = tmp_path / "own"
    (own / "nothing").mkdir(parents=True)
    listed, said = installed(tmp_path, **{key: value.format(own=own) for key, value in variables.items()})
    assert "\ntorch==" in listed
    assert "your own" not in said


@pytest.mark.parametrize(
    "variables",
    [
        {"Torch_DIR": "{own}/share/cmake/Torch"},
        {"CMAKE_PREFIX_PATH": "/nowhere:{own}"},
        {"CMAKE_PREFIX_PATH": "{own}/share/cmake"},
        {"Torch_DIR": "/nowhere/share/cmake/Torch", "CMAKE_PREFIX_PATH": "{own}"},
    ],
)
def test_a_libtorch_of_ones_own_is_taken(tmp_path: Path, variables: dict[str, str]) -> None:
    own = tmp_path / "own"
    for place in ("include/ATen", "share/cmake/Torch"):
        (own / place).mkdir(parents=True)
    (own / "include/ATen/ATen.h").touch()
    listed, said = installed(tmp_path, **{key: value.format(own=own) for key, value in variables.items()})
    assert "\ntorch==" not in listed
    assert "\nnumpy==" in listed
    assert f"setup: LibTorch is your own, {own}\n" in said
