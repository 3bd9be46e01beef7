"""Gradients and budgets of the recorded run are those that its checkpoints tell of."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import weightscope
from compare import experiment_differences, forget, state
from program import Program
from safetensors.numpy import load_file
from weightscope import bins, schema

GRADIENTS = {"monitor__gradients": "true"}
EXPERIMENT = "experiment.h5"
EVERY_STEP = {"train__steps": 6, "monitor__every": 1, "checkpoint__every": 1, "checkpoint__keep": 50}
CLIP, DECAY, BETAS, EPS = 0.05, 0.1, (0.9, 0.95), 1e-8
MUP = {"init__scheme": "mup", "model__mup_base_width": 8}  # half of the width
TERMS = ("change", "decay", "gradient", "second_order", "residual")


def part_of(name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
    """The components that a matrix of a block holds, by name."""
    if name.endswith("attn.c_attn.weight"):
        q, k, v = np.split(tensor, 3)
        return {"c_attn": tensor, "q": q, "k": k, "v": v}
    found = [c for c in ("attn_proj", "mlp_fc", "mlp_proj") if name.endswith(schema.COMPONENT_PARAMETER[c])]
    return dict.fromkeys(found, tensor)


def budget(tensors: list[np.ndarray], lr: float, step: int, scale: float) -> dict[str, float]:
    """tensors: weights before and after the update, first and second moment. scale: of the step, not of the decay."""
    w, after, m, v = (x.astype(float) for x in tensors)
    adam = m / (1 - BETAS[0] ** step) / (np.sqrt(v / (1 - BETAS[1] ** step)) + EPS)
    decay = DECAY if w.ndim > 1 else 0.0
    terms = {
        "change": np.sum(after**2) - np.sum(w**2),
        "decay": -2 * lr * decay * np.sum(w**2),
        "gradient": -2 * lr * scale * np.sum(w * adam),
        "second_order": np.sum((after - w) ** 2),
    }
    return terms | {"residual": terms["change"] - terms["decay"] - terms["gradient"] - terms["second_order"]}


@pytest.mark.parametrize("settings", [{}, {"parallel__shared_memory": "off", "parallel__zero": 1}, MUP])
def test_gradients_and_budgets_are_those_of_the_checkpoints(program: Program, tiny: Path, settings: dict) -> None:
    program.train(tiny, "run", ranks=2, train__grad_clip=CLIP, **EVERY_STEP, **GRADIENTS, **settings)
    run = weightscope.open(program.folder / "run")
    now = load_file(program.folder / "run/initial.safetensors")
    for step in range(1, 7):
        before, now = now, state(program.folder / "run", step)
        lr, norm = (float(run.train[name].sel(step=step - 1)) for name in ("lr", "grad_norm"))
        found = run.snapshots.sel(snapshot_step=step)
        assert norm > CLIP
        total = float(np.sqrt((found["parameter_gradient_norm"] ** 2).sum()))
        np.testing.assert_allclose(total, norm, rtol=1e-6, err_msg="not clipped")
        for name in found["parameter"].values:
            earlier = before.get("exp_avg." + name, np.zeros_like(now[name]))
            gradient = (now["exp_avg." + name].astype(float) - BETAS[0] * earlier) / (1 - BETAS[0])
            gradient /= CLIP / (norm + 1e-6)
            here = found.sel(parameter=name)
            scale = 0.5 if settings == MUP and name.startswith("h.") and gradient.ndim > 1 else 1.0
            size = np.linalg.norm(gradient)
            np.testing.assert_allclose(float(here["parameter_gradient_norm"]), size, rtol=1e-4, atol=1e-9, err_msg=name)
            rms = size / np.sqrt(gradient.size)
            np.testing.assert_allclose(float(here["parameter_gradient_rms"]), rms, rtol=1e-4, atol=1e-9, err_msg=name)
            tensors = [before[name], now[name], now["exp_avg." + name], now["exp_avg_sq." + name]]
            assert_budget(here, "parameter_norm_budget_", budget(tensors, lr, step, scale), before[name])
            if not name.startswith("h."):
                continue
            for component, part in part_of(name, gradient).items():
                here = found.sel(layer=int(name.split(".")[1]), component=component)
                np.testing.assert_allclose(float(here["gradient_norm"]), np.linalg.norm(part), rtol=1e-4)
                np.testing.assert_allclose(float(here["gradient_std"]), part.std(), rtol=1e-4)
                assert_histogram(here, part)
                parts = [part_of(name, tensor)[component] for tensor in tensors]
                assert_budget(here, "norm_budget_", budget(parts, lr, step, scale), parts[0])


def assert_budget(found: object, prefix: str, right: dict[str, float], w: np.ndarray) -> None:
    square = float(np.sum(w.astype(float) ** 2))
    for term in TERMS:
        np.testing.assert_allclose(
            float(found[prefix + term]), right[term], rtol=1e-9, atol=1e-14 * square, err_msg=term
        )
    # Rounding of the weights to float32, and no more.
    assert abs(right["residual"]) <= 2**-24 * (6 * square + 12 * np.sqrt(square * right["second_order"]))


def assert_histogram(found: object, gradient: np.ndarray) -> None:
    counts, exponent = found["gradient_histogram"].values, int(found["gradient_exponent"])
    assert counts.sum() == gradient.size
    scaled = np.abs(gradient).max() * 2.0**exponent
    assert 7.99 < scaled < 16.01
    other = bins.count((gradient * 2.0**exponent).astype(np.float32))
    assert np.abs(counts.astype(int) - other.astype(int)).sum() <= 0.02 * gradient.size + 2  # moments are rounded


def test_nothing_is_known_before_the_first_update(program: Program, tiny: Path) -> None:
    program.trained(tiny, "run", **GRADIENTS)
    first = weightscope.open(program.folder / "run").snapshots.sel(snapshot_step=0)
    for name in ("gradient_std", "gradient_norm", "parameter_gradient_norm", "norm_budget_change"):
        assert np.isnan(first[name]).all(), name
    assert not first["gradient_histogram"].any()
    assert not first["gradient_exponent"].any()


WAYS = ({}, {"parallel__shared_memory": "off", "parallel__zero": 1}, {"train__precision": "bf16"})


@pytest.mark.parametrize("settings", WAYS)
def test_gradients_are_the_same_bits_on_any_number_of_ranks(program: Program, tiny: Path, settings: dict) -> None:
    for ranks in (1, 2, 4):
        program.train(
            tiny,
            f"run-{ranks}",
            ranks=ranks,
            parallel__reduction="reproducible",
            train__steps=6,
            **GRADIENTS,
            **settings,
        )
    for ranks in (2, 4):
        different = experiment_differences(*(program.folder / f"run-{n}" / EXPERIMENT for n in (1, ranks)))
        # ZeRO-1 adds the whole norm and update ratios up by shards.
        assert [name for name in different if "gradient" in name or "norm_budget" in name] == []


def test_measuring_changes_nothing_in_the_training(program: Program, tiny: Path) -> None:
    for ranks in (1, 2):
        program.trained(tiny, f"with-{ranks}", ranks, **GRADIENTS)
        program.trained(tiny, f"without-{ranks}", ranks)
        files = [program.folder / f"{name}-{ranks}" / EXPERIMENT for name in ("without", "with")]
        different = experiment_differences(*files, same_config=False)
        assert "gradient_norm" in different
        assert all("gradient" in name or "budget" in name for name in different), different
        with h5py.File(files[0]) as file:
            assert not [name for name in file if "gradient" in name or "budget" in name]


def test_gradients_after_the_checkpoint_are_repeated_and_compared(program: Program, tiny: Path) -> None:
    for run in ("whole", "parts"):
        program.trained(tiny, run, 2, **GRADIENTS)
    forget(program.folder / "parts", 12)
    with h5py.File(program.folder / "parts" / EXPERIMENT, "r+") as file:
        row = list(file["snapshot_step"][()]).index(8)
        file["gradient_norm"][row, 1, 5] += 1
    resumed = program.train(tiny, "parts", ranks=2, **GRADIENTS)
    assert "snapshot 8: gradient_norm of layer 1, mlp_fc is" in resumed.err
    assert experiment_differences(*(program.folder / run / EXPERIMENT for run in ("whole", "parts"))) == []


def test_a_run_begun_without_gradients_goes_on_without_them(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", train__steps=6)
    resumed = program.train(tiny, "run", **GRADIENTS)
    assert "gradients are not recorded: the run was begun without monitor.gradients" in resumed.err
    program.train(tiny, "other", train__steps=6, **GRADIENTS)
    program.train(tiny, "other")
    found = weightscope.open(program.folder / "other").snapshots["gradient_norm"]
    assert found.sel(snapshot_step=4).notnull().all()
    assert found.sel(snapshot_step=12).isnull().all()


def test_an_update_that_is_left_out_has_no_gradient(program: Program, tiny: Path) -> None:
    program.train(
        tiny,
        "run",
        fault="gradient:0:3:corrupt",
        train__nonfinite="skip",
        train__steps=6,
        monitor__every=1,
        **GRADIENTS,
    )
    norm = weightscope.open(program.folder / "run").snapshots["gradient_norm"]
    assert norm.sel(snapshot_step=4).isnull().all()
    assert norm.sel(snapshot_step=[1, 2, 3, 5, 6]).notnull().all()
