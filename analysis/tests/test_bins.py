"""The histogram's bins and their joining."""

from __future__ import annotations

import numpy as np
import pytest
from weightscope import bins


def test_edges_are_eight_to_an_octave_and_symmetric() -> None:
    edge = bins.edges()
    assert len(edge) == bins.BINS + 1 == 450
    np.testing.assert_array_equal(edge, -edge[::-1])
    assert np.all(np.diff(edge) > 0)
    assert edge[225] == 2.0**-24
    assert edge[-1] == 16.0
    assert edge[225 + 8] / edge[225] == 2.0


def test_counting_by_bits_agrees_with_counting_by_edges() -> None:
    rng = np.random.default_rng(1)
    values = (rng.standard_normal(20000) * 10.0 ** rng.uniform(-9, 1.3, 20000)).astype(np.float32)
    values = np.append(values, np.array([0, -0.0, 2**-24, -(2**-24), 15.999999, 0.5], dtype=np.float32))
    magnitude = np.abs(values.astype(np.float64))
    # Bins are half open towards larger magnitudes, so fold before counting by edges.
    side = np.searchsorted(bins.edges()[225:], magnitude, side="right")
    expected = np.bincount(np.where(values < 0, 224 - side, 224 + side)[magnitude < 16], minlength=449)
    np.testing.assert_array_equal(bins.count(values), expected)


def test_density_integrates_to_one() -> None:
    counts = bins.count(np.random.default_rng(2).standard_normal(50000).astype(np.float32))
    parts = bins.density(counts, bins.edges(), 50000.0) * np.diff(bins.edges())
    assert parts.sum() == pytest.approx(1)


def test_density_of_a_normal_is_the_normal_density() -> None:
    counts = bins.count((0.02 * np.random.default_rng(3).standard_normal(2_000_000)).astype(np.float32))
    groups = bins.coarse_groups(0.002)
    edge = np.append(bins.edges()[groups], 16.0)
    centre = (edge[1:] + edge[:-1]) / 2
    found = bins.density(bins.joined(counts, groups), edge, 2e6)
    inside = np.abs(centre) < 0.04
    expected = np.exp(-((centre / 0.02) ** 2) / 2) / (0.02 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0.03)


@pytest.mark.parametrize("width", [1e-9, 1e-3, 0.3, 100.0])
def test_joined_bins_are_symmetric_wide_enough_and_lose_nothing(width: float) -> None:
    groups = bins.coarse_groups(width)
    edge = np.append(bins.edges()[groups], 16.0)
    np.testing.assert_array_equal(edge, -edge[::-1])
    assert np.all(np.diff(edge)[1:-1] >= width)
    counts = np.arange(449)
    assert bins.joined(counts, groups).sum() == counts.sum()
