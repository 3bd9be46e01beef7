"""Recorded spectra against the WeightWatcher package, on the weights of a trained checkpoint."""

import os
from pathlib import Path

import numpy as np
import pytest
import weightscope
from compare import weights
from program import Program

WIDTH = 64  # from 20 eigenvalues on WeightWatcher fits as we do: docs/statistics.md, section 1.2
MATRICES = {"attn_proj": "attn.c_proj", "mlp_fc": "mlp.c_fc", "mlp_proj": "mlp.c_proj"}


def matrices(final: dict[str, np.ndarray], layer: int) -> dict[str, np.ndarray]:
    """Component → its matrix [out, in] as recorded."""
    fused = final[f"h.{layer}.attn.c_attn.weight"]
    parts = {name: fused[i * WIDTH : (i + 1) * WIDTH] for i, name in enumerate("qkv")}
    others = {name: final[f"h.{layer}.{parameter}.weight"] for name, parameter in MATRICES.items()}
    return {"c_attn": fused, **parts, **others}


@pytest.mark.filterwarnings("ignore")  # of the package itself
def test_power_laws_and_norms_are_those_of_weightwatcher(program: Program, tiny: Path) -> None:
    torch = pytest.importorskip("torch", reason="WeightWatcher needs Python's torch")
    os.environ.setdefault("MPLBACKEND", "Agg")
    weightwatcher = pytest.importorskip("weightwatcher", reason="weightwatcher is not installed")

    program.train(tiny, "run", model__width=WIDTH, monitor__spectra_every=12)
    spectra = weightscope.open(program.folder / "run").spectra.sel(step=12)
    final = weights(program.folder / "run", 12)
    model = torch.nn.ModuleDict()
    for layer in range(2):
        for component, matrix in matrices(final, layer).items():
            linear = torch.nn.Linear(*matrix.shape[::-1], bias=False, dtype=torch.float64)
            linear.weight.data = torch.from_numpy(matrix.astype(np.float64))
            model[f"{component}_{layer}"] = linear
    found = weightwatcher.WeightWatcher(model=model, log_level="ERROR").analyze()
    assert len(found) == 14
    for row in found.to_dict("records"):
        component, layer = row["longname"].rsplit("_", 1)
        ours = spectra.sel(component=component, layer=int(layer))
        assert row["status"] == "success"
        assert row["num_evals"] == WIDTH
        theirs = {
            "alpha": row["alpha"],
            "alpha_xmin": row["xmin"],
            "alpha_ks": row["D"],
            "stable_rank": row["stable_rank"],
            "spectral_norm": np.sqrt(row["spectral_norm"]),  # theirs is the largest eigenvalue of WᵀW
        }
        for name, value in theirs.items():
            np.testing.assert_allclose(float(ours[name]), value, rtol=1e-6, err_msg=f"{name} of {row['longname']}")
