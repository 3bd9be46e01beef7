"""muP runs: the standard model at the base width, and the same guarantees as every other run at all others."""

import json
import math
from pathlib import Path

import pytest
from compare import experiment_differences, forget, largest_difference, same_bits, state
from program import Program

# Half of the width, and heads of half the features: every scale of muP differs from 1.
MUP = {"init__scheme": "mup", "model__mup_base_width": 8, "model__mup_base_head_width": 4}


def test_at_the_base_width_it_is_the_standard_model(program: Program, tiny: Path) -> None:
    program.train(tiny, "standard", init__scheme="gpt2", model__dropout=0)
    at_base = MUP | {"model__mup_base_width": 16, "model__mup_base_head_width": 8}
    program.train(tiny, "mup", model__dropout=0, **at_base)
    program.train(tiny, "wider", model__dropout=0, **MUP)
    standard = state(program.folder / "standard", 12)
    assert same_bits(standard, state(program.folder / "mup", 12)) == []
    assert same_bits(standard, state(program.folder / "wider", 12)) != []


def test_the_start_has_the_deviations_of_the_scheme(program: Program, tiny: Path) -> None:
    sets = [f"{key.replace('__', '.')}={value}" for key, value in MUP.items()]
    words = [word for setting in sets for word in ("--set", setting)]
    report = json.loads(program("init", tiny, *words, "--format", "json").out)
    assert report["verdict"] == "pass"
    expected = {row["name"]: row["expected_std"] for row in report["parameters"]}
    assert expected["wte.weight"] == expected["wpe.weight"] == 0.02
    assert expected["h.0.attn.c_attn.weight"] == pytest.approx(0.02 * math.sqrt(8 / 16))
    assert expected["h.1.mlp.c_proj.weight"] == pytest.approx(0.02 * math.sqrt(8 / 16) / math.sqrt(2 * 2))
    program.train(tiny, "run", train__steps=1, optimizer__lr=0, checkpoint__every=1, **MUP)
    audit = json.loads(program("audit", "run", "--scheme", "mup", "--format", "json").out)
    assert audit["verdict"] == "pass"
    assert program("audit", "run", "--scheme", "gpt2", check=False).code == 7
    program.train(tiny, "plain", train__steps=1)
    refused = program("audit", "plain", "--scheme", "mup", check=False)
    assert refused.code == 2
    assert "mup_base_width" in refused.err


def test_resume_is_exact(program: Program, tiny: Path) -> None:
    for run in ("whole", "parts"):
        program.trained(tiny, run, 2, **MUP)
    forget(program.folder / "parts", 12)
    program.train(tiny, "parts", ranks=2, **MUP)
    assert same_bits(state(program.folder / "whole", 12), state(program.folder / "parts", 12)) == []
    assert experiment_differences(*(program.folder / run / "experiment.h5" for run in ("whole", "parts"))) == []
    refused = program.train(tiny, "parts", check=False, **MUP | {"model__mup_base_width": 4})
    assert refused.code == 4
    assert "model.mup_base_width: 8 → 4" in refused.err


def test_every_exchange_updates_alike(program: Program, tiny: Path) -> None:
    program.train(tiny, "one", parallel__reduction="reproducible", **MUP)
    one = state(program.folder / "one", 12)
    for ranks in (2, 4):
        for memory in ("auto", "off"):
            run = f"{ranks}-{memory}"
            program.train(
                tiny, run, ranks=ranks, parallel__reduction="reproducible", parallel__shared_memory=memory, **MUP
            )
            assert same_bits(one, state(program.folder / run, 12)) == [], run
    program.train(tiny, "sharded", ranks=2, parallel__zero=1, parallel__shared_memory="off", **MUP)
    assert largest_difference(one, state(program.folder / "sharded", 12)) < 2e-5
    program.train(tiny, "standard")
    assert largest_difference(one, state(program.folder / "standard", 12)) > 1e-3


def test_what_reads_the_checkpoint_knows_its_scales(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", optimizer__lr=0.05, **MUP)

    def loss(model: str) -> float:
        return json.loads(program("eval", model, "--tokens", "data/val.bin", "--format", "json").out)["loss"]

    program("export", "run", "-o", "hf")
    program("import", "run", "-o", "imported")
    assert loss("imported") == loss("run")
    assert loss("hf") == pytest.approx(loss("run"), rel=1e-6)
    greedy = ("--tokens", 5, "--temperature", 0)
    assert program.sample("run", "line", *greedy) == program.sample("hf", "line", *greedy, "--tokenizer", "byte")
    config = (program.folder / "hf/config.json").read_text()
    assert "mup" not in config
