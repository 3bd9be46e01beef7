"""Intervals over seeds: what they cover, what they do with missing values, and Holm's correction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from weightscope.seeds import calibrate, effects, intervals


@pytest.mark.parametrize("shape", list(calibrate.SHAPES))
@pytest.mark.parametrize("n", calibrate.SEEDS)
def test_the_interval_of_verdicts_covers_what_it_promises(shape: str, n: int) -> None:
    covered = calibrate.coverage(shape, n, 3000)["t"]
    # 95 % ± 4 standard errors of 3000 repetitions; skewed effects are known to lose about 3 %.
    assert covered > (0.90 if "skewed" in shape else 0.934)
    assert covered < 0.985


@pytest.mark.parametrize("n", [5, 10])
def test_the_bootstrap_that_is_shown_covers_too_and_the_others_do_not(n: int) -> None:
    covered = calibrate.coverage("normal", n, 1000, ("studentized", "BCa", "percentile"))
    assert covered["studentized"] > 0.92
    assert covered["BCa"] < 0.92
    assert covered["percentile"] < 0.92


def test_the_t_interval_is_scipys() -> None:
    values = np.random.default_rng(1).standard_normal((5, 3)) + 1
    found = intervals.means(values)
    expected: Any = stats.ttest_1samp(values, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.low == pytest.approx(expected.confidence_interval(0.95).low)


def test_the_difference_is_welchs() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal(5), 3 * rng.standard_normal(7) + 1
    found = intervals.difference(a, b)
    expected: Any = stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.high == pytest.approx(expected.confidence_interval(0.95).high)


def test_missing_seeds_are_left_out_of_what_they_lack() -> None:
    values = np.array([[1.0, 1.0], [2.0, np.nan], [3.0, 3.0], [np.nan, np.nan]])
    found = intervals.means(values)
    assert found.n.tolist() == [3, 2]
    assert found.mean.tolist() == [2, 2]
    expected: Any = stats.ttest_1samp([1, 2, 3], 0)
    assert found.p[0] == pytest.approx(expected.pvalue)


def test_one_seed_and_equal_seeds_say_nothing() -> None:
    for values in ([[0.5]], [[0.5], [0.5], [0.5]], [[np.nan], [np.nan]]):
        found = intervals.means(np.array(values))
        assert found.p[0] == 1
        assert not np.isfinite([found.low[0], found.high[0]]).any()


@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3, 1e-7, 123.4])
def test_rounding_of_the_mean_is_no_spread(value: float) -> None:
    """Three times 0.1 have a mean that is not 0.1."""
    for n in range(2, 12):
        found = intervals.means(np.full((n, 1), value))
        assert found.p[0] == 1, n
        assert not np.isfinite(found.low[0])
        assert intervals.difference(np.full((n, 1), value), np.full((n, 1), 3 * value)).p[0] == 1, n


def test_equal_taus_have_the_width_of_a_step() -> None:
    found = intervals.means(np.full((5, 1), -1.0), effects.tau_step(6))
    assert found.high[0] - found.mean[0] == pytest.approx(stats.t.ppf(0.975, 4) * (2 / 15 / np.sqrt(12)) / np.sqrt(5))


def test_holm_agrees_with_the_textbook_and_does_not_count_what_was_not_tested() -> None:
    assert intervals.holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    adjusted = intervals.holm(np.array([[0.01, np.nan, 0.04], [np.nan, np.nan, np.nan]]))
    assert adjusted[0, [0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(adjusted[0, 1])
    assert np.isnan(adjusted[1]).all()


def test_tau_and_slope_are_scipys() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((20, 7))
    values[0, 1] = values[0, 2]  # a tie
    for row, tau, slope in zip(values, effects.kendall(values), effects.theil_sen(values), strict=True):
        assert slope == pytest.approx(stats.theilslopes(row, np.arange(7))[0])
        if len(set(row)) == 7:  # scipy corrects for ties
            assert tau == pytest.approx(stats.kendalltau(np.arange(7), row)[0])
    assert np.isnan(effects.kendall(np.array([1.0, np.nan, 2.0])))
    assert np.isnan(effects.theil_sen(np.array([1.0, np.nan, 2.0])))


def test_order_p_is_exact_over_all_orders() -> None:
    # Two seeds of three layers, both in order: 2 of 36 pairs of orders are as extreme.
    assert effects.order_p(np.array([[-1.0], [-1.0]]), 3)[0] == pytest.approx(2 / 36)
    assert effects.order_p(np.array([[np.nan]]), 3)[0] == 1
