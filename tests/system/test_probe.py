"""Probes: the same numbers wherever they are taken, resumable, and what they are for: attention logits that grow."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import weightscope
from compare import experiment_differences, forget, weights
from program import Program

PROBE = {"monitor__probe_every": 3, "monitor__probe_blocks": 3}
EXPERIMENT = "experiment.h5"


def test_probes_are_recorded_from_step_0_to_the_last(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", ranks=2, train__steps=11, **PROBE)
    probe = weightscope.open(program.folder / "run").probe
    assert probe["step"].values.tolist() == [0, 3, 6, 9, 11]
    assert dict(probe.sizes) == {"step": 5, "layer": 2, "head": 2, "residual_layer": 3}
    assert np.isfinite(probe.to_array()).all()
    # At the start logits are next to nothing: each query reads all keys alike.
    equal = np.log(np.arange(1, 17)).mean()
    np.testing.assert_allclose(probe["attention_entropy"].sel(step=0), equal, rtol=1e-3)
    events = program.log("run", "probe")
    assert [event["step"] for event in events] == [0, 3, 6, 9, 11]
    assert events[-1]["largest_attention_logit"] == float(probe["attention_logit_max"][-1].max())


@pytest.mark.parametrize("settings", [{}, {"train__precision": "bf16"}, {"model__qk_norm": "true"}])
def test_probes_are_the_same_bits_on_any_number_of_ranks(program: Program, tiny: Path, settings: dict) -> None:
    for ranks in (1, 2, 4):
        program.train(
            tiny, f"run-{ranks}", ranks=ranks, parallel__reduction="reproducible", train__steps=6, **PROBE, **settings
        )
    for ranks in (2, 4):
        assert experiment_differences(*(program.folder / f"run-{n}" / EXPERIMENT for n in (1, ranks))) == []


def test_probing_changes_nothing_in_the_training(program: Program, tiny: Path) -> None:
    program.trained(tiny, "with", **PROBE)
    program.trained(tiny, "without")
    with h5py.File(program.folder / "without" / EXPERIMENT) as file:
        assert file["probe/step"].shape == (0,)
    files = [program.folder / run / EXPERIMENT for run in ("with", "without")]
    different = experiment_differences(*files, same_config=False)
    assert "probe/step" in different
    assert all(name.startswith("probe/") for name in different)


def test_probes_after_the_checkpoint_are_repeated_and_compared(program: Program, tiny: Path) -> None:
    for run in ("whole", "parts"):
        program.trained(tiny, run, **PROBE)
    forget(program.folder / "parts", 12)
    with h5py.File(program.folder / "parts" / EXPERIMENT, "r+") as file:
        file["probe/residual_rms"][3, 1] += 1  # of step 9
    resumed = program.train(tiny, "parts", **PROBE)
    assert "probe step 9: residual_rms of residual_layer 1 is" in resumed.err
    assert experiment_differences(*(program.folder / run / EXPERIMENT for run in ("whole", "parts"))) == []


def test_probes_need_validation_data(program: Program, tiny: Path) -> None:
    result = program.train(tiny, "run", check=False, data__val="''", **PROBE)
    assert result.code == 2
    assert "monitor.probe_every needs data.val" in result.err


UNSTABLE = {
    "model__dropout": 0,
    "train__steps": 60,
    "train__grad_clip": 0,
    "optimizer__lr": 0.1,
    "schedule__name": "constant",
    "monitor__probe_every": 10,
}


def largest_norm(gain: np.ndarray, bias: np.ndarray) -> float:
    """Of a vector that LayerNorm can give: its features have mean square 1 at most before gain and bias."""
    return float(np.sqrt(len(gain)) * np.abs(gain).max() + np.linalg.norm(bias))


def test_attention_logits_grow_at_a_high_learning_rate_and_qk_norm_bounds_them(program: Program, tiny: Path) -> None:
    """What Wortsman et al. 2023 (arXiv:2309.14322, section 3.1) show on small models, on a smaller one."""
    largest = {}
    for qk_norm in ("false", "true"):
        program.train(tiny, qk_norm, model__qk_norm=qk_norm, **UNSTABLE)
        largest[qk_norm] = (
            weightscope.open(program.folder / qk_norm).probe["attention_logit_max"].max(("layer", "head"))
        )
    assert largest["false"][-1] > 20 * largest["false"][0]
    assert largest["false"][-1] > 3 * largest["true"][-1]
    final = weights(program.folder / "true", 60)
    width = 8  # of a head
    for layer in range(2):
        norms = [
            largest_norm(*(final[f"h.{layer}.attn.{name}_norm.{kind}"] for kind in ("weight", "bias")))
            for name in ("q", "k")
        ]
        found = weightscope.open(program.folder / "true").probe["attention_logit_max"].sel(step=60, layer=layer).max()
        assert float(found) <= norms[0] * norms[1] / np.sqrt(width) * (1 + 1e-5)
