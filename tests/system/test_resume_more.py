"""Resume is exact from any checkpoint, more than once, at the boundary of an epoch, and on another number of ranks."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from compare import experiment_differences, forget, same_bits, state, status
from program import Program
from test_resume import EXPERIMENT, train_rows

# Written before the training goes on: where a death begins again does not depend on how fast a disk is.
AT_ONCE = {"checkpoint__asynchronous": "false"}
EVERY_THIRD = {"checkpoint__every": 3, "checkpoint__keep": 9, **AT_ONCE}
PRECISIONS = [{}, {"train__precision": "bf16"}, {"parallel__zero": 1, "parallel__shared_memory": "off"}]


def expect_the_same(program: Program, run: str, last: int = 12) -> None:
    whole, other = program.folder / "whole", program.folder / run
    assert same_bits(state(whole, last), state(other, last)) == []
    assert train_rows(program, "whole") == train_rows(program, run)
    assert experiment_differences(whole / EXPERIMENT, other / EXPERIMENT) == []
    assert status(other) == "finished"


def segments(program: Program, run: str, column: str) -> list:
    with h5py.File(program.folder / run / EXPERIMENT) as file:
        return list(file[f"segments/{column}"])


@pytest.mark.parametrize("settings", PRECISIONS, ids=["fp32", "bf16", "zero-1"])
def test_any_checkpoint_will_do(program: Program, tiny: Path, settings: dict[str, object]) -> None:
    program.trained(tiny, "whole", 2, **EVERY_THIRD, **settings)
    for step in (3, 6, 9):
        shutil.copytree(program.folder / "whole", program.folder / f"from-{step}")
        again = program.train(tiny, f"from-{step}", "--resume", str(step), ranks=2, **EVERY_THIRD, **settings)
        assert "differ" not in again.err
        expect_the_same(program, f"from-{step}")
        assert segments(program, f"from-{step}", "start_step") == [0, step]


def test_who_goes_back_and_dies_goes_on_from_there(program: Program, tiny: Path) -> None:
    """Not from a checkpoint that an earlier job wrote beyond what is recorded now."""
    settings = EVERY_THIRD | {"checkpoint__keep": 1, "checkpoint__keep_every": 3}
    for run in ("whole", "run"):
        program.trained(tiny, run, 2, **settings)
    died = program.train(tiny, "run", "--resume", "3", ranks=2, check=False, fault="forward:0:5:kill", **settings)
    assert "step-00000012 is of a later step than this run goes on from: set aside as" in died.err
    program.train(tiny, "run", ranks=2, **settings)
    expect_the_same(program, "run")
    assert segments(program, "run", "start_step") == [0, 3, 3]
    assert not list((program.folder / "run/checkpoints").glob("*aside*")), "there are newer ones now"


@pytest.mark.parametrize("settings", PRECISIONS, ids=["fp32", "bf16", "zero-1"])
def test_two_deaths_in_a_row_change_nothing(program: Program, tiny: Path, settings: dict[str, object]) -> None:
    program.trained(tiny, "whole", 2, **EVERY_THIRD, **settings)
    for step in (5, 8, 10):  # each time after a later checkpoint
        died = program.train(
            tiny, "run", ranks=2, check=False, fault=f"forward:0:{step}:kill", **EVERY_THIRD, **settings
        )
        assert died.code not in (0, 75), died.err
    last = program.train(tiny, "run", ranks=2, **EVERY_THIRD, **settings)
    assert "differ" not in last.err
    expect_the_same(program, "run")
    assert segments(program, "run", "start_step") == [0, 3, 6, 9]


def test_a_checkpoint_at_the_boundary_of_an_epoch(program: Program, tiny: Path) -> None:
    whole = np.fromfile(program.folder / "data/train.bin", dtype=np.uint16)
    header, tokens = whole[:512], whole[512:]
    tokens = tokens[: 48 * 16 + 1]  # 48 blocks: an epoch is six batches of eight
    header = header.copy()
    header.view(np.int32)[2] = len(tokens)
    np.concatenate([header, tokens]).tofile(program.folder / "data/short.bin")
    shutil.copy(program.folder / "data/meta.json", program.folder / "data/short.meta.json")
    settings = {"data__train": "data/short.bin", "checkpoint__every": 6}
    program.train(tiny, "whole", ranks=2, **settings)
    with h5py.File(program.folder / "whole" / EXPERIMENT) as file:
        assert 2.0 in list(file["epoch"])
    shutil.copytree(program.folder / "whole", program.folder / "run")
    forget(program.folder / "run", 12)
    again = program.train(tiny, "run", ranks=2, **settings)
    assert "differ" not in again.err
    expect_the_same(program, "run")
    assert segments(program, "run", "start_step") == [0, 6]


def test_reproducible_runs_go_on_bit_for_bit_on_any_number_of_ranks(program: Program, tiny: Path) -> None:
    settings = {**EVERY_THIRD, "parallel__reduction": "reproducible"}
    program.train(tiny, "whole", ranks=1, **settings)
    for ranks, step in ((2, 4), (4, 7), (1, 10)):
        died = program.train(tiny, "run", ranks=ranks, check=False, fault=f"forward:0:{step}:kill", **settings)
        assert died.code not in (0, 75), died.err
    program.train(tiny, "run", ranks=2, **settings)
    expect_the_same(program, "run")
    assert segments(program, "run", "world_size") == [2, 4, 1, 2]


def test_fast_runs_may_change_their_ranks_and_say_so(program: Program, tiny: Path) -> None:
    from weightscope import open as open_run
    from weightscope.summary import sentences

    died = program.train(tiny, "run", ranks=2, check=False, fault="forward:0:8:kill", **AT_ONCE)
    assert died.code not in (0, 75), died.err
    program.train(tiny, "run", ranks=1)
    assert segments(program, "run", "world_size") == [2, 1]
    said = " ".join(sentences(open_run(program.folder / "run")))
    assert "number of ranks changed (2 to step 6, then 1)" in said
    assert "rounded" in said


def test_rows_that_differ_are_named_by_step_tensor_and_bin(program: Program, tiny: Path) -> None:
    """The file is changed behind the back of the run, as a bit that flipped on disk or a wrong resume would."""
    program.trained(tiny, "run")
    forget(program.folder / "run", 12)
    with h5py.File(program.folder / "run" / EXPERIMENT, "a") as file:
        row = list(file["snapshot_step"]).index(8)
        where = np.argwhere(file["histogram"][row, 1, 2] > 0)[0, 0]
        file["histogram"][row, 1, 2, where] += 1
        file["train/loss"][9] += 1
    again = program.train(tiny, "run")
    assert f"snapshot 8: histogram of layer 1, k, bin {where} is" in again.err
    program.trained(tiny, "whole")
    expect_the_same(program, "run")
    assert "train step 9: loss is" in again.err


def test_a_file_of_a_version_without_the_tests_of_initialization_goes_on(program: Program, tiny: Path) -> None:
    program.trained(tiny, "whole", 2, **EVERY_THIRD)
    shutil.copytree(program.folder / "whole", program.folder / "old")
    with h5py.File(program.folder / "old" / EXPERIMENT, "a") as file:
        for name in ("p_std", "p_mean", "p_shape"):
            del file[f"init/{name}"]
    program.train(tiny, "old", "--resume", "6", ranks=2, **EVERY_THIRD)
    assert same_bits(state(program.folder / "whole", 12), state(program.folder / "old", 12)) == []
    different = experiment_differences(*(program.folder / run / EXPERIMENT for run in ("whole", "old")))
    assert different == ["init/p_mean", "init/p_shape", "init/p_std"]
