"""The initialization of models that other programs made."""

import json
from pathlib import Path

import numpy as np
import pytest
from program import Program
from safetensors.numpy import save_file

# Pythia 6.9B, whose published first weights were not what its paper says: small_init and wang_init were meant
# (0.00988 and 0.000977), GPT-2's (0.02 and 0.02/sqrt(2L) = 0.0025) were found.
WIDTH, LAYERS = 4096, 32
MEANT, MEANT_OUT = (2 / (5 * WIDTH)) ** 0.5, 2 / (LAYERS * WIDTH**0.5)
FOUND, FOUND_OUT = 0.02, 0.02 / (2 * LAYERS) ** 0.5


def write_config(folder: Path, **other: object) -> None:
    facts = {
        "model_type": "gpt_neox",
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 32,
        "intermediate_size": 4 * WIDTH,
        "vocab_size": 50432,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(facts | other))


def weights(shape: tuple[int, ...], std: float, seed: int) -> np.ndarray:
    return (std * np.random.default_rng(seed).standard_normal(shape, np.float32)).astype(np.float16)


def write_layer(folder: Path, layer: int, std: float, std_out: float) -> None:
    """Attention of one layer in a file of its own, as large models are stored: 67 million weights of 16 bits."""
    name = f"gpt_neox.layers.{layer}."
    tensors = {
        name + "attention.query_key_value.weight": weights((3 * WIDTH, WIDTH), std, layer),
        name + "attention.query_key_value.bias": np.zeros(3 * WIDTH, np.float16),
        name + "attention.dense.weight": weights((WIDTH, WIDTH), std_out, layer + 1000),
        name + "input_layernorm.weight": np.ones(WIDTH, np.float16),
        name + "attention.masked_bias": np.full((), -1e4, np.float32),  # a buffer
        name + "rotary_emb.inv_freq": np.zeros(16, np.float32),
    }
    save_file(tensors, folder / f"model-{layer:05}.safetensors")


def audit(program: Program, *words: object) -> tuple[int, dict]:
    done = program("audit", *words, "--format", "json", check=False)
    return done.code, json.loads(done.out)


def test_the_published_error_of_pythia_is_found(program: Program) -> None:
    folder = program.folder / "pythia"
    write_config(folder)
    write_layer(folder, 0, FOUND, FOUND_OUT)
    code, report = audit(program, folder, "--scheme", "wang_init")
    assert (code, report["verdict"]) == (7, "fail")
    rows = {row["name"]: row for row in report["parameters"]}
    qkv, dense = (rows[f"gpt_neox.layers.0.attention.{part}.weight"] for part in ("query_key_value", "dense"))
    assert (qkv["verdict"], dense["verdict"]) == ("fail: std", "fail: std")
    assert (qkv["expected_std"], dense["expected_std"]) == pytest.approx((0.00988, 0.000977), rel=1e-3)
    assert (qkv["std"], dense["std"]) == pytest.approx((0.02, 0.0025), rel=1e-3)
    assert qkv["ci_low"] < 0.02 < qkv["ci_high"]
    assert rows["gpt_neox.layers.0.attention.query_key_value.bias"]["verdict"] == "pass"
    # What it is instead; and the same shapes as they were meant.
    assert audit(program, folder, "--scheme", "gpt2")[0] == 0
    write_layer(folder, 0, MEANT, MEANT_OUT)
    code, report = audit(program, folder, "--scheme", "wang_init")
    assert (code, report["verdict"]) == (0, "pass")
    assert any("no file holds" in note for note in report["notes"])
    assert not any("not audited" in note for note in report["notes"])


def test_one_wrong_tensor_among_files_is_named(program: Program) -> None:
    folder = program.folder / "neox"
    write_config(folder, hidden_size=64, num_hidden_layers=2, intermediate_size=256, vocab_size=512)
    std, out = (2 / (5 * 64)) ** 0.5, 2 / (2 * 8)
    for layer in range(2):
        name = f"gpt_neox.layers.{layer}."
        tensors = {
            name + "attention.query_key_value.weight": weights((192, 64), std, layer),
            name + "attention.dense.weight": weights((64, 64), out, 10 + layer),
            name + "mlp.dense_h_to_4h.weight": weights((256, 64), std, 20 + layer),
            name + "mlp.dense_4h_to_h.weight": weights((64, 256), out if layer == 0 else 1.2 * out, 30 + layer),
        }
        if layer == 1:
            tensors["something.else"] = np.zeros(3, np.float32)
        save_file(tensors, folder / f"model-{layer}.safetensors")
    code, report = audit(program, folder, "--scheme", "wang_init")
    assert code == 7
    assert [row["name"] for row in report["parameters"] if row["verdict"] != "pass"] == [
        "gpt_neox.layers.1.mlp.dense_4h_to_h.weight"
    ]
    assert any("something.else" in note for note in report["notes"])
    text = program("audit", folder, "--scheme", "wang_init", check=False).out
    assert "fail: std" in text
    # Uniform weights of the right std have the wrong shape.
    flat = np.random.default_rng(1).uniform(-(3**0.5) * std, 3**0.5 * std, (192, 64)).astype(np.float32)
    save_file({"gpt_neox.layers.0.attention.query_key_value.weight": flat}, folder / "model-0.safetensors")
    _, report = audit(program, folder, "--scheme", "wang_init")
    assert report["parameters"][0]["verdict"] == "fail: shape"


def test_a_damaged_directory_is_4_and_names_the_file(program: Program) -> None:
    folder = program.folder / "neox"
    write_config(folder)
    assert "no *.safetensors" in refused(program, folder)
    save_file({"gpt_neox.final_layer_norm.weight": np.ones(7, np.float32)}, folder / "model.safetensors")
    assert "gpt_neox.final_layer_norm.weight does not have the shape" in refused(program, folder)
    save_file({"x": np.ones(7, np.float32)}, folder / "model.safetensors")
    assert "no tensor with a name of GPT-NeoX" in refused(program, folder)
    write_config(folder, num_hidden_layers="many")
    assert "config.json: num_hidden_layers is missing or no integer" in refused(program, folder)


def refused(program: Program, folder: Path) -> str:
    done = program("audit", folder, "--scheme", "wang_init", check=False)
    assert done.code == 4
    assert done.err.count("error:") == 1
    return done.err
