"""Sampling errors against the scatter of repeated draws; the kurtosis of a mixture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from weightscope import bins, moments

N, REPEATS = 4000, 600


def draws(kind: str) -> np.ndarray:
    rng = np.random.default_rng(11)
    if kind == "normal":
        return rng.standard_normal((REPEATS, N)).astype(np.float32)
    if kind == "uniform":
        return rng.uniform(-1, 1, (REPEATS, N)).astype(np.float32)
    return (rng.standard_normal((REPEATS, N)) * np.where(rng.random((REPEATS, N)) < 0.3, 2, 1)).astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "uniform", "mixture"])
def test_the_std_error_is_the_scatter_of_the_std(kind: str) -> None:
    values = draws(kind)
    std, kurtosis = values.std(axis=1), stats.kurtosis(values, axis=1)
    expected = moments.std_error(std, kurtosis, np.full(REPEATS, N)).mean()
    assert std.std() == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("kind", ["normal", "mixture"])
def test_the_kurtosis_error_is_the_scatter_of_the_kurtosis(kind: str) -> None:
    values = draws(kind)
    errors = moments.kurtosis_error(np.array([bins.count(v) for v in values]), np.full(REPEATS, N))
    assert stats.kurtosis(values, axis=1).std() == pytest.approx(errors.mean(), rel=0.15)


def test_the_kurtosis_error_is_never_below_the_normals() -> None:
    values = draws("uniform")[:5]
    errors = moments.kurtosis_error(np.array([bins.count(v) for v in values]), np.full(5, N))
    np.testing.assert_allclose(errors, np.sqrt(24 / N))


def test_normal_parts_of_different_width_have_the_mixture_kurtosis() -> None:
    rng = np.random.default_rng(12)
    widths, means = np.array([1.0, 2.0, 0.5]), np.array([0.0, 0.3, -0.1])
    parts = means[:, None] + widths[:, None] * rng.standard_normal((3, 400_000))
    found = float(moments.mixture_kurtosis(widths, means))
    assert found == pytest.approx(float(stats.kurtosis(parts.ravel())), abs=0.05)
    assert found > 1


def test_equal_parts_have_no_mixture_kurtosis() -> None:
    assert moments.mixture_kurtosis(np.full(3, 0.02), np.zeros(3)) == pytest.approx(0)
