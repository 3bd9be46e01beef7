"""launch/setup.sh: what it installs, and whether CUDA is built; bench/gpu.py where the build or the machine lacks
something. Packages, pip, CUDA and the programs that are timed are stand-ins here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ["setup.sh", "packages.sh", "env.sh", "requirements.lock"]
STAND_INS = {
    "dpkg-query": '. launch/packages.sh\nprintf "ii %s\\n" "${packages_build[@]}" "${packages_optional[@]}"\n',
    "apt-cache": "exit 1\n",
    "apt-get": "echo apt-get was called >&2; exit 1\n",
    "nvidia-smi": "exit 1\n",
    "python": 'case "$*" in *find_spec*) echo "$0.torch" ;; esac\n'
    'for word; do [ ! -f "$word" ] || cat "$word" >>installed; done\n',
}
NO_ROOT = {"id": "echo 1000\n", "sudo": "exit 1\n"}
WORKER = "echo READY; while read -r n; do for ((i = 0; i < n; i++)); do echo 0.001; done; done\n"
NVCC = "echo 'Cuda compilation tools, release {}.0, V{}.0.88'\n"


@dataclass
class Machine:
    """Where setup.sh runs. Its tools come first on PATH."""

    folder: Path
    system: Path

    @property
    def tools(self) -> Path:
        return self.folder / "venv/bin"

    def has(self, stand_ins: dict[str, str], place: str = "venv/bin") -> None:
        (self.folder / place).mkdir(parents=True, exist_ok=True)
        for name, text in stand_ins.items():
            path = self.folder / place / name
            path.write_text(f"#!/bin/bash\n{text}")
            path.chmod(0o755)

    def set_up(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        mine = {key: value for key, value in os.environ.items() if key not in ("Torch_DIR", "CMAKE_PREFIX_PATH")}
        mine |= {"WEIGHTSCOPE_VENV": str(self.folder / "venv"), "WEIGHTSCOPE_BINARY": ""}
        # No compiler of this machine's: neither one on PATH nor one where NVIDIA puts it.
        mine |= {"PATH": f"{self.tools}:{self.system}", "CUDA_HOME": str(self.folder / "cuda")} | variables
        script = ["bash", str(self.folder / "launch/setup.sh"), *options]
        return subprocess.run(script, env=mine, capture_output=True, text=True, check=False)

    def cuda(self) -> str:
        return (self.folder / "build/cuda").read_text().strip()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/usr/bin without a CUDA compiler: Debian's own lies there."""
    folder = tmp_path_factory.mktemp("bin")
    for path in Path("/usr/bin").iterdir():
        if path.name != "nvcc":
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def machine(tmp_path: Path, system: Path) -> Machine:
    for place in ("launch", "analysis"):
        (tmp_path / place).mkdir(parents=True)
    for name in NEEDED:
        shutil.copy(ROOT / "launch" / name, tmp_path / "launch")
    shutil.copy(ROOT / "analysis/pyproject.toml", tmp_path / "analysis")
    made = Machine(tmp_path, system)
    made.has(STAND_INS)
    return made


def installed(machine: Machine, **variables: str) -> tuple[str, str]:
    """What pip was asked to install, and what the script said."""
    done = machine.set_up("--cuda", "off", **variables)
    assert done.returncode == 0, done.stderr
    return (machine.folder / "installed").read_text(), done.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"CMAKE_PREFIX_PATH": "{own}/nothing:/nowhere"},
        {"CMAKE_PREFIX_PATH": ":"},
        {"Torch_DIR": "/nowhere/share/cmake/Torch"},
    ],
)
def test_torch_is_installed_where_no_other_lies(machine: Machine, tmp_path: Path, variables: dict[str, str]) -> None:
    own = tmp_path / "own"
    (own / "nothing").mkdir(parents=True)
    listed, said = installed(machine, **{key: value.format(own=own) for key, value in variables.items()})
    assert "\ntorch==" in listed
    assert "\nnvidia-nccl-cu13==" in listed
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
def test_a_libtorch_of_ones_own_is_taken(machine: Machine, tmp_path: Path, variables: dict[str, str]) -> None:
    own = tmp_path / "own"
    for place in ("include/ATen", "share/cmake/Torch"):
        (own / place).mkdir(parents=True)
    (own / "include/ATen/ATen.h").touch()
    listed, said = installed(machine, **{key: value.format(own=own) for key, value in variables.items()})
    assert not re.search("^(torch|triton|nvidia|cuda)", listed, re.MULTILINE)
    assert "\nnumpy==" in listed
    assert f"setup: LibTorch is your own, {own}\n" in said
    assert "5 GB" not in said


def test_who_may_not_install_packages_can_do_without_the_optional_ones(machine: Machine) -> None:
    some = '. launch/packages.sh\nprintf "ii %s\\n" "${packages_build[@]}" mold\n'
    machine.has(NO_ROOT | {"dpkg-query": some})
    done = machine.set_up("--cuda", "off")
    assert done.returncode == 0, done.stderr
    assert "goes on without optional packages" in done.stdout
    assert "ccache bible-kjv" in done.stdout


def test_optional_packages_that_cannot_be_had_stop_nobody(machine: Machine) -> None:
    """The package tool of this machine fails."""
    machine.has({"id": "echo 0\n", "dpkg-query": '. launch/packages.sh\nprintf "ii %s\\n" "${packages_build[@]}"\n'})
    done = machine.set_up("--cuda", "off")
    assert done.returncode == 0, done.stderr
    assert "goes on without optional packages, which cannot be installed" in done.stdout
    machine.has({"dpkg-query": "true\n"})
    assert machine.set_up("--cuda", "off").returncode == 2


def test_an_environment_of_ones_own_is_not_made_again(machine: Machine) -> None:
    python = 'case "$*" in *pip*) exit 1 ;; *venv*) touch made ;; esac\n'
    machine.has({"python": python, "python3": python})
    done = machine.set_up("--cuda", "off")
    assert (done.returncode, done.stderr) == (2, f"setup: {machine.folder}/venv has no pip\n")
    assert not (machine.folder / "made").exists()


def test_who_may_not_install_packages_reads_what_to_run(machine: Machine) -> None:
    most = '. launch/packages.sh\nprintf "ii %s\\n" "${packages_build[@]:1}"\n'
    machine.has(NO_ROOT | {"dpkg-query": most})
    done = machine.set_up("--cuda", "off")
    assert done.returncode == 2
    line = "\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends g++ ccache mold bible-kjv"
    assert line in done.stderr
    assert not (machine.folder / "installed").exists()


def with_torch(machine: Machine, cuda: int) -> None:
    (machine.tools / "python.torch/lib").mkdir(parents=True)
    (machine.tools / "python.torch/lib/libc10_cuda.so").touch()
    machine.has({"readelf": f"echo ' 0x1 (NEEDED)   Shared library: [libcudart.so.{cuda}]'\n"})


@pytest.mark.parametrize("place", ["venv/bin", "cuda/bin"])
def test_a_compiler_is_found_on_the_path_and_where_nvidia_puts_it(machine: Machine, place: str) -> None:
    with_torch(machine, 13)
    machine.has({"nvcc": NVCC.format(13, 13)}, place)
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.cuda() == "on"
    assert "on the CPU" not in done.stdout


@pytest.mark.parametrize(
    ("stand_ins", "why"),
    [
        ({"nvidia-smi": "echo GPU 0\n"}, "nvcc is neither on PATH nor in "),
        ({"nvcc": NVCC.format(12, 12)}, "/nvcc is of CUDA 12, the LibTorch in "),
    ],
    ids=["no compiler", "another version"],
)
def test_where_cuda_cannot_be_built_auto_says_why_and_on_ends(
    machine: Machine, stand_ins: dict[str, str], why: str
) -> None:
    with_torch(machine, 13)
    machine.has(stand_ins)
    done = machine.set_up("--cuda", "on")
    assert done.returncode == 2
    assert why in done.stderr
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.cuda() == "off"
    assert why in done.stdout


def test_nothing_is_said_of_cuda_where_nothing_speaks_for_it(machine: Machine) -> None:
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.cuda() == "off"
    assert "on the CPU" not in done.stdout


def measured(machine: Machine, step: str, snapshot: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """bench/gpu.py on a case without peers, and what it wrote."""
    machine.has({"weightscope_bench_step": step, "weightscope_bench_snapshot_cuda": snapshot}, "built")
    document = machine.folder / "gpu.json"
    words = ["--build", str(machine.folder / "built"), "--json", str(document)]
    command = [sys.executable, str(ROOT / "bench/gpu.py"), *words, "--cases", "1.5B-64", "--quick"]
    return subprocess.run(command, capture_output=True, text=True, check=False), document


def test_what_runs_is_measured(machine: Machine) -> None:
    done, document = measured(machine, WORKER, WORKER)
    assert done.returncode == 0, done.stderr
    case, snapshot = json.loads(document.read_text())["groups"]
    assert [len(row["blocks"]) for row in case["rows"]] == [1, 1]
    assert len(snapshot["snapshot"]) == 3


@pytest.mark.parametrize(("step", "snapshot", "named"), [(False, True, "1.5B-64"), (True, False, "snapshot")])
def test_a_program_of_ours_that_does_not_run_is_a_failure(
    machine: Machine, step: bool, snapshot: bool, named: str
) -> None:
    missing = "echo 'error while loading shared libraries: libcudart.so.13' >&2; exit 127\n"
    done, _ = measured(machine, WORKER if step else missing, WORKER if snapshot else missing)
    assert done.returncode == 1
    assert f"weightscope could not run: {named}" in done.stderr
    assert "not measured: error while loading shared libraries" in done.stdout


def test_a_device_with_little_memory_is_no_failure(machine: Machine) -> None:
    done, _ = measured(machine, "echo 'CUDA out of memory' >&2; exit 1\n", WORKER)
    assert done.returncode == 0, done.stderr
    assert "not measured: out of memory" in done.stdout


def test_a_build_without_cuda_is_refused(machine: Machine) -> None:
    machine.has({"weightscope_bench_step": WORKER}, "built")
    command = [sys.executable, str(ROOT / "bench/gpu.py"), "--build", str(machine.folder / "built")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "built: build with -DWEIGHTSCOPE_BENCH=ON -DWEIGHTSCOPE_CUDA=ON" in done.stderr
