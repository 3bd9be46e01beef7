"""What people do to commands besides using them: Ctrl-C, full disks, names already taken, odd paths."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from program import BINARY, SLOWNESS, Program, environment, has_pending, listens, until

COORDS = ["coord-check", "--set", "model.dropout=0", "--widths", "16,32", "--seeds", "1", "--steps", "1"]


@pytest.fixture
def run(program: Program, tiny: Path) -> Program:
    program.trained(tiny, "run", train__steps=2)
    return program


def start(folder: Path, *words: str, fault: str = "") -> subprocess.Popen[str]:
    """Under no mpirun; on return it listens to USR1."""
    process = subprocess.Popen(
        ["env", "--default-signal=INT", BINARY, *words],  # also where whoever runs the tests ignores it
        cwd=folder,
        env=environment(1) | {"WEIGHTSCOPE_FAULT": fault},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: listens(process.pid))
    return process


def catches(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) & 1 << (number - 1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_has_nothing_to_save_ends_when_asked(run: Program, number: signal.Signals) -> None:
    process = start(run.folder, "sample", "run", "--tokens", "1000000")
    process.send_signal(signal.SIGUSR1)  # job scripts send it to whatever runs
    process.send_signal(number)
    assert process.wait(20 * SLOWNESS) == -number


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, which it has heard on return."""
    until(lambda: catches(process, signal.SIGINT))
    process.send_signal(signal.SIGINT)
    until(lambda: not has_pending(process.pid, signal.SIGINT))


TRAIN = ("train", "tiny.yaml", "--set", "train.steps=100000", "--output", "run")


def test_the_second_interrupt_ends_a_training(program: Program, tiny: Path) -> None:
    process = start(program.folder, *TRAIN, fault="start:0:0:hang")  # nothing is saved yet, and never will be
    interrupt(process)
    time.sleep(1.2)  # within a second it would be the same one
    assert process.poll() is None
    assert catches(process, signal.SIGTERM), "launchers repeat it"
    process.send_signal(signal.SIGINT)
    assert process.wait(20 * SLOWNESS) == -signal.SIGINT


@pytest.mark.parametrize("numbers", [["INT"], ["TERM"], ["INT", "INT"], ["TERM", "TERM"]], ids="-".join)
def test_the_first_interrupt_saves(program: Program, tiny: Path, numbers: list[str]) -> None:
    """Also when it is told twice at once, as timeout(1) and launchers do."""
    process = start(program.folder, *TRAIN)
    for number in numbers:
        if number == "INT":
            interrupt(process)
        else:
            process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60 * SLOWNESS)
    assert process.returncode == 75, said
    assert "state saved" in said


@pytest.mark.parametrize(
    "words", [["inspect", "run", "--format", "json"], ["check", "--reference"], ["doctor"], ["--help"]], ids=" ".join
)
def test_output_that_cannot_be_written_is_5(run: Program, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [BINARY, *words], cwd=run.folder, env=environment(1), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 5
    assert done.stderr.decode() == (
        "weightscope: error: cannot write to standard output: what was printed is not complete\n"
    )


@pytest.mark.parametrize("heard", [True, False], ids=["SIGPIPE", "ignored"])
def test_a_reader_that_has_seen_enough_is_no_error(program: Program, heard: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [BINARY, "check", "--reference"],
        env=environment(1),
        stdout=writer,
        stderr=subprocess.PIPE,
        restore_signals=heard,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE if heard else 0, b"")


def test_check_and_doctor_know_the_ranks_of_the_job(program: Program, tiny: Path) -> None:
    assert "; 4 rank(s)\n" in program("check", tiny, ranks=4).out
    assert "; 2 rank(s)\n" in program("check", tiny, "--ranks", 2, ranks=4).out
    assert "; 1 rank(s)\n" in program("check", tiny).out
    refused = program("check", tiny, ranks=3, check=False)
    assert refused.code == 2
    assert "train.global_batch = 8 is not a multiple of 3 rank(s)" in refused.err
    assert "; 2 rank(s)\n" in program("doctor", ranks=2).out


def test_a_scheme_is_no_folder_of_that_name(run: Program) -> None:
    before = [run("audit", "run", *words, check=False) for words in ([], ["--scheme", "gpt2"])]
    for name in ("article", "gpt2", "other"):
        (run.folder / name).mkdir()
    assert [run("audit", "run", *words, check=False) for words in ([], ["--scheme", "gpt2"])] == before
    assert "h.1.mlp.c_proj.weight" in run("audit", "run", "--scheme", "tiny.yaml", check=False).out
    for wrong, why in (("other", "it is a directory"), ("gpt3", "is not one of"), ("x" * 300, "is not one of")):
        refused = run("audit", "run", "--scheme", wrong, check=False)
        assert (refused.code, refused.out) == (2, "")
        assert why in refused.err


def test_measure_touches_nothing_but_the_file_it_was_told_to_write(run: Program) -> None:
    (run.folder / "weights.h5.partial").mkdir()
    (run.folder / "weights.h5.partial/mine").write_text("kept")
    before = {path.name for path in run.folder.iterdir()}
    run("measure", "run", "-o", "weights.h5")
    assert {path.name for path in run.folder.iterdir()} == before | {"weights.h5"}
    assert (run.folder / "weights.h5.partial/mine").read_text() == "kept"
    run("measure", "run", "-o", "new/folder/weights.h5")
    assert [path.name for path in (run.folder / "new/folder").iterdir()] == ["weights.h5"]


@pytest.mark.parametrize("command", ["measure", "import", "export"])
def test_a_place_that_cannot_be_is_5(run: Program, command: str) -> None:
    before = {path.name for path in run.folder.iterdir()}
    for place in ("x" * 300, "tiny.yaml/x"):
        refused = run(command, "run", "-o", place, check=False)
        assert refused.code == 5, refused.err
        assert "internal" not in refused.err
    assert {path.name for path in run.folder.iterdir()} == before


def test_export_overwrites_nothing(run: Program) -> None:
    run("export", "run", "-o", "hf")
    run("import", "hf", "-o", "imported")
    (run.folder / "described").mkdir()
    (run.folder / "described/config.json").write_text("{}")
    for place, what in (("hf", "model.safetensors"), ("imported", "manifest.json"), ("described", "config.json")):
        before = {path: path.read_bytes() for path in (run.folder / place).iterdir()}
        refused = run("export", "run", "-o", place, check=False)
        assert refused.code == 5
        assert f"{place}/{what} exists already; nothing is overwritten" in refused.err
        assert {path: path.read_bytes() for path in (run.folder / place).iterdir()} == before


def test_coord_check_knows_before_training_where_it_cannot_write(program: Program, tiny: Path) -> None:
    (program.folder / "taken").mkdir()
    for place in ("nodir/x.json", "taken", "tiny.yaml/x.json"):
        refused = program(*COORDS, tiny, "-o", place, check=False)
        assert (refused.code, refused.out) == (5, "")
        assert refused.err.startswith(f"weightscope: error: cannot write {place}: ")
        assert refused.err.count("\n") == 1, "no training was announced"
    coords = program.folder / "coords.json"
    coords.write_text("old")
    wrong = program(*COORDS, tiny, "--set", "data.train=nowhere.bin", "-o", "coords.json", check=False)
    assert (wrong.code, coords.read_text()) == (3, "old")
    done = program(*COORDS, tiny, "--format", "json", "-o", "coords.json", check=False)
    assert done.out == coords.read_text()


def test_coord_check_prints_even_if_the_file_cannot_be_written(program: Program, tiny: Path) -> None:
    (program.folder / "coords.json.tmp").mkdir()
    done = program(*COORDS, tiny, "--format", "json", "-o", "coords.json", check=False)
    assert done.code == 5
    assert done.out.startswith("{")


@pytest.mark.parametrize("name", ["runs/a #1", "@x", "*x", "&x", "~", "123", "true", "[a]", "a: b", '"x"', "x\\n", "é"])
def test_an_output_is_a_text_and_not_yaml(program: Program, tiny: Path, name: str) -> None:
    first = program("check", tiny, "--output", name).out
    (program.folder / "resolved.yaml").write_text(first)
    assert program("check", "resolved.yaml").out == first
    program("init", tiny, "--output", name, check=False)
    assert (program.folder / name / "experiment.h5").exists()


def test_an_output_still_has_variables_and_its_problems_a_place(program: Program, tiny: Path) -> None:
    assert "output: runs/tiny-5\n" in program("check", tiny, "--output", "runs/${name}-${seed}").out
    refused = program("check", tiny, "--output", "a\nb", check=False)
    assert refused.code == 2
    assert refused.err.startswith("weightscope: error: --output: output ")
