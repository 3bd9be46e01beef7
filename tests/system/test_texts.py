"""From text to tokens and back through a model: prepare and sample."""

import functools
import json
import os
import shutil
from pathlib import Path

import pytest
from program import Program, shelf, write_tiny


@pytest.fixture
def pieces(program: Program, tiny: Path) -> str:
    """A model with 800 ids, trained on a text of 400 pieces; the tokenizer."""
    shutil.copytree(trained_on_pieces(), program.folder, dirs_exist_ok=True)
    return "sentencepiece:sp/tokenizer.model"


@functools.cache
def trained_on_pieces() -> Path:
    program = Program(shelf() / "pieces")
    tiny = write_tiny(program.folder)
    program("prepare", "--tokenizer", "train:bpe:400", "-o", "sp", "text.txt")
    program.train(tiny, "run", model__vocab=800, data__train="sp/train.bin", data__val="sp/val.bin")
    return program.folder


def test_without_a_validation_part_there_is_no_old_one(program: Program, tiny: Path) -> None:
    assert (program.folder / "data/val.bin").exists()
    program("prepare", "--tokenizer", "byte", "--val-fraction", 0, "-o", "data", "text.txt")
    assert not (program.folder / "data/val.bin").exists()
    assert json.loads((program.folder / "data/meta.json").read_text())["val_tokens"] == 0


def test_the_name_of_a_text_need_not_be_utf8(program: Program) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (program.folder / name).write_text("text\n" * 20)
    program("prepare", "--tokenizer", "byte", "-o", "data", name)
    assert json.loads((program.folder / "data/meta.json").read_text())["sources"][0]["file"] == "caf\ufffd.txt"


def test_a_text_that_cannot_be_read_is_named_with_its_error(program: Program) -> None:
    refused = program("prepare", "--tokenizer", "byte", "-o", "data", "/proc/self/mem", check=False)
    assert refused.code == 3
    assert "cannot read /proc/self/mem: Input/output error" in refused.err


@pytest.mark.parametrize("options", [(), ("--top-k", 700), ("--temperature", 3)])
def test_only_ids_that_the_tokenizer_knows_are_drawn(program: Program, pieces: str, options: tuple) -> None:
    text = program.sample("run", "line", "--tokenizer", pieces, "--tokens", 60, *options).decode()
    assert len(text) > 40


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(program: Program, tiny: Path, pieces: str) -> None:
    program.trained(tiny, "small")
    refused = program("sample", "small", "--tokenizer", pieces, check=False)
    assert refused.code == 4
    assert "the tokenizer has more ids than the model" in refused.err


def test_every_byte_is_printed_whatever_it_is(program: Program, tiny: Path) -> None:
    """At this temperature all are alike; zero is one of them."""
    program.trained(tiny, "run")
    text = program.sample("run", "line", "--tokens", 3000, "--temperature", 100)
    assert len(text) == 3000
    assert len(set(text)) > 250


def test_a_model_of_fewer_than_256_bytes_continues_texts_of_those(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", model__vocab=128)
    text = program.sample("run", "line", "--tokens", 60, "--temperature", 3)
    assert len(text) == 60
    assert max(text) < 128
    assert len(set(text)) > 10
    refused = program("sample", "run", "--prompt", "caf\u00e9", check=False)
    assert refused.code == 2
    assert "the prompt has a token with id 195, but model.vocab = 128" in refused.err
