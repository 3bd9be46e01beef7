"""Rank correlations against published and brute-force values."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats
from weightscope import ranks


def test_six_layers_in_order_have_p_of_two_in_720() -> None:
    found = ranks.depth_correlation(np.array([6.0, 5, 4, 3, 2, 1]))
    assert found.tau == found.rho == pytest.approx(-1)
    assert found.tau_p == found.rho_p == pytest.approx(2 / 720)


def test_rho_of_0_83_with_six_layers_has_p_of_0_06() -> None:
    found = ranks.depth_correlation(np.array([2.0, 1, 4, 3, 6, 5]))  # Σd² = 6, ρ = 1 − 36/210
    assert found.rho == pytest.approx(0.829, abs=1e-3)
    assert found.rho_p == pytest.approx(0.058, abs=1e-3)
    assert found.exact


@pytest.mark.parametrize("n", [3, 5, 12])
def test_tau_agrees_with_scipys_exact_test(n: int) -> None:
    values = np.random.default_rng(n).standard_normal(n)
    tau, p = stats.kendalltau(np.arange(n), values, method="exact")
    found = ranks.depth_correlation(values)
    assert found.tau == pytest.approx(tau)
    assert found.tau_p == pytest.approx(p)


def test_the_p_of_several_runs_agrees_with_enumeration() -> None:
    growths = [np.array([4.0, 3, 1, 2]), np.array([3.0, 4, 2, 1])]
    observed = sum(ranks.inversions(g) for g in growths)
    orders = [ranks.inversions(np.array(order)) for order in permutations(range(4))]
    totals = np.array([a + b for a, b in product(orders, orders)])
    expected = (np.abs(totals - 6) >= abs(observed - 6)).mean()
    assert ranks.two_sided(ranks.summed_distribution(4, 2), observed) == pytest.approx(expected)


def test_one_layer_correlates_with_nothing() -> None:
    assert ranks.depth_correlation(np.array([1.0])).tau_p == 1
