"""The tests' own cluster leaves nothing behind, even when whoever started it is killed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster, missing, until
from program import alive

PROGRAM = "import sys, time; from cluster import Cluster; c = Cluster(sys.argv[1] == 'True').__enter__(); "
PROGRAM += "print(c.home, flush=True); time.sleep(600)"


def processes_of(home: Path) -> list[int]:
    """All that were started with this cluster's configuration in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and bytes(home) in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if alive(pid)]


def interfaces() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def test_a_cluster_that_is_stopped_is_gone(cluster: Cluster) -> None:
    before = interfaces()
    with Cluster(cluster.namespaces) as other:
        assert len(other.run("srun", "-N4", "hostname").split()) == 4
        assert len(processes_of(other.home)) > 6
    assert processes_of(other.home) == []
    assert not other.home.exists()
    assert interfaces() == before


def test_a_cluster_dies_with_its_owner(cluster: Cluster) -> None:
    before = interfaces()
    owner = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(cluster.namespaces)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert owner.stdout is not None
    home = Path(owner.stdout.readline().strip())
    assert len(processes_of(home)) > 6
    owner.send_signal(signal.SIGKILL)
    owner.wait(10)
    try:
        until(lambda: processes_of(home) == [], 10, "the end of its daemons")
    finally:
        for pid in processes_of(home):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)
    assert interfaces() == before


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.NEEDED", ("munged", "no-such-program"))
    assert missing() == "no-such-program not installed (launch/setup.sh --test)"
