import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from cluster import Cluster, may_unshare, missing
from jobs import SETTINGS, Desk
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
    """Configuration and data, and `whole`: what happens to a run of four local ranks when nothing happens to it."""
    folder = tmp_path_factory.mktemp("material")
    config = write_tiny(folder)
    settings = {key.replace(".", "__"): value for key, value in SETTINGS.items()}
    Program(folder).train(config, "whole", ranks=4, **settings)
    return folder


@pytest.fixture
def whole(material: Path) -> Path:
    return material / "whole"


@pytest.fixture
def desk(cluster: Cluster, material: Path, tmp_path: Path) -> Desk:
    shutil.copy(material / "tiny.yaml", tmp_path)
    shutil.copytree(material / "data", tmp_path / "data")
    return Desk(cluster, tmp_path)
