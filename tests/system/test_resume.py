"""Stopping and going on changes nothing; where a run computes changes nothing that it should not."""

import json
import os
import signal
from pathlib import Path

import h5py
import pytest
from compare import checkpoint, experiment_differences, forget, largest_difference, same_bits, state, status
from program import HELD, Program

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
    for run in ("whole", "parts"):
        program.trained(tiny, run, ranks, **settings)
    # The run died after step 12; what it wrote beyond step 6 is recomputed and must come out the same.
    forget(program.folder / "parts", 12)
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
    assert train_rows(program, "long") == train_rows(program, "short")


def test_the_same_run_twice_is_the_same_to_the_bit(program: Program, tiny: Path) -> None:
    """Without this the copies that other tests begin with would prove nothing."""
    once, twice = program.trained(tiny, "once", 2), program.folder / "twice"
    program.train(tiny, "twice", ranks=2)
    assert same_bits(state(once, 12), state(twice, 12)) == []
    assert train_rows(program, "once") == train_rows(program, "twice")
    assert experiment_differences(once / EXPERIMENT, twice / EXPERIMENT) == []


def test_a_finished_run_stays_as_it_is(program: Program, tiny: Path) -> None:
    run, before = program.trained(tiny, "run"), program.trained(tiny, "before")
    program.train(tiny, "run")
    assert experiment_differences(before / EXPERIMENT, run / EXPERIMENT) == []
    assert same_bits(state(before, 12), state(run, 12)) == []
    assert train_rows(program, "before") == train_rows(program, "run")
    assert len(train_rows(program, "run")) == 12
    files = [{path.relative_to(folder) for path in folder.rglob("*")} for folder in (before, run)]
    assert files[0] == files[1]
    with h5py.File(run / EXPERIMENT) as file:
        assert list(file["segments/start_step"]) == [0, 12]
        assert list(file["segments/end_step"]) == [12, 12]
        assert set(file["segments/status"].asstr()[()]) == {"finished"}
    assert status(run) == "finished"


@pytest.mark.parametrize("reduction", ["fast", "reproducible"])
def test_the_number_of_ranks_changes_rounding_only(program: Program, tiny: Path, reduction: str) -> None:
    for ranks in (1, 2, 4):
        program.trained(tiny, f"run-{ranks}", ranks, parallel__reduction=reduction)
    one = state(program.folder / "run-1", 12)
    for ranks in (2, 4):
        other = state(program.folder / f"run-{ranks}", 12)
        if reduction == "reproducible":
            assert same_bits(one, other) == []
            files = [program.folder / f"run-{n}" / EXPERIMENT for n in (1, ranks)]
            assert experiment_differences(*files) == []
        assert largest_difference(one, other) < 2e-5


def test_sharded_moments_give_the_weights_of_whole_ones(program: Program, tiny: Path) -> None:
    program.trained(tiny, "whole", 2)
    program.trained(tiny, "sharded", 2, parallel__zero=1)
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
    settings = {"train__steps": 100, "schedule__name": "constant", "checkpoint__every": 100, "eval__every": 100}
    program.trained(tiny, "whole", 2, **settings)
    running = program.start(tiny, "stopped", 2, fault=HELD, **settings)
    running.holds()
    os.kill(running.ranks[-1], number)
    running.go_on()
    ended = running.wait(60)
    assert ended.code == 75, ended.err
    assert "state saved" in ended.err
    facts = json.loads(program("inspect", "stopped", "--format", "json").out)
    assert facts["status"] == "stopped"
    program(*running.words, ranks=2)
    whole, stopped = program.folder / "whole", program.folder / "stopped"
    assert same_bits(state(whole, 100), state(stopped, 100)) == []
    assert experiment_differences(whole / EXPERIMENT, stopped / EXPERIMENT) == []
    assert status(stopped) == "finished"


def test_damage_is_named_and_the_checkpoint_before_it_used(program: Program, tiny: Path) -> None:
    program.trained(tiny, "run")
    model = checkpoint(program.folder / "run", 12) / "model.safetensors"
    damaged = bytearray(model.read_bytes())
    damaged[-5] ^= 0x10
    model.write_bytes(damaged)
    strict = program.train(tiny, "run", "--resume", "must", check=False)
    assert strict.code == 4
    assert "model.safetensors" in strict.err
    relaxed = program.train(tiny, "run")
    assert "using the checkpoint before it" in relaxed.err
    program.trained(tiny, "fresh")
    assert same_bits(state(program.folder / "run", 12), state(program.folder / "fresh", 12)) == []
    assert experiment_differences(*(program.folder / run / EXPERIMENT for run in ("fresh", "run"))) == []


def test_another_experiment_is_not_continued(program: Program, tiny: Path) -> None:
    program.trained(tiny, "run")
    refused = program.train(tiny, "run", check=False, optimizer__lr=0.5)
    assert refused.code == 4
    assert "optimizer.lr: 0.002 → 0.5" in refused.err
    assert program.train(tiny, "run", "--resume", "never", check=False).code == 2
    assert program.train(tiny, "run", "--resume", "5", check=False).code == 4
