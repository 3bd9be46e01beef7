"""Keys that turn something on or off, each in a run of its own, and what its files hold then; memory, too."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from compare import experiment_differences, same_bits, state, weights
from program import SLOWNESS, Program
from weightscope import bins

EXPERIMENT = "experiment.h5"
HEADS = {f"head_{name}" for name in ("std", "mean", "kurtosis", "min", "max")}
MEDIUM: dict[str, object] = {
    "model__width": 384,
    "model__heads": 6,
    "model__layers": 6,
    "model__block": 128,
    "train__global_batch": 16,
    "train__micro_batch": 8,
}
# Products large enough to be measured.
LARGE: dict[str, object] = {
    "model__width": 128,
    "model__block": 128,
    "train__global_batch": 16,
    "train__micro_batch": 8,
    "train__precision": "bf16",
}
bf16_is_measured = pytest.mark.skipif(
    "avx512dq" not in Path("/proc/cpuinfo").read_text(), reason="without AVX-512 bf16 products are widened, unmeasured"
)
MOVED = {"displacement", "cosine", "parameter_displacement", "parameter_cosine"}


def against_the_default(program: Program, tiny: Path, run: str, **settings: object) -> set[str]:
    """What differs between the record of a run with this setting and of one without; its weights must not."""
    program.train(tiny, run, ranks=2, **settings)
    program.trained(tiny, "default", 2)
    assert same_bits(state(program.folder / "default", 12), state(program.folder / run, 12)) == []
    files = [program.folder / folder / EXPERIMENT for folder in ("default", run)]
    return {name for name in experiment_differences(*files, same_config=False) if not name.startswith("views")}


def test_heads_are_not_recorded_without_monitor_heads(program: Program, tiny: Path) -> None:
    assert against_the_default(program, tiny, "run", monitor__heads="false") == HEADS
    with h5py.File(program.folder / "run" / EXPERIMENT) as file:
        assert not [name for name in file if name.startswith("head_")]
        assert file["head"].shape == (2,)


def test_head_histograms_are_those_of_the_weights(program: Program, tiny: Path) -> None:
    assert against_the_default(program, tiny, "run", monitor__head_histograms="true") == {"head_histogram"}
    with h5py.File(program.folder / "run" / EXPERIMENT) as file:
        counts = file["head_histogram"][()]
        assert counts.shape == (6, 2, 3, 2, 449)
        np.testing.assert_array_equal(counts.sum(axis=3), file["histogram"][:, :, 1:4])  # q, k, v
    final = weights(program.folder / "run", 12)
    for layer in range(2):
        heads = final[f"h.{layer}.attn.c_attn.weight"].reshape(3, 2, -1)
        for part, head in np.ndindex(3, 2):
            np.testing.assert_array_equal(counts[-1, layer, part, head], bins.count(heads[part, head]))


def test_displacement_is_not_recorded_without_it_and_cannot_come_later(program: Program, tiny: Path) -> None:
    assert against_the_default(program, tiny, "run", monitor__displacement="false") == MOVED
    run = program.folder / "run"
    assert not (run / "initial.safetensors").exists()
    before = (run / EXPERIMENT).read_bytes()
    refused = program.train(tiny, "run", ranks=2, check=False, train__steps=18)
    assert refused.code == 4
    assert "run/initial.safetensors is not there (the run was begun without monitor.displacement)" in refused.err
    assert refused.err.count("error:") == 1
    assert (run / EXPERIMENT).read_bytes() == before
    program.train(tiny, "run", ranks=2, train__steps=18, monitor__displacement="false")
    assert len(program.log("run")) == 18


@pytest.mark.skipif(SLOWNESS > 1, reason="memory that a sanitizer keeps for itself would be counted")
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tiny", {"model__width": 64, "model__block": 64, "train__global_batch": 64, "train__micro_batch": 32}),
        (
            "medium-qk-norm-probed-spectra",
            MEDIUM | {"model__qk_norm": "true", "monitor__probe_every": 1, "monitor__spectra_every": 1},
        ),
        ("medium", MEDIUM),
        ("medium-2-ranks", MEDIUM | {"model__dropout": 0}),
        ("medium-bf16", MEDIUM | {"train__precision": "bf16"}),
    ],
)
def test_planned_memory_is_what_a_run_takes(
    program: Program, tiny: Path, name: str, settings: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    # oneDNN keeps the code it makes for each shape, 8 MB here. Where backends are measured anew it is there before the
    # run's own memory; where an earlier run has measured them it comes with the first step.
    monkeypatch.setenv("XDG_CACHE_HOME", str(program.folder / "cache"))
    program.train(tiny, name, ranks=2 if "2-ranks" in name else 1, train__steps=3, **settings)
    memory = program.log(name, "memory")[-1]
    assert memory["measured_bytes"] == pytest.approx(memory["planned_bytes"], rel=0.10), memory


@bf16_is_measured
def test_gemm_backends_are_measured_once_and_stay_with_the_run(
    program: Program, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(program.folder / "cache"))
    program.train(tiny, "first", ranks=2, train__steps=2, **LARGE)
    (cache,) = (program.folder / "cache/weightscope").iterdir()
    choices = (program.folder / "first/gemm.txt").read_text()
    assert choices.splitlines()[1:] == cache.read_text().splitlines()
    assert "forward 1024 128 384 " in choices
    # Another machine's cache does not change a run that is under way; a new run follows the cache.
    turned = choices.replace("aten", "other").replace("widened", "aten").replace("other", "widened")
    cache.write_text(turned.split("\n", 1)[1])
    program.train(tiny, "first", ranks=2, train__steps=4, **LARGE)
    assert (program.folder / "first/gemm.txt").read_text() == choices
    program.train(tiny, "second", ranks=2, train__steps=2, **LARGE)
    assert (program.folder / "second/gemm.txt").read_text() == turned


@bf16_is_measured
def test_what_an_attempt_with_another_precision_has_left_is_measured_anew(
    program: Program, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(program.folder / "cache"))
    program.train(tiny, "first", train__steps=1, **LARGE)
    choices = (program.folder / "first/gemm.txt").read_text()
    (program.folder / "second").mkdir()
    (program.folder / "second/gemm.txt").write_text(re.sub(r"(?m)\b(aten|widened)$", "torch-onednn", choices))
    program.train(tiny, "second", train__steps=1, **LARGE)
    assert (program.folder / "second/gemm.txt").read_text() == choices


@bf16_is_measured
def test_gemm_backends_can_be_named(program: Program, tiny: Path) -> None:
    """The same bits as a run whose own choice was this backend for each product."""
    run = LARGE | {"train__steps": 2}
    program.train(tiny, "auto", **run)
    choices = (program.folder / "auto/gemm.txt").read_text()
    ends = {}
    for backend in ("aten", "widened"):
        program.train(tiny, backend, train__gemm=backend, **run)
        assert not (program.folder / backend / "gemm.txt").exists()
        told = program.folder / f"told-{backend}"
        told.mkdir()
        (told / "gemm.txt").write_text(re.sub(r"(?m)\b(aten|widened)$", backend, choices))
        program.train(tiny, told.name, **run)
        ends[backend] = state(program.folder / backend, 2)
        assert same_bits(ends[backend], state(told, 2)) == []
    assert same_bits(ends["aten"], ends["widened"]) != []
    refused = program.train(tiny, "fp32", check=False, train__gemm="widened")
    assert (refused.code, "train.gemm" in refused.err) == (2, True)


@pytest.mark.parametrize("reduction", ["fast", "reproducible"])
def test_without_avx512_bf16_products_are_widened(
    program: Program, tiny: Path, reduction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LibTorch's own take so long there that a start, which measures them, would take minutes."""
    monkeypatch.setenv("WEIGHTSCOPE_ISA", "avx2")
    run = LARGE | {"model__width": 256, "train__steps": 2, "parallel__reduction": reduction}
    program.train(tiny, "auto", **run)
    program.train(tiny, "widened", train__gemm="widened", **run)
    assert not (program.folder / "auto/gemm.txt").exists()
    assert same_bits(state(program.folder / "auto", 2), state(program.folder / "widened", 2)) == []
