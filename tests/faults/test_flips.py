"""Bits that flip in one replica: every ninth of flips.py. All bits of the digest itself: monitor/digest.test.cpp."""

import os
from pathlib import Path

import pytest
from compare import experiment_differences, same_bits, state
from flips import flip_all
from program import Program

APART = {"parallel__shared_memory": "off"}


def test_flipped_bits_are_found_and_named(tmp_path: Path) -> None:
    counts, wrong = flip_all(tmp_path, every=int(os.environ.get("WEIGHTSCOPE_EVERY", "9")), seed=3)
    assert wrong == []
    assert counts.total() >= 192 // 9
    assert sum(n for (_, before, what), n in counts.items() if not before and what == "named") >= 8


@pytest.mark.parametrize("tensor", ["h.1.mlp.c_fc.weight", "exp_avg.wte.weight", "exp_avg_sq.ln_f.bias"])
def test_a_flipped_bit_can_be_repaired(program: Program, tiny: Path, tensor: str) -> None:
    """Compared at every step it changes nothing: what it was in is replaced before it is used."""
    often = {**APART, "monitor__replicas_every": 1, "monitor__replicas": "repair"}
    program.trained(tiny, "whole", 2, **often)
    repaired = program.train(tiny, "run", ranks=2, flip=f"{tensor}:1:7:29:5", **often)
    assert f"replicas differ at step 7: {tensor} on rank 1" in repaired.err
    assert [row["rule"] for row in program.log("run", "alarm")] == ["replicas"]
    whole, run = program.folder / "whole", program.folder / "run"
    assert same_bits(state(whole, 12), state(run, 12)) == []
    differ = experiment_differences(whole / "experiment.h5", run / "experiment.h5")
    assert differ
    assert all(name.startswith("alarms") for name in differ)


def test_a_replica_that_makes_the_loss_infinite_is_named(program: Program, tiny: Path) -> None:
    """The exponent of a weight: the loss is not finite before replicas are compared."""
    settings = {**APART, "monitor__replicas_every": 6}
    flip = "h.0.ln_1.weight:1:7:30:3"
    damaged = program.train(tiny, "run", ranks=2, check=False, flip=flip, **settings)
    assert damaged.code == 8, damaged.err
    assert "replicas differ at step 7: h.0.ln_1.weight on rank 1" in damaged.err
    repaired = program.train(tiny, "repaired", ranks=2, flip=flip, **settings, monitor__replicas="repair")
    assert "loss is not finite at step 7; its update is left out" in repaired.err
    assert [row["rule"] for row in program.log("repaired", "alarm")] == ["replicas", "nonfinite"]


def test_a_rank_that_stands_alone_against_all_is_not_copied(program: Program, tiny: Path) -> None:
    settings = {**APART, "train__global_batch": 12, "monitor__replicas": "repair"}
    damaged = program.train(tiny, "run", ranks=3, check=False, flip="wte.weight:0:8:20:9", **settings)
    assert damaged.code == 8, damaged.err
    assert "rank 0 stands alone" in damaged.err
