"""Experiments that several tests read, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six layers that widen by depth, heavier tails, one seed."""
    return synthetic.experiment(tmp_path_factory.mktemp("one") / "experiment.h5")


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four runs that differ in their seed only."""
    folder = tmp_path_factory.mktemp("seeds")
    truth = synthetic.Truth(jitter=0.03, steps=(0, 64, 300, 600))
    return [synthetic.experiment(folder / f"seed-{s}.h5", truth, seed=s) for s in range(1, 5)]
