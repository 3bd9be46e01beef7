"""Stopping and going on changes nothing; where a run computes changes nothing that it should not."""

import json
import os
import signal
from pathlib import Path

import h5py
import pytest
from compare import checkpoint, experiment_differences, largest_difference, same_bits, state
from program import Program

EXPERIMENT = "experiment.h5"


def train_rows(program: Program, run: str) -> list[tuple]:
    return [(row["step"], row["loss"], row["lr"], row["grad_norm"]) for row in program.log(run)]


@pytest.mark.parametrize(
    ("ranks", "settings"),
    [
        (1, {}),
        (2, {}),
        (2, {"train__precision": "bf16", "model__tied": "false"}),
        (2, {"parallel__zero": 1}),
        (2, {"parallel__reduction": "reproducible", "train__recompute": "true"}),
        (2, {"model__qk_norm": "true"}),
    ],
)
def test_resume_from_a_checkpoint_is_exact(program: Program, tiny: Path, ranks: int, settings: dict) -> None:
    program.train(tiny, "whole", ranks=ranks, **settings)
    program.train(tiny, "parts", ranks=ranks, **settings)
    # The run died after step 12; what it wrote beyond step 6 is recomputed and must come out the same.
    for path in checkpoint(program.folder / "parts", 12).iterdir():
        path.unlink()
    checkpoint(program.folder / "parts", 12).rmdir()
    resumed = program.train(tiny, "parts", ranks=ranks, **settings)
    assert "differ" not in resumed.err
    assert same_bits(state(program.folder / "whole", 12), state(program.folder / "parts", 12)) == []
    assert train_rows(program, "whole") == train_rows(program, "parts")
    assert experiment_differences(program.folder / "whole" / EXPERIMENT, program.folder / "parts" / EXPERIMENT) == []
    with h5py.File(program.folder / "parts" / EXPERIMENT) as file:
        assert list(file["segments/start_step"]) == [0, 6]


def test_training_further_continues_the_same_run(program: Program, tiny: Path) -> None:
    program.train(tiny, "long", schedule__name="constant")
    program.train(tiny, "short", schedule__name="constant", train__steps=6)
    program.train(tiny, "short", schedule__name="constant")
    assert same_bits(state(program.folder / "long", 12), state(program.folder / "short", 12)) == []


def test_a_finished_run_stays_as_it_is(program: Program, tiny: Path) -> None:
    program.train(tiny, "run")
    before = (program.folder / "run" / EXPERIMENT).read_bytes()
    program.train(tiny, "run")
    assert train_rows(program, "run")[-1][0] == 11
    with h5py.File(program.folder / "run" / EXPERIMENT) as file:
        assert len(file["train/step"]) == 12
        assert file.attrs["status"] == "finished"
    assert before[:8] == b"\x89HDF\r\n\x1a\n"


@pytest.mark.parametrize("reduction", ["fast", "reproducible"])
def test_the_number_of_ranks_changes_rounding_only(program: Program, tiny: Path, reduction: str) -> None:
    for ranks in (1, 2, 4):
        program.train(tiny, f"run-{ranks}", ranks=ranks, parallel__reduction=reduction)
    one = state(program.folder / "run-1", 12)
    for ranks in (2, 4):
        other = state(program.folder / f"run-{ranks}", 12)
        if reduction == "reproducible":
            assert same_bits(one, other) == []
            assert experiment_differences(
                program.folder / "run-1" / EXPERIMENT, program.folder / f"run-{ranks}" / EXPERIMENT
            ) in ([], ["eval/loss"])
        assert largest_difference(one, other) < 2e-5


def test_sharded_moments_give_the_weights_of_whole_ones(program: Program, tiny: Path) -> None:
    program.train(tiny, "whole", ranks=2)
    program.train(tiny, "sharded", ranks=2, parallel__zero=1)
    assert largest_difference(state(program.folder / "whole", 12), state(program.folder / "sharded", 12)) < 2e-5


# Whoever reads weights is at some step the first to do so after the update.
READERS = {
    "monitor__replicas_every": 4,
    "eval__every": 3,
    "monitor__probe_every": 5,
    "monitor__spectra_every": 7,
    "monitor__every": 11,
    "monitor__early": "none",
    "checkpoint__every": 2,
    "checkpoint__keep": 9,
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"monitor__gradients": "true", "monitor__every": 12},  # weights are kept at step 11, where nobody else reads
        {"train__precision": "bf16", "model__tied": "false"},  # the head has a bucket of its own
        {"parallel__reduction": "reproducible"},
    ],
    ids=["fp32", "gradients", "bf16", "reproducible"],
)
def test_nobody_reads_weights_of_other_shards_before_they_are_there(
    program: Program, tiny: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    sharded = {"parallel__zero": 1, "parallel__shared_memory": "off", "parallel__bucket_mb": 0.001}
    every = READERS | sharded | settings
    program.train(tiny, "early", ranks=2, **every)
    monkeypatch.setenv("WEIGHTSCOPE_FAULT_FROM", "weights:0")
    program.train(tiny, "late", ranks=2, **every)
    assert train_rows(program, "early") == train_rows(program, "late")
    for step in range(2, 13, 2):
        assert same_bits(state(program.folder / "early", step), state(program.folder / "late", step)) == []
    assert experiment_differences(program.folder / "early" / EXPERIMENT, program.folder / "late" / EXPERIMENT) == []


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_to_one_rank_saves_and_ends_all_with_75(program: Program, tiny: Path, number: signal.Signals) -> None:
    settings = {"train__steps": 400, "schedule__name": "constant", "checkpoint__every": 400, "eval__every": 400}
    program.train(tiny, "whole", ranks=2, **settings)
    running = program.start(tiny, "stopped", 2, **settings)
    os.kill(running.ranks[-1], number)
    ended = running.wait(60)
    assert ended.code == 75, ended.err
    assert "state saved" in ended.err
    facts = json.loads(program("inspect", "stopped", "--format", "json").out)
    assert facts["status"] == "stopped"
    program(*running.words, ranks=2)
    assert same_bits(state(program.folder / "whole", 400), state(program.folder / "stopped", 400)) == []


def test_damage_is_named_and_the_checkpoint_before_it_used(program: Program, tiny: Path) -> None:
    program.train(tiny, "run")
    model = checkpoint(program.folder / "run", 12) / "model.safetensors"
    damaged = bytearray(model.read_bytes())
    damaged[-5] ^= 0x10
    model.write_bytes(damaged)
    strict = program.train(tiny, "run", "--resume", "must", check=False)
    assert strict.code == 4
    assert "model.safetensors" in strict.err
    relaxed = program.train(tiny, "run")
    assert "using the checkpoint before it" in relaxed.err
    program.train(tiny, "fresh")
    assert same_bits(state(program.folder / "run", 12), state(program.folder / "fresh", 12)) == []


def test_another_experiment_is_not_continued(program: Program, tiny: Path) -> None:
    program.train(tiny, "run")
    refused = program.train(tiny, "run", check=False, optimizer__lr=0.5)
    assert refused.code == 4
    assert "optimizer.lr: 0.002 → 0.5" in refused.err
    assert program.train(tiny, "run", "--resume", "never", check=False).code == 2
    assert program.train(tiny, "run", "--resume", "5", check=False).code == 4
