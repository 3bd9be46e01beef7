"""What somebody new to the program runs into: another experiment in the same place, a record that is gone, Ctrl-C at a
terminal, values that are none."""

import os
import select
import shutil
import time
from pathlib import Path

import pytest
from compare import checkpoint, experiment_differences, same_bits, state
from program import BINARY, ROOT, SLOWNESS, Program, children, environment, listens, until

EXPERIMENT = "experiment.h5"


def test_a_record_without_a_checkpoint_takes_no_other_experiment(program: Program, tiny: Path) -> None:
    program("init", tiny, "--output", "run")
    shutil.copytree(program.folder / "run", program.folder / "kept")
    other = program.train(tiny, "run", check=False, seed=99, init__std=0.1)
    assert other.code == 4
    assert "run/experiment.h5 cannot continue with this configuration" in other.err
    assert "seed: " in other.err
    assert "init.std: " in other.err
    assert experiment_differences(program.folder / "kept" / EXPERIMENT, program.folder / "run" / EXPERIMENT) == []
    assert "recomputed rows differ" not in program.train(tiny, "run").err
    shutil.rmtree(program.folder / "run/checkpoints")
    assert program.train(tiny, "run", check=False, optimizer__lr=0.5).code == 4


def test_a_record_that_is_gone_is_missed(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", train__steps=4)
    (program.folder / "run" / EXPERIMENT).unlink()
    again = program.train(tiny, "run", "--resume", "must", train__steps=6)
    assert "run/experiment.h5 is gone: a new record begins at step 4, and nothing before it is recorded" in again.err


def test_what_asks_for_a_run_makes_none(program: Program, tiny: Path) -> None:
    result = program.train(tiny, "nowhere", "--resume", "must", check=False)
    assert (result.code, "nowhere does not exist" in result.err) == (4, True)
    assert not (program.folder / "nowhere").exists()


def test_what_asks_for_a_checkpoint_wants_one(program: Program, tiny: Path) -> None:
    program("init", tiny, "--output", "run")
    refused = program.train(tiny, "run", "--resume", "must", ranks=2, check=False)
    assert refused.code == 4
    assert "run has no checkpoint (--resume must asks for one)" in refused.err
    assert refused.err.count("error:") == 1


def test_a_folder_that_holds_another_step_is_no_checkpoint(program: Program, tiny: Path) -> None:
    run = program.trained(tiny, "run", 2)
    shutil.rmtree(checkpoint(run, 12))
    shutil.copytree(checkpoint(run, 6), checkpoint(run, 12))
    refused = program.train(tiny, "run", "--resume", "must", ranks=2, check=False)
    assert refused.code == 4
    assert "step-00000012 holds the state of step 6" in refused.err
    went_on = program.train(tiny, "run", ranks=2)
    assert "holds the state of step 6; using the checkpoint before it" in went_on.err
    whole = program.trained(tiny, "whole", 2)
    assert same_bits(state(whole, 12), state(run, 12)) == []
    assert experiment_differences(whole / EXPERIMENT, run / EXPERIMENT) == []


def test_weights_alone_are_nothing_to_go_on_from(program: Program, tiny: Path) -> None:
    program("export", program.trained(tiny, "other"), "-o", "hf")
    program("import", "hf", "-o", "run/checkpoints/step-00000000")
    for how in ("must", "auto"):
        refused = program.train(tiny, "run", "--resume", how, ranks=2, check=False)
        assert refused.code == 4, refused.err
        assert "step-00000000 holds no optimizer state" in refused.err


def test_a_vocabulary_that_is_none_leaves_no_folder(program: Program) -> None:
    (program.folder / "text.txt").write_text("one line\n")
    for tokenizer, code in (("train:bpe:many", 2), ("sentencepiece:none.model", 3)):
        assert program("prepare", "--tokenizer", tokenizer, "-o", "made", "text.txt", check=False).code == code
        assert not (program.folder / "made").exists()
    (program.folder / "made").mkdir()
    program("prepare", "--tokenizer", "train:bpe:many", "-o", "made", "text.txt", check=False)
    assert (program.folder / "made").exists(), "it was there before"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "empty.yaml"], 2, "data.train is not set"),
        (["coord-check", "empty.yaml"], 2, "data.train is not set"),
        (["train", "."], 2, "cannot read .: it is a directory"),
        (["check", "tiny.yaml", "--set", "seed=-1"], 2, "is not an integer from 0 to 18446744073709551615"),
        (
            ["check", "tiny.yaml", "--set", "init.rules=[{match: none, scheme: normal, std: 0.1}]"],
            2,
            "none names no parameter",
        ),
        (["sample", "run", "--temperature", "nan"], 2, "nan is not a decimal number"),
        (["sample", "run", "--tokens", "010"], 2, "010 is not a decimal number"),
        (["sample", "run", "--seed", "0x10"], 2, "0x10 is not a decimal number"),
        (["sample", "run", "--seed", "-1"], 2, "-1 is negative"),
        (["eval", "tiny.yaml", "--tokens", "tiny.yaml"], 4, "tiny.yaml is a file (a checkpoint, a run or"),
        (["inspect", "short.h5"], 4, "cannot read short.h5: truncated file"),
    ],
)
def test_the_message_says_what_is_wrong(
    program: Program, tiny: Path, arguments: list[str], code: int, words: str
) -> None:
    assert tiny.name == "tiny.yaml"
    (program.folder / "empty.yaml").write_text("")
    if "short.h5" in arguments:
        program("init", tiny, "--output", "whole")
        (program.folder / "short.h5").write_bytes((program.folder / "whole" / EXPERIMENT).read_bytes()[:3000])
    result = program(*arguments, check=False)
    assert (result.code, words in result.err) == (code, True), result.err


def at_a_terminal(words: list[str], folder: Path) -> tuple[int, int]:
    """(pid, the terminal's other end) of a program that has a terminal of its own."""
    pid, terminal = os.forkpty()
    if pid == 0:
        os.chdir(folder)
        os.execve(words[0], words, environment(1) | {"WEIGHTSCOPE_BINARY": str(BINARY)})
    return pid, terminal


def ended(pid: int) -> int:
    """Its exit code; an error when it does not end in time."""
    status: list[int] = []

    def waited() -> bool:
        done, found = os.waitpid(pid, os.WNOHANG)
        status.append(found)
        return done == pid

    until(waited)
    return os.waitstatus_to_exitcode(status[-1])


def read_to_end(terminal: int, seconds: float) -> str:
    text, end = b"", time.monotonic() + seconds * SLOWNESS
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:  # nobody has it open any more
            part = b""
        if not part:
            return text.decode(errors="replace")
        text += part
    raise AssertionError(f"still open after {seconds * SLOWNESS} s: {text.decode(errors='replace')}")


def test_ctrl_c_at_a_terminal_saves(program: Program, tiny: Path) -> None:
    steps = ["--set", "train.steps=100000", "--set", "checkpoint.every=0", "--output", "run"]
    pid, terminal = at_a_terminal([str(ROOT / "launch/run.sh"), "2", "train", str(tiny), *steps], program.folder)
    try:
        until(lambda: any(listens(rank) for mpirun in children(pid) for rank in children(mpirun)))
        until((program.folder / "run/log.jsonl").exists)
        os.write(terminal, b"\x03")
        said = read_to_end(terminal, 60)
        code = ended(pid)
    finally:
        os.close(terminal)
    assert "stopped on request" in said
    assert code == 75, said
    stopped = program.log("run", "train")[-1]["step"] + 1
    assert (checkpoint(program.folder / "run", stopped) / "manifest.json").exists()


def test_ctrl_c_at_a_terminal_ends_what_has_nothing_to_save(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", train__steps=2)
    words = ["sample", "run", "--tokens", "1000000", "--prompt", "line"]
    pid, terminal = at_a_terminal([str(ROOT / "launch/run.sh"), "1", *words], program.folder)
    try:
        until(lambda: any(listens(rank) for mpirun in children(pid) for rank in children(mpirun)))
        os.write(terminal, b"\x03")
        said = read_to_end(terminal, 30)
        code = ended(pid)
    finally:
        os.close(terminal)
    assert code not in (0, 75), said
