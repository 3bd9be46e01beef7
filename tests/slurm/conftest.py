import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from cluster import Cluster, may_unshare, missing
from jobs import SETTINGS, Desk, plain
from program import Program, write_tiny


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """WEIGHTSCOPE_CLUSTER=host takes the way of those who may not make namespaces."""
    if reason := missing():
        pytest.skip(f"no Slurm cluster: {reason}")
    with Cluster(os.environ.get("WEIGHTSCOPE_CLUSTER") != "host" and may_unshare()) as running:
        yield running


@pytest.fixture
def apart(cluster: Cluster) -> Cluster:
    """A cluster whose nodes can lose power and have devices."""
    if not cluster.namespaces:
        pytest.skip("nodes of one host: they have no devices and cannot be switched off (root with CAP_SYS_ADMIN can)")
    return cluster


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with configuration and data."""
    folder = tmp_path_factory.mktemp("material")
    write_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def whole(material: Path) -> Path:
    """A run to which nothing happened, on this machine; on one rank, because the bits do not depend on that."""
    Program(material).train("tiny.yaml", "whole", **plain(SETTINGS))
    return material / "whole"


@pytest.fixture
def desk(cluster: Cluster, material: Path, tmp_path: Path) -> Desk:
    shutil.copy(material / "tiny.yaml", tmp_path)
    shutil.copytree(material / "data", tmp_path / "data")
    return Desk(cluster, tmp_path)
