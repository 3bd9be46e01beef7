"""weightscope coord-check: muP passes where the standard parametrization fails, and what it says is consistent."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from program import Program

# Heads of 8 features; tokens and seeds enough for slopes that are known to 0.1.
SETTINGS = {
    "model.dropout": 0,
    "model.block": 32,
    "init.scheme": "gpt2",
    "train.global_batch": 16,
    "train.micro_batch": 16,
    "optimizer.lr": 1e-3,
}
SET = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
SMALL = [*SET, "--widths", "32,64,128,256", "--seeds", "5", "--steps", "4"]


def test_mup_passes_and_the_standard_parametrization_fails(program: Program, tiny: Path) -> None:
    done = program("coord-check", tiny, *SMALL, "-o", "coords.json", threads=2)
    report = json.loads((program.folder / "coords.json").read_text())
    standard, mup = report["parameterizations"]
    assert (standard["parameterization"], standard["verdict"]) == ("standard", "fail"), done.out
    assert (mup["parameterization"], mup["verdict"]) == ("mup", "pass"), done.out
    assert report["verdict"] == "pass"
    assert report["base_width"] == 32
    failed = {(row["quantity"], row["measure"]) for row in standard["quantities"] if row["verdict"] == "fail: grows"}
    assert {("logits", "change"), ("residual", "change"), ("mlp", "change"), ("h.1.residual", "change")} <= failed
    assert "embedding" not in {quantity for quantity, _ in failed}
    assert "attention_logits" in done.out
    assert "h.0." not in done.out, "layers are shown where they fail and their mean does not"
    check_numbers(report)


def check_numbers(report: dict) -> None:
    """Slopes and intervals once more, by numpy; at the base width both parametrizations are one model."""
    for table in report["parameterizations"]:
        for row in table["quantities"]:
            sizes = np.array(row["sizes"])
            assert sizes.shape == (5, 4, 5)
            if row["measure"] == "change":
                assert (sizes[0] == 0).all()
                assert row["slopes"][0]["slope"] is None
            slopes = np.polyfit(np.log2(report["widths"]), np.log2(sizes[-1]), 1)[0]
            last = row["slopes"][-1]
            assert last["slope"] == pytest.approx(slopes.mean(), abs=1e-9)
            assert last["ci_high"] - last["slope"] == pytest.approx(2.776 * slopes.std(ddof=1) / math.sqrt(5), abs=1e-9)
    rows = {(row["quantity"], row["measure"]): np.array(row["sizes"]) for row in table["quantities"]}
    layers = np.log([rows[f"h.{layer}.mlp", "change"][1:] for layer in (0, 1)])
    np.testing.assert_allclose(rows["mlp", "change"][1:], np.exp(layers.mean(axis=0)), rtol=1e-12)
    at_base = [[np.array(row["sizes"])[:, 0] for row in t["quantities"]] for t in report["parameterizations"]]
    np.testing.assert_array_equal(*at_base)


def test_attention_is_checked_where_heads_widen(program: Program, tiny: Path) -> None:
    words = [*SMALL, "--grow", "head_width", "--parameterization", "mup", "--format", "json"]
    report = json.loads(program("coord-check", tiny, *words, threads=2).out)
    (mup,) = report["parameterizations"]
    first = {row["quantity"]: row["slopes"][0]["slope"] for row in mup["quantities"] if row["measure"] == "size"}
    # Random q and k: a sum of D terms over D.
    assert first["attention_logits"] == pytest.approx(-0.5, abs=0.1)
    assert mup["verdict"] == "pass"


def test_the_exit_code_is_the_verdict_of_what_was_asked(program: Program, tiny: Path) -> None:
    quick = [*SET, "--widths", "32,128", "--seeds", "2", "--parameterization"]
    done = program("coord-check", tiny, *quick, "standard", check=False, threads=2)
    assert done.code == 7
    assert "fail: grows" in done.out
    assert "verdict: fail" in done.out
    for words, why in (
        (["--widths", "32"], "at least two"),
        (["--widths", "32,32"], "at least two"),
        (["--widths", "32,36"], "no multiple of the head size"),
        (["--steps", "0"], "--steps"),
        (["--set", "init.from=x"], "init.from"),
        (["--set", "init.scheme=mup"], "needs model.mup_base_width"),
    ):
        refused = program("coord-check", tiny, *words, check=False)
        assert refused.code == 2, words
        assert why in refused.err
