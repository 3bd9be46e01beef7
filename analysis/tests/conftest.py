"""Experiments that several tests read, written once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six layers that widen by depth, heavier tails, one seed."""
    return synthetic.experiment(tmp_path_factory.mktemp("one") / "experiment.h5")


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four runs that differ in their seed only; the first layer is clearly ahead of the second."""
    folder = tmp_path_factory.mktemp("seeds")
    truth = synthetic.Truth(jitter=0.03, steps=(0, 64, 300, 600), walk=(2.6, 1.8, 1.6, 1.4, 1.2, 1.0))
    return [synthetic.experiment(folder / f"seed-{s}.h5", truth, seed=s) for s in range(1, 5)]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two schemes of four seeds; one run has other snapshots than the rest, one ended early."""
    folder = tmp_path_factory.mktemp("groups")
    made = []
    for scheme, walk in (("gpt2", (2.0, 1.4, 1.0)), ("xavier", (1.0, 1.0, 1.0))):
        for seed in (1, 2, 3, 4):
            steps = {3: (0, 50, 100), 4: (0, 25)}.get(seed, (0, 25, 50, 100))
            truth = synthetic.Truth(layers=3, heads=2, width=16, walk=walk, steps=steps, seed=seed, jitter=0.02)
            config = synthetic.config_text(replace(truth, steps=(100,))).replace("article", scheme)
            attrs = {"name": f"{scheme}-seed-{seed}", "config": config}
            made.append(synthetic.experiment(folder / f"{scheme}-{seed}.h5", replace(truth, attrs=attrs)))
    return made
