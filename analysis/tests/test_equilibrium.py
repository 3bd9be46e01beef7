"""AdamW's own equilibrium: the formulas against AdamW itself, fed with random gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic
import weightscope
from weightscope import equilibrium
from weightscope.report import width

START = 0.02


def adamw(lr: np.ndarray, decay: float, betas: tuple[float, float], n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """rms of n weights after each update (steps + 1) and the angle of each (steps); each weight's gradients have a
    scale of their own, which Adam does not see."""
    rng = np.random.default_rng(5)
    w, m, v = START * rng.standard_normal(n), np.zeros(n), np.zeros(n)
    scale = np.exp(2 * rng.standard_normal(n))
    rms, angle = [np.sqrt((w**2).mean())], []
    for t, eta in enumerate(lr, 1):
        g = scale * rng.standard_normal(n)
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
        update = (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + 1e-12)
        moved = (1 - eta * decay) * w - eta * update
        angle.append(np.arccos(w @ moved / np.linalg.norm(w) / np.linalg.norm(moved)))
        w = moved
        rms.append(np.sqrt((w**2).mean()))
    return np.array(rms), np.array(angle)


def cosine(steps: int, peak: float) -> np.ndarray:
    t = np.arange(steps)
    return peak * np.minimum((t + 1) / 40, 0.1 + 0.45 * (1 + np.cos(np.pi * t / steps)))


@pytest.mark.parametrize("betas", [(0.9, 0.95), (0.9, 0.999), (0.0, 0.99)])
def test_adamw_ends_in_the_equilibrium_and_turns_by_the_angle_of_the_formulas(betas: tuple[float, float]) -> None:
    lr, decay = 1e-2, 0.1
    rms, angle = adamw(np.full(2500, lr), decay, betas)
    assert rms[1500:].mean() == pytest.approx(float(equilibrium.equilibrium_rms(lr, decay)), rel=0.03)
    assert angle[1500:].mean() == pytest.approx(float(equilibrium.rotation(lr, decay, betas[0])), rel=0.02)


@pytest.mark.parametrize(("steps", "peak", "decay"), [(600, 1.5e-3, 0.1), (1500, 1e-2, 0.1), (600, 1e-3, 0.0)])
def test_the_way_there_is_predicted_for_any_schedule(steps: int, peak: float, decay: float) -> None:
    lr = cosine(steps, peak)
    rms, _ = adamw(lr, decay, (0.9, 0.95))
    kept, added = equilibrium.random_walk(lr, decay, 0.9)
    assert np.sqrt(rms[0] ** 2 * kept + added) == pytest.approx(rms, rel=0.035)


def test_without_decay_there_is_no_equilibrium() -> None:
    assert equilibrium.equilibrium_rms(1e-3, 0.0) == np.inf
    assert equilibrium.rotation(1e-3, 0.0, 0.9) == 0


def test_a_run_is_given_its_course_from_its_own_learning_rates(experiment: Path) -> None:
    run = weightscope.open(experiment)
    found = equilibrium.adamw_course(run)
    assert found is not None
    start = run.snapshots["rms"].values[0]
    assert found["random_rms"].values[0] == pytest.approx(start)
    lr = run.train["lr"].values
    kept, added = equilibrium.random_walk(lr, 0.1, 0.9)
    assert found["random_rms"].values[-1] == pytest.approx(np.sqrt(start**2 * kept[-1] + added[-1]))
    assert found["equilibrium_rms"].values[-1] == pytest.approx(np.sqrt(lr[-1] / 0.2))
    assert all({"units", "long_name"} <= set(found[name].attrs) for name in found)


def test_with_mup_steps_are_scaled_and_decay_is_not(experiment: Path) -> None:
    run = weightscope.open(experiment)
    run.config["model"] = {"width": 64, "mup_base_width": 16}
    found = equilibrium.adamw_course(run)
    assert found is not None
    start, lr = run.snapshots["rms"].values[0], run.train["lr"].values
    kept, added = equilibrium.random_walk(lr, 0.1, 0.9)
    assert found["random_rms"].values[-1] == pytest.approx(np.sqrt(start**2 * kept[-1] + added[-1] / 16))
    assert found["equilibrium_rms"].values[-1] == pytest.approx(np.sqrt(lr[-1] / 0.2) / 4)
    assert found["rotation"].values[-1] == pytest.approx(float(equilibrium.rotation(lr[-1], 0.1, 0.9)))


def test_a_learning_rate_of_zero_is_no_equilibrium(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=1, walk=(1.0,), width=8, heads=1, steps=(0, 4))
    run = weightscope.open(synthetic.experiment(tmp_path / "e.h5", truth))
    run.train["lr"][:] = 0
    run.snapshots["rms"].loc[{"component": "v"}] = 0
    assert width.text(run).endswith("The learning rate was 0: nothing moves.")
    assert "nan" not in str(width.rows(run)).lower()


@pytest.mark.parametrize("missing", ["optimizer", "lr", "steps", "betas"])
def test_a_run_that_does_not_say_how_it_was_trained_has_none(missing: str, tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=1, walk=(1.0,), width=8, heads=1, steps=(0, 4))
    run = weightscope.open(synthetic.experiment(tmp_path / "e.h5", truth))
    assert equilibrium.adamw_course(run) is not None
    if missing == "optimizer":
        run.config = {}
    elif missing == "lr":
        run.train = run.train.drop_vars("lr")
    elif missing == "steps":
        run.train = run.train.isel(step=[0, 1, 3])
    else:
        run.config["optimizer"]["betas"] = ["x", 2]
    assert equilibrium.adamw_course(run) is None
