"""Spectra of the recorded run are those of the weights that its checkpoints hold."""

from pathlib import Path

import h5py
import numpy as np
import weightscope
from compare import experiment_differences, forget, weights
from program import Program

SPECTRA = {"monitor__spectra_every": 6}


def test_recorded_spectra_are_those_of_the_weights(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", ranks=2, **SPECTRA)
    spectra = weightscope.open(program.folder / "run").spectra
    assert spectra["step"].values.tolist() == [0, 6, 12]
    final = weights(program.folder / "run", 12)
    for layer in range(2):
        fused = final[f"h.{layer}.attn.c_attn.weight"].astype(float)
        matrices = {
            "c_attn": fused,
            "q": fused[:16],
            "k": fused[16:32],
            "v": fused[32:],
            "attn_proj": final[f"h.{layer}.attn.c_proj.weight"],
            "mlp_fc": final[f"h.{layer}.mlp.c_fc.weight"],
            "mlp_proj": final[f"h.{layer}.mlp.c_proj.weight"],
        }
        for component, matrix in matrices.items():
            s2 = np.linalg.svd(matrix.astype(float), compute_uv=False) ** 2
            found = spectra.sel(step=12, layer=layer, component=component)
            np.testing.assert_allclose(float(found["spectral_norm"]), np.sqrt(s2[0]), rtol=1e-9)
            np.testing.assert_allclose(float(found["stable_rank"]), s2.sum() / s2[0], rtol=1e-9)
            np.testing.assert_allclose(float(found["participation_ratio"]), s2.sum() ** 2 / (s2**2).sum(), rtol=1e-9)
            alpha, xmin, ks = power_law(np.sort(s2))
            np.testing.assert_allclose(
                [float(found[name]) for name in ("alpha", "alpha_xmin", "alpha_ks")], [alpha, xmin, ks], rtol=1e-5
            )
        for head in range(2):
            rows = slice(8 * head, 8 * head + 8)
            norm = np.linalg.norm(fused[:16][rows].T @ fused[16:32][rows], 2)
            found = spectra["qk_spectral_norm"].sel(step=12, layer=layer, head=head)
            np.testing.assert_allclose(float(found), norm, rtol=1e-9)


def power_law(x: np.ndarray) -> tuple[float, float, float]:
    """The definition once more: alpha, xmin and distance of the closest fit."""
    fits = []
    for i in range(len(x) - 1):
        tail = x[i:]
        alpha = 1 + len(tail) / np.log(tail / tail[0]).sum()
        distance = np.abs(1 - (tail / tail[0]) ** (1 - alpha) - np.arange(len(tail)) / len(tail)).max()
        fits.append((distance, alpha, tail[0]))
    distance, alpha, xmin = min(fits)
    return alpha, xmin, distance


def test_spectra_are_the_same_bits_on_any_number_of_ranks_and_after_a_restart(program: Program, tiny: Path) -> None:
    for ranks in (1, 2, 4):
        program.train(tiny, f"run-{ranks}", ranks=ranks, parallel__reduction="reproducible", **SPECTRA)
    for ranks in (2, 4):
        assert experiment_differences(*(program.folder / f"run-{n}/experiment.h5" for n in (1, ranks))) == []
    forget(program.folder / "run-2", 12)
    with h5py.File(program.folder / "run-2/experiment.h5", "r+") as file:
        file["spectra/alpha"][2, 1, 3] += 1  # of step 12
    resumed = program.train(tiny, "run-2", ranks=2, parallel__reduction="reproducible", **SPECTRA)
    assert "spectra step 12: alpha of layer 1, v is" in resumed.err
    assert experiment_differences(*(program.folder / f"run-{n}/experiment.h5" for n in (1, 2))) == []
