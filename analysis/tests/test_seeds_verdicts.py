"""Verdicts over seeds on made-up trajectories with known truth: how often they are wrong, that they are found, and what
becomes of flips, gaps, NaN, single seeds and seeds given twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import synthetic
import weightscope
from weightscope import grouping
from weightscope.compare.result import compare
from weightscope.run import open_run
from weightscope.seeds import decide, made_up
from weightscope.seeds.decide import CLAIMS
from weightscope.seeds.group import Examined, examine, examine_group
from weightscope.seeds.table import time_head, time_rows
from weightscope.seeds.trajectories import PARTS, Trajectories, verdict_index
from weightscope.seeds.words import sampled, sentence, summary

WORLDS = 2000


@cache
def false_rates(seeds: int, layers: int, noise: str) -> dict[str, float]:
    return made_up.false_rates(seeds, layers, WORLDS, noise)


@pytest.mark.parametrize("claim", ["wider", "tails", "early", "first", "tied", "hill"])
@pytest.mark.parametrize("noise", list(made_up.NOISES))
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_a_family_holds_a_false_verdict_in_at_most_one_of_twenty(claim: str, noise: str, seeds: int) -> None:
    # 5 % and 2.5 standard errors of 2000 families: a rate of 7.5 % would pass once in 100,000.
    assert false_rates(seeds, 6, noise)[claim] < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / WORLDS)


@pytest.mark.parametrize(("layers", "seeds"), [(2, 4), (2, 10), (3, 5), (12, 4)])  # with two layers τ is only a sign
def test_the_rate_does_not_depend_on_the_number_of_layers(layers: int, seeds: int) -> None:
    assert max(false_rates(seeds, layers, "normal").values()) < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / WORLDS)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("noise", list(made_up.NOISES))
def test_groups_of_one_truth_are_rarely_found_different(noise: str, paired: bool) -> None:
    rates = made_up.false_differences(5, 6, WORLDS, noise, paired=paired)
    assert max(rates.values()) < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / WORLDS)


@pytest.mark.parametrize("noise", list(made_up.NOISES))
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_parts_of_one_truth_are_rarely_found_different(seeds: int, noise: str) -> None:
    rates = made_up.false_parts(seeds, WORLDS, noise)
    assert max(rates.values()) < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / WORLDS)


def test_a_clear_case_is_found_with_five_seeds_and_often_with_three() -> None:
    assert min(made_up.power(5, 6, 300).values()) > 0.97
    assert made_up.power(3, 6, 300)["wider"] > 0.6


def course(
    growth: Callable[[np.ndarray], np.ndarray], seeds: int = 5, layers: int = 6, steps: int = 41, scatter: float = 0.02
) -> list[Trajectories]:
    """Six components over time; `growth` gives (step, layer) from steps (step, 1) in 0 … 1."""
    rng = np.random.default_rng(7)
    at = np.linspace(0, 1, steps)[:, None]
    out = []
    for part in PARTS:
        offset = scatter * rng.standard_normal((seeds, 1, layers))
        noise = np.concatenate(
            [np.zeros((seeds, 1, layers)), 0.2 * scatter * rng.standard_normal((seeds, steps - 1, layers))], 1
        )
        log_growth = growth(at) + offset * np.sqrt(at) + noise
        change = 0.1 * log_growth
        out.append(Trajectories(part, 10 * np.arange(steps), log_growth, change, change, np.sqrt(np.abs(log_growth))))
    return out


DEPTH = np.linspace(1.0, 0.4, 6)


def test_a_clear_trend_holds_for_every_claim_from_early_on() -> None:
    found = examine(course(lambda t: t * DEPTH))
    assert {d.verdict for d in found.decisions} == {"holds"}
    early = found.of("early", "q")
    assert (early.step, early.n_layers, early.n_seeds) == (400, 6, 5)
    assert early.since is not None
    assert early.since <= 100
    assert early.flips == []
    assert found.of("early_inner", "q").n_layers == 5
    assert found.of("first", "q").more["lead"].mean == pytest.approx(0.12, abs=0.03)
    assert found.of("early", "q").more["slope"].mean == pytest.approx(-0.12, abs=0.02)


def test_the_opposite_is_reversed() -> None:
    found = examine(course(lambda t: -t * DEPTH))
    assert {d.verdict for d in found.decisions} == {"reversed"}


def test_a_trend_that_turns_is_flipped_at_its_step() -> None:
    found = examine(course(lambda t: (t - 2 * t**2) * DEPTH + t))  # the order of the layers turns at t = 0.5, step 200
    early = found.of("early", "k")
    assert early.verdict == "reversed"
    sure = [flip for flip in early.flips if flip.decided]
    assert [flip.to for flip in sure] == [1]
    assert 190 <= sure[0].step <= 230
    assert early.since is not None
    assert early.since >= 200
    assert "beyond chance" in sentence(early)
    columns, row = time_head(found)[2:], next(r for r in time_rows(found) if r[:2] == [CLAIMS["early"], "K"])
    said = dict(zip(columns, row[2:], strict=True))
    assert (said["step 400"], columns[0]) == ("reversed", "step 10")
    assert "holds" in [said[column] for column in columns if int(column.removeprefix("step ")) < 200]
    assert len(columns) <= 10
    assert found.of("wider", "k").flips == []


def test_signs_that_wander_about_zero_are_named_and_not_decided() -> None:
    found = examine(course(lambda t: t + 0 * DEPTH))
    flips = [flip for d in found.decisions if d.claim == "early" for flip in d.flips]
    assert flips
    assert not any(flip.decided for flip in flips)


def test_order_among_the_other_layers_is_told_from_the_first_layer() -> None:
    level = np.array([1.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    found = examine(course(lambda t: t * level))
    assert {found.of("first", part).verdict for part in PARTS} == {"holds"}
    assert {found.of("early_inner", part).verdict for part in PARTS} == {"undecided"}


def test_layers_that_disagree_leave_width_undecided() -> None:
    found = examine(course(lambda t: t * np.array([1, 1, 1, 1, 1, -0.5])))
    assert {found.of("wider", part).verdict for part in PARTS} == {"undecided"}
    assert "Single layers go the other way" in sentence(found.of("wider", "q"))


def test_parts_are_set_beside_each_other() -> None:
    courses = course(lambda t: t * DEPTH)
    courses[0] = replace(courses[0], log_growth=1.5 * courses[0].log_growth)
    found = examine(courses)
    q_v, k_v, q_k = (c for c in found.parts if c.claim == "wider")
    assert (q_v.a, q_v.b, q_v.n_seeds) == ("q", "v", 5)
    assert [c.verdict for c in (q_v, k_v, q_k)] == ["more", "undecided", "more"]
    assert q_v.mean == pytest.approx(0.5 * DEPTH.mean(), abs=0.03)
    assert q_v.low < 0.5 * DEPTH.mean() < q_v.high
    last = summary(found)[-2]
    assert "Q / V × 1.4" in last
    assert "K / V × 1.0" in last
    assert examine(course(lambda t: t * DEPTH, seeds=2)).parts[0].verdict == "undecided"


def test_half_of_an_effect_is_reached_where_it_stays_beyond_half() -> None:
    found = examine(course(lambda t: t**2 * DEPTH, scatter=0.001)).of("wider", "q")
    assert found.half == pytest.approx(400 / np.sqrt(2), abs=11)
    assert f"half of it by step {found.half:,}" in sentence(found)
    waves = examine(course(lambda t: np.where(np.abs(t - 0.5) < 0.02, 0.1, np.sqrt(t)) * DEPTH, scatter=0.001))
    assert waves.of("wider", "q").half == 210  # it was beyond half before, and came back


def test_what_adamw_does_by_itself_stands_beside_the_widening() -> None:
    courses = course(lambda t: t * DEPTH)
    alone = [replace(c, adamw=np.broadcast_to(0.25, c.log_growth.shape)) for c in courses]
    found = examine(alone).of("wider", "v")
    assert found.more["AdamW alone"].mean == pytest.approx(0.25)
    assert found.more["beyond AdamW"].mean == pytest.approx(found.effect.mean - 0.25)
    assert "AdamW with random gradients would have widened them 1.28 times" in sentence(found)
    assert "AdamW" not in sentence(examine(courses).of("wider", "v"))


def test_one_seed_decides_nothing_and_two_decide_nothing() -> None:
    for seeds, word in ((1, "undecided from one run"), (2, "undecided")):
        found = examine(course(lambda t: t * DEPTH, seeds=seeds))
        assert {d.verdict for d in found.decisions} == {word}
        assert all(np.isnan(d.p) and not d.flips for d in found.decisions)
        assert "Fewer than three seeds decide nothing" in sentence(found.decisions[0])


def holes(courses: list[Trajectories], seed: int, steps: slice, layers: slice = slice(None)) -> list[Trajectories]:
    out = []
    for c in courses:
        growth, change = c.log_growth.copy(), c.kurtosis_change.copy()
        growth[seed, steps, layers] = change[seed, steps, layers] = np.nan
        out.append(replace(c, log_growth=growth, kurtosis_change=change))
    return out


def test_a_run_that_stopped_early_does_not_hold_the_others_back() -> None:
    found = examine(holes(course(lambda t: t * DEPTH), 2, slice(3, None)))
    early = found.of("early", "q")
    assert (early.step, early.n_seeds, early.verdict) == (400, 4, "holds")
    assert early.course.n[:4].tolist() == [0, 5, 5, 4]  # τ of the start is that of equal layers: none
    assert "Not there at that step, or not finite: 3." in sampled(found)


def test_one_run_that_is_ahead_does_not_lead() -> None:
    courses = course(lambda t: t * DEPTH)
    for seed in (0, 1, 3, 4):
        courses = holes(courses, seed, slice(21, None))
    assert examine(courses).of("early", "q").step == 200


def test_a_layer_that_is_not_finite_takes_its_seed_out() -> None:
    found = examine(holes(course(lambda t: t * DEPTH), 0, slice(30, None), slice(2, 3)))
    for claim in decide.CLAIMS:
        assert found.of(claim, "v").n_seeds == 4
    everywhere = course(lambda t: t * DEPTH)
    for seed in range(3):
        everywhere = holes(everywhere, seed, slice(1, None), slice(2, 3))
    assert {d.verdict for d in examine(everywhere).decisions} == {"undecided"}


def test_the_step_that_is_judged() -> None:
    recorded = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], dtype=bool)
    assert verdict_index(recorded) == 2
    assert verdict_index(recorded[:1]) == 3
    assert verdict_index(recorded[:2]) == 2


def test_files_become_groups_with_their_names(files: list[Path]) -> None:
    runs = [open_run(path, histograms=False) for path in files]
    groups = grouping.by_configuration(runs)
    assert [group.label for group in groups] == ["gpt2", "xavier"]
    assert [group.seeds for group in groups] == [["1", "2", "3", "4"]] * 2


def test_snapshots_that_differ_are_aligned_by_step(files: list[Path]) -> None:
    runs = [open_run(path, histograms=False) for path in files[:4]]
    found: Examined = examine_group(grouping.by_configuration(runs)[0])
    assert found.steps.tolist() == [0, 25, 50, 100]
    assert found.recorded.sum(axis=0).tolist() == [4, 3, 3, 3]
    assert found.step == 100
    assert found.of("wider", "q").n_seeds == 3
    std = runs[0].snapshots["std"].sel(component="q").values
    assert found.values["q"]["wider"][0, 3] == pytest.approx(np.log(std[3] / std[0]).mean())
    assert np.isnan(found.values["q"]["wider"][2, 1])
    assert "Not there at that step, or not finite: gpt2-seed-4." in sampled(found)


def test_a_run_without_the_start_is_left_out(files: list[Path], tmp_path: Path) -> None:
    late = synthetic.Truth(layers=3, heads=2, width=16, walk=(2.0, 1.4, 1.0), steps=(5, 100), seed=9)
    config = synthetic.config_text(late).replace("article", "gpt2")
    path = synthetic.experiment(tmp_path / "late.h5", replace(late, attrs={"config": config, "name": "gpt2-seed-9"}))
    (group,) = grouping.by_configuration([weightscope.open(p) for p in (*files[:2], path)])
    assert group.seeds == ["1", "2"]
    assert "first snapshot is of step 5" in group.left_out[0][1]


def test_schemes_are_compared_by_seed(files: list[Path]) -> None:
    c = compare([open_run(path, histograms=False) for path in files])
    assert {(x.a, x.b) for x in c.contrasts} == {("gpt2", "xavier")}
    assert {tuple(x.differing) for x in c.contrasts} == {("init.scheme",)}
    wider = next(x for x in c.contrasts if (x.claim, x.component) == ("wider", "q"))
    assert wider.paired
    assert (wider.n_seeds, wider.step, wider.verdict) == (3, 100, "more")
    truth = np.mean([np.log(1 + w**2) - np.log(2) for w in (2.0, 1.4, 1.0)]) / 2
    assert wider.effect.low < truth < wider.effect.high


def test_the_fused_matrix_has_no_verdict_of_its_own() -> None:
    courses = course(lambda t: t * DEPTH)
    flat = course(lambda t: 0 * t * DEPTH)
    parts = [flat[0], *courses[1:]]  # Q does not widen
    fused = replace(courses[0], component="c_attn", mixture=np.full_like(courses[0].kurtosis, 0.01))
    found = examine([*parts, fused])
    assert found.of("wider", "k").verdict == "holds"
    assert found.of("wider", "c_attn").verdict == "undecided"
    assert found.of("wider", "c_attn").p < 1e-4
    assert found.of("tails", "c_attn").more["mixture"].mean == pytest.approx(0.01)
    assert examine([*courses, fused]).of("wider", "c_attn").verdict == "holds"
