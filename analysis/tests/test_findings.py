"""The four claims on one run of synthetic weights of known truth: every verdict is reached, and rarely wrongly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import draws
import numpy as np
import pytest
import synthetic
import weightscope
from weightscope import claims_depth, claims_shape
from weightscope.finding import Finding, Verdict
from weightscope.findings_text import findings_sentences

REPEATS = 300


def found(findings: list[Finding], claim: str, component: str) -> Finding:
    return next(f for f in findings if (f.claim, f.component) == (claim, component))


@pytest.fixture(scope="module")
def findings(experiment: Path) -> list[Finding]:
    return weightscope.examine(weightscope.open(experiment))


@pytest.mark.parametrize("component", ["q", "k", "v", "c_attn"])
def test_weights_that_widen_are_found_wider(findings: list[Finding], component: str) -> None:
    finding = found(findings, "wider", component)
    assert finding.verdict == "holds"
    assert finding.summary == "holds at step 600"
    # The walk is known: std grows by sqrt(1 + walk²), by layer and part.
    factor = {"q": 1.0, "k": 1.2, "v": 0.6, "c_attn": None}[component]
    if factor is not None:
        truth = np.exp(np.mean([0.5 * np.log(1 + (factor * walk) ** 2) for walk in synthetic.Truth().walk]))
        assert finding.effect == pytest.approx(truth - 1, abs=5 * finding.error)


def test_a_heavier_walk_is_found_in_the_tails(findings: list[Finding]) -> None:
    for component in ("q", "k", "v", "c_attn"):
        assert found(findings, "tails", component).verdict == "holds"


def test_the_verdicts_come_parts_first_and_claim_by_claim(findings: list[Finding]) -> None:
    assert [f.component for f in findings[:4]] == ["q", "k", "v", "c_attn"]
    assert [f.claim for f in findings[::4]] == ["wider", "tails", "early", "first"]


@pytest.mark.parametrize("claim", ["early", "first"])
def test_one_run_never_decides_about_depth(findings: list[Finding], claim: str) -> None:
    for component in ("q", "k", "v", "c_attn"):
        assert found(findings, claim, component).verdict == "undecided from one run"
    assert found(findings, "early", "q").effect == pytest.approx(-1)
    assert "p = 0.0028" in found(findings, "early", "q").text


def test_weights_that_shrink_reverse_the_first_claim() -> None:
    c = draws.change(np.random.default_rng(1), draws.normal, draws.normal, [0.7] * 6)
    assert claims_shape.wider(c).verdict == "reversed"


def test_tails_that_shorten_reverse_the_second_claim() -> None:
    c = draws.change(np.random.default_rng(2), draws.heavy, draws.uniform, [1.0] * 6)
    assert claims_shape.tails(c).verdict == "reversed"


@pytest.mark.parametrize(
    ("verdicts", "since"),
    [
        (["undecided", "undecided", "holds"], 30),
        (["undecided", "holds", "holds"], 20),
        (["holds", "holds", "holds"], 10),
        (["holds", "reversed", "holds"], 30),
        (["reversed"], 10),
        (["holds", "undecided"], None),
    ],
)
def test_a_verdict_is_seen_from_the_snapshot_on_that_first_had_it(
    monkeypatch: pytest.MonkeyPatch, verdicts: list[str], since: int | None
) -> None:
    """Every snapshot but the first has one."""
    given = iter(verdicts)
    monkeypatch.setattr(claims_shape, "verdict_of", lambda effect, error: next(given))
    c = draws.change(np.random.default_rng(5), draws.normal, draws.normal, [1.0] * 2)
    several = {
        name: np.repeat(value[-1:], len(verdicts) + 1, axis=0)
        for name, value in vars(c).items()
        if isinstance(value, np.ndarray) and len(value) == len(c.steps)
    }
    course = replace(c, **several | {"steps": np.arange(len(verdicts) + 1) * 10})
    finding = claims_shape.wider(course)
    assert finding.since == since
    assert (f"seen from step {since} on." in finding.text) == (since is not None)


def test_depth_of_weights_that_are_not_finite_is_not_called_a_matter_of_layers() -> None:
    c = draws.change(np.random.default_rng(6), draws.normal, draws.normal, [1.0, 2.0])
    diverged = replace(c, std=np.where(np.arange(2)[:, None] > 0, np.nan, c.std))
    assert "not finite" in claims_depth.first_in_one(diverged).text
    alone = draws.change(np.random.default_rng(6), draws.normal, draws.normal, [1.0])
    assert "one layer, nothing to compare" in claims_depth.first_in_one(alone).text


def test_weights_that_do_not_change_are_undecided() -> None:
    c = draws.change(np.random.default_rng(3), draws.normal, draws.normal, [1.0] * 6)
    assert claims_shape.wider(c).verdict == "undecided"
    assert claims_shape.tails(c).verdict == "undecided"
    assert "none of 6 layers" in claims_shape.wider(c).text


def test_layers_that_disagree_are_undecided_and_said_so() -> None:
    finding = claims_shape.wider(draws.change(np.random.default_rng(4), draws.normal, draws.normal, [2.0] * 5 + [0.5]))
    assert finding.verdict == "undecided"
    assert "of 6 layers 5 widen and 1 narrow" in finding.text


def test_widening_alone_does_not_lengthen_tails() -> None:
    c = draws.change(np.random.default_rng(5), draws.normal, draws.normal, [3.0] * 6)
    assert claims_shape.tails(c).verdict == "undecided"


def test_the_fused_kurtosis_of_normal_parts_is_explained_as_a_mixture(tmp_path: Path) -> None:
    truth = synthetic.Truth(heavy=0.0, part_walk=(0.3, 3.0, 0.3), steps=(0, 100))
    findings = weightscope.examine(weightscope.open(synthetic.experiment(tmp_path / "e.h5", truth)))
    assert found(findings, "tails", "k").verdict == "undecided"
    fused = found(findings, "tails", "c_attn")
    # Its kurtosis is far beyond sampling error, and yet no statement about weights: no part shares it.
    assert fused.verdict == "undecided"
    assert "Q, K and V do not share this verdict" in fused.text
    words = fused.text.split("Of the fused matrix's ")[1].split()
    whole, mixture = float(words[0].rstrip(",")), float(words[1])
    assert whole == pytest.approx(mixture, rel=0.1)


@pytest.mark.parametrize("shape", [draws.normal, draws.heavy, draws.uniform])
def test_unchanged_weights_are_rarely_given_a_verdict(shape: draws.Draw) -> None:
    rng = np.random.default_rng(6)
    courses = [draws.change(rng, shape, shape, [1.0] * 6, 2000) for _ in range(REPEATS)]
    # 0.1 % nominal: more than three of 300 has a chance of 1 in 4000.
    assert sum(claims_shape.wider(c).verdict != "undecided" for c in courses) <= 3
    assert sum(claims_shape.tails(c).verdict != "undecided" for c in courses) <= 3


def test_one_snapshot_is_undecided(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=1, walk=(1.0,), width=16, heads=1, steps=(5,))
    path = synthetic.experiment(tmp_path / "e.h5", truth)
    assert {f.verdict for f in weightscope.examine(weightscope.open(path))} == {"undecided"}


def test_a_matrix_that_is_not_finite_is_undecided() -> None:
    c = draws.change(np.random.default_rng(10), draws.normal, draws.normal, [2.0] * 3)
    c.std[1, 1] = np.nan
    assert claims_shape.wider(c).verdict == "undecided"


def test_they_are_all_that_were_named_before() -> None:
    """With one layer nothing is said about depth, and three findings are not one of four."""

    def finding(claim: str, component: str, verdict: Verdict) -> Finding:
        return Finding(claim, verdict, component, 600, 0.5, 0.01, "", None)

    wider = [finding("wider", component, "holds") for component in "qkv"]
    tails = [finding("tails", component, "holds" if component == "q" else "undecided") for component in "qkv"]
    depth = [Finding("early", "undecided", c, 600, float("nan"), float("nan"), "", None) for c in "qkv"]
    said = findings_sentences([*wider, *tails, *depth])
    assert said[0].startswith("Query, key and value weights grew wider")
    assert said[1:3] == [
        "Query weights show longer tails than at the start.",
        "Key and value weights show no decided change of their tails.",
    ]
    same = findings_sentences([*wider, *(finding("tails", component, "holds") for component in "qkv")])
    assert same[1] == "They show longer tails than at the start."
