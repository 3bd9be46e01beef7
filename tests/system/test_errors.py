"""Bad input: one line from one rank, the documented exit code, quickly, and nothing touched."""

import fcntl
import os
from pathlib import Path

import pytest
from compare import experiment_differences, same_bits, state
from program import HELD, Program


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("weightscope: error: ")]


@pytest.mark.parametrize("ranks", [1, 2])
def test_all_configuration_problems_come_at_once_from_one_rank(program: Program, tiny: Path, ranks: int) -> None:
    tiny.write_text(tiny.read_text() + "extra: 1\n")
    result = program(
        "train", tiny, "--set", "model.heads=3", "--set", "train.stps=4", "--output", "run", ranks=ranks, check=False
    )
    assert result.code == 2
    assert [line.removeprefix("weightscope: error: ") for line in errors(result.err)] == [
        f"{tiny}:11:1: unknown key extra",
        "--set train.stps: unknown key train.stps; did you mean steps?",
        "--set model.heads: model.heads = 3 does not divide model.width = 16",
    ]
    assert not (program.folder / "run").exists()


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data__train": "missing.bin"}, (3, "missing.bin")),
        ({"data__train": "text.txt"}, (3, "text.txt is no token file")),
        ({"model__vocab": 100}, (3, "but model.vocab = 100")),
        ({"model__block": 100000, "train__global_batch": 2, "train__micro_batch": 1}, (3, "fewer than one block")),
        ({"init__from": "nowhere"}, (4, "nowhere")),
        ({"train__device": "cuda"}, (2, "sees none")),
    ],
)
def test_each_fault_has_its_exit_code(
    program: Program, tiny: Path, ranks: int, change: dict, expected: tuple[int, str]
) -> None:
    code, words = expected
    result = program.train(tiny, "run", ranks=ranks, check=False, **change)
    assert result.code == code, result.err
    assert len(errors(result.err)) == 1, result.err
    assert words in errors(result.err)[0]
    assert not (program.folder / "run/experiment.h5").exists()


def test_missing_configuration_and_usage_are_2(program: Program) -> None:
    for arguments, words in (
        (["train", "missing.yaml"], "missing.yaml"),
        (["train"], "CONFIG is required (see weightscope train --help)"),
        (["nonsense"], "unknown command nonsense (see weightscope --help)"),
        (["chekc"], "unknown command chekc; did you mean check? (see weightscope --help)"),
        (["--bad"], "unknown option --bad (see weightscope --help)"),
        (["train", "x", "--bad"], "unknown option --bad (see weightscope train --help)"),
        (
            ["train", "x", "--outptu=y"],
            "unknown option --outptu; did you mean --output? (see weightscope train --help)",
        ),
        (["sample", "x", "--tokens", "many"], "--tokens: Value many not in range 1 to 1000000"),
        (["inspect", "x", "--format", "jsn"], "--format: jsn is not one of text, json; did you mean json?"),
        (["inspect", "x", "--format", "1"], "--format: 1 is not one of text, json (see"),
        ([], "no command is given (see weightscope --help)"),
    ):
        result = program(*arguments, check=False)
        assert result.code == 2, (arguments, result.err)
        (line,) = errors(result.err)
        assert words in line, (arguments, result.err)


def test_a_directory_in_use_is_6_and_stays_untouched(program: Program, tiny: Path) -> None:
    program.trained(tiny, "run", train__steps=6)
    before = {
        path: path.read_bytes()
        for path in (program.folder / "run").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    with (program.folder / "run/.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = program.train(tiny, "run", check=False, ranks=2)
    assert result.code == 6, result.err
    assert {path: path.read_bytes() for path in before} == before
    assert program.train(tiny, "run").code == 0


def test_a_second_job_on_a_directory_ends_with_6_and_the_first_does_not_notice(program: Program, tiny: Path) -> None:
    settings = {"train__steps": 60, "schedule__name": "constant", "eval__every": 60}
    running = program.start(tiny, "run", 2, fault=HELD, **settings)
    running.holds()  # it must be there as long as the second takes, however fast it is
    try:
        second = program.train(tiny, "run", ranks=2, check=False, **settings)
        assert running.process.poll() is None, "the first has ended too early for this test"
    finally:
        running.go_on()
    assert second.code == 6, second.err
    assert len(errors(second.err)) == 1, second.err
    assert running.wait(60).code == 0
    program.train(tiny, "whole", ranks=2, **settings)
    whole, run = program.folder / "whole", program.folder / "run"
    assert same_bits(state(whole, 60), state(run, 60)) == []
    assert experiment_differences(whole / "experiment.h5", run / "experiment.h5") == []


def test_output_that_cannot_be_written_is_5(program: Program, tiny: Path) -> None:
    (program.folder / "file").write_text("")
    result = program.train(tiny, "file/run", ranks=2, check=False)
    assert result.code == 5, result.err
    assert len(errors(result.err)) == 1
    assert "file/run" in errors(result.err)[0]


def test_divergence_of_the_loss_is_7_and_recorded(program: Program, tiny: Path) -> None:
    result = program.train(
        tiny,
        "run",
        ranks=2,
        check=False,
        optimizer__lr=1000,
        train__grad_clip=0,
        model__dropout=0,
        train__steps=200,
        optimizer__weight_decay=10,
        monitor__alarms="[]",  # how far the widths jump before the end depends on rounding
    )
    assert result.code == 7, result.err
    assert "last good checkpoint" in errors(result.err)[0] or "no checkpoint" in errors(result.err)[0]
    assert program.log("run", "alarm")[0]["rule"] == "nonfinite"
    inspected = program("inspect", "run").out
    assert "failed" in inspected
    assert "1 alarm" in inspected


def test_a_wrong_initialization_is_7(program: Program, tiny: Path) -> None:
    program.trained(tiny, "run", train__steps=6)
    assert program("audit", "run", "--scheme", "kaiming_normal", check=False).code == 7
    assert "fail" in program("audit", "run", "--scheme", "kaiming_normal", check=False).out


def test_help_and_version_are_0(program: Program) -> None:
    for command in (
        "train",
        "init",
        "audit",
        "measure",
        "prepare",
        "eval",
        "sample",
        "export",
        "import",
        "check",
        "inspect",
        "doctor",
    ):
        text = program(command, "--help").out
        assert f"Usage: weightscope {command} " in text
        assert "xample" in text
        assert "ENUM" not in text
        assert "INT:INT" not in text
    assert program("--version").out.startswith("weightscope 0.")
    assert "Commands:" in program("--help").out


def test_no_file_is_opened_because_a_checkpoint_names_it(program: Program, tiny: Path) -> None:
    meta = program.folder / "data/meta.json"
    os.mkfifo(program.folder / "pipe")  # who opens it waits for ever
    meta.write_text(meta.read_text().replace('"byte"', f'"sentencepiece:{program.folder / "pipe"}"', 1))
    program.train(tiny, "run", train__steps=2)
    result = program("sample", "run", "--tokens", 2, check=False, timeout=30)
    assert result.code == 4
    assert f"sentencepiece:{program.folder / 'pipe'}; give it with --tokenizer" in result.err
    assert program("sample", "run", "--tokens", 2, "--tokenizer", "byte").code == 0
