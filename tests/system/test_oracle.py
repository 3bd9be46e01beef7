"""Results of other implementations (tests/oracle/README.md): loss, training, and the real transformers library."""

import json
from pathlib import Path

import numpy as np
import pytest
from compare import largest_difference, state, weights
from program import ORACLE, Program
from safetensors.numpy import load_file, save_file

EXPECTED = json.loads((ORACLE / "seq_small/expected.json").read_text())


def seq_small(program: Program, extra: str = "") -> str:
    (program.folder / "seq.yaml").write_text(
        f"name: seq\nmodel: {{layers: 4, heads: 4, width: 48, block: 32, vocab: 256}}\n"
        f"init: {{from: {ORACLE}/seq_small}}\n"
        f"data: {{train: {ORACLE}/seq_small/tokens.bin, order: sequential}}\n"
        "train: {steps: 30, global_batch: 8, micro_batch: 2}\n"
        "optimizer: {lr: 1.0e-3, betas: [0.9, 0.95], weight_decay: 0.1}\n"
        "schedule: {name: constant}\nmonitor: {every: 30, early: none}\neval: {every: 0}\ncheckpoint: {every: 30}\n"
        + extra
    )
    return "seq.yaml"


def transposed_names(hf: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Hugging Face's names and Conv1D layout to ours."""
    out = {}
    for name, value in hf.items():
        short = name.removeprefix("transformer.")
        out[short] = np.ascontiguousarray(value.T) if value.ndim == 2 and short.startswith("h.") else value
    return out


def test_eval_gives_the_loss_of_the_reference(program: Program) -> None:
    result = json.loads(
        program("eval", ORACLE / "seq_small", "--tokens", ORACLE / "seq_small/tokens.bin", "--format", "json").out
    )
    assert result["loss"] == pytest.approx(EXPECTED["fp32_eval"], rel=1e-5)
    assert result["tokens"] == EXPECTED["eval_tokens"]
    assert result["perplexity"] == pytest.approx(np.exp(EXPECTED["fp32_eval"]), rel=1e-4)


def test_import_then_eval_on_two_ranks_gives_it_too(program: Program) -> None:
    program("import", ORACLE / "seq_small", "-o", "imported")
    result = json.loads(
        program("eval", "imported", "--tokens", ORACLE / "seq_small/tokens.bin", "--format", "json", ranks=2).out
    )
    assert result["loss"] == pytest.approx(EXPECTED["fp32_eval"], rel=1e-5)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_thirty_steps_follow_the_reference(program: Program, ranks: int) -> None:
    program.trained(seq_small(program), "run", ranks)
    log = program.log("run")
    np.testing.assert_allclose([row["loss"] for row in log], EXPECTED["fp32"]["loss"], rtol=2e-5)
    np.testing.assert_allclose([row["grad_norm"] for row in log], EXPECTED["fp32"]["grad_norm"], rtol=2e-4)


def test_bfloat16_stays_near_the_reference(program: Program) -> None:
    program.train(seq_small(program), "run", train__precision="bf16")
    losses = [row["loss"] for row in program.log("run")]
    np.testing.assert_allclose(losses, EXPECTED["fp32"]["loss"], rtol=5e-3)


def test_weights_after_thirty_steps_do_not_depend_on_ranks(program: Program) -> None:
    config = seq_small(program)
    for ranks in (1, 2, 4):
        program.trained(config, f"run-{ranks}", ranks)
    one = state(program.folder / "run-1", 30)
    for ranks in (2, 4):
        assert largest_difference(one, state(program.folder / f"run-{ranks}", 30)) < 2e-5


def test_transformers_loads_our_export_and_agrees(program: Program) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    program.trained(seq_small(program), "run")
    program("export", "run", "-o", "hf")
    model = transformers.GPT2LMHeadModel.from_pretrained(program.folder / "hf").eval()
    tokens = torch.tensor(
        np.fromfile(ORACLE / "seq_small/tokens.bin", np.uint16, offset=1024)[: 32 * 248 + 1].astype(np.int64)
    )
    with torch.no_grad():
        logits = model(tokens[:-1].view(248, 32)).logits
        loss = torch.nn.functional.cross_entropy(logits.view(-1, 256), tokens[1:]).item()
    ours = json.loads(program("eval", "run", "--tokens", ORACLE / "seq_small/tokens.bin", "--format", "json").out)
    assert ours["loss"] == pytest.approx(loss, rel=1e-6)
    # And back: import of the export is the same model, bit for bit.
    program("import", "hf", "-o", "again")
    again = load_file(program.folder / "again/model.safetensors")
    ours_weights = weights(program.folder / "run", 30)
    assert all(np.array_equal(again[name], ours_weights[name]) for name in ours_weights)


# Weights so large that each token depends on all before it, and on their places.
WILD = {
    "init__scheme": "normal",
    "init__std": 0.3,
    "optimizer__lr": 0,
    "train__steps": 1,
    "monitor__alarms": "[]",
}
PROMPT = "a text"


@pytest.fixture
def wild(program: Program, tiny: Path) -> object:
    """The model of the run `run` as transformers has it, in float64."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    program.trained(tiny, "run", **WILD)
    program("export", "run", "-o", "hf")
    return transformers.GPT2LMHeadModel.from_pretrained(program.folder / "hf").eval().to(torch.float64)


def test_generation_is_that_of_transformers(program: Program, wild: object) -> None:
    """As many tokens as one block holds; block and vocabulary of the tiny model are 16 and 256."""
    import torch

    prompt = torch.tensor([list(PROMPT.encode())])
    n = 16 - prompt.shape[1]
    expected = wild.generate(  # type: ignore[attr-defined]
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=n, do_sample=False, pad_token_id=0
    )
    found = program.sample("run", PROMPT, "--tokens", n, "--temperature", 0)
    assert list(found) == expected[0, prompt.shape[1] :].tolist()
    assert len(set(found)) > 2, "a model that says always the same would show nothing"


def test_generation_beyond_a_block_sees_the_last_tokens(program: Program, wild: object) -> None:
    import torch

    ids = list(PROMPT.encode())
    ranks = []
    greedy = program.sample("run", PROMPT, "--tokens", 50, "--temperature", 0)
    assert greedy == program.sample("run", PROMPT, "--tokens", 50, "--top-k", 1, "--seed", 9)
    drawn = program.sample("run", PROMPT, "--tokens", 50, "--top-k", 3, "--temperature", 4)
    for text in (greedy, drawn):
        assert len(text) == 50
        tokens = ids + list(text)
        for at in range(len(ids), len(tokens)):
            with torch.no_grad():
                logits = wild(torch.tensor([tokens[max(0, at - 16) : at]])).logits[0, -1]  # type: ignore[operator]
            ranks.append(int((logits > logits[tokens[at]]).sum()))
    assert set(ranks[:50]) == {0}
    assert set(ranks[50:]) == {0, 1, 2}, "all of the three most likely ones, and no other"
    assert len(set(greedy)) > 2


def test_published_layouts_are_both_read(program: Program) -> None:
    folder = ORACLE / "tiny_gelu_new"
    for kind in ("model", "model_noprefix"):
        target = program.folder / kind
        target.mkdir()
        save_file(load_file(folder / f"{kind}.safetensors"), target / "model.safetensors")
        (target / "config.json").write_text((folder / "config.json").read_text())
        program("import", kind, "-o", f"{kind}-checkpoint")
    first, second = (
        load_file(program.folder / f"{kind}-checkpoint/model.safetensors") for kind in ("model", "model_noprefix")
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)
    expected = transposed_names(load_file(folder / "model.safetensors"))
    assert all(np.array_equal(first[name], expected[name]) for name in first)
