"""From text to tokens and back through a model: prepare and sample."""

import json
import os
from pathlib import Path

import pytest
from program import Program


@pytest.fixture
def pieces(program: Program, tiny: Path) -> str:
    """A model with 800 ids, trained on a text of 400 pieces; the tokenizer."""
    program("prepare", "--tokenizer", "train:bpe:400", "-o", "sp", "text.txt")
    program.train(tiny, "run", model__vocab=800, data__train="sp/train.bin", data__val="sp/val.bin")
    return "sentencepiece:sp/tokenizer.model"


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
    text = program("sample", "run", "--tokenizer", pieces, "--prompt", "line", "--tokens", 60, *options).out
    assert text.startswith("line")


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(program: Program, tiny: Path) -> None:
    program("prepare", "--tokenizer", "train:bpe:400", "-o", "sp", "text.txt")
    program.train(tiny, "run")
    refused = program("sample", "run", "--tokenizer", "sentencepiece:sp/tokenizer.model", check=False)
    assert refused.code == 4
    assert "the tokenizer has more ids than the model" in refused.err


def test_a_model_of_fewer_than_256_bytes_continues_texts_of_those(program: Program, tiny: Path) -> None:
    program.train(tiny, "run", model__vocab=128)
    text = program("sample", "run", "--prompt", "line", "--tokens", 60, "--temperature", 3).out
    assert text.startswith("line")
    assert "\ufffd" not in text
    refused = program("sample", "run", "--prompt", "caf\u00e9", check=False)
    assert refused.code == 2
    assert "the prompt has a token with id 195, but model.vocab = 128" in refused.err
