"""Quantiles from histograms lie within their stated brackets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from weightscope import bins, quantiles


@pytest.mark.parametrize("q", [0.0, 0.001, 0.25, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("shape", ["normal", "heavy", "uniform", "shifted"])
def test_the_true_quantile_lies_in_the_bracket(q: float, shape: str) -> None:
    rng = np.random.default_rng(7)
    draw = {
        "normal": 0.02 * rng.standard_normal(9999),
        "heavy": 0.02 * rng.standard_t(3, 9999),
        "uniform": rng.uniform(-0.1, 0.1, 9999),
        "shifted": 1.0 + 0.01 * rng.standard_normal(9999),
    }[shape].astype(np.float32)
    found = quantiles.quantile(bins.count(draw), q)
    true = float(np.quantile(draw, q, method="inverted_cdf"))
    assert found.low <= true <= found.high
    assert found.low <= found.value <= found.high
    assert abs(found.value - true) <= 0.125 * abs(true) + 2.0**-24


def test_the_tail_ratio_of_a_normal_is_3_29() -> None:
    draw = (0.02 * np.random.default_rng(8).standard_normal(1_000_000)).astype(np.float32)
    found = quantiles.tail_ratio(bins.count(draw), np.array(draw.std()))
    assert found.value == pytest.approx(quantiles.NORMAL_TAIL, rel=0.005)
    assert found.low <= quantiles.NORMAL_TAIL <= found.high


@pytest.mark.parametrize("std", [0.011, 0.02, 0.0234, 0.03, 0.077])
def test_the_tail_ratio_does_not_depend_on_where_the_bins_lie(std: float) -> None:
    counts = np.diff(ndtr(bins.edges() / std)) * 1e9
    assert quantiles.tail_ratio(counts, np.array(std)).value == pytest.approx(quantiles.NORMAL_TAIL, rel=0.003)


def test_overflowing_weights_count_in_the_tail() -> None:
    draw = np.full(1000, 0.5, dtype=np.float32)
    found = quantiles.absolute_quantile(bins.count(draw), 0.999, overflow=np.array(10), largest=np.array(40.0))
    assert found.low == 16
    assert found.high == 40


def test_quantiles_work_along_leading_axes() -> None:
    draws = np.random.default_rng(9).standard_normal((3, 2, 500)).astype(np.float32)
    counts = np.array([[bins.count(draw) for draw in row] for row in draws])
    assert quantiles.quantile(counts, 0.5).value.shape == (3, 2)


def test_nothing_counted_has_no_quantile() -> None:
    assert np.isnan(quantiles.quantile(np.zeros(449, dtype=np.uint64), 0.5).value)
