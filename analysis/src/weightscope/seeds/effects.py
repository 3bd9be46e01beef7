"""What one seed says about a claim at one step: numbers from the layers of one component. The last axis is the
layer."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from weightscope import ranks

# Claims, in order, and the effect that each is judged by.
EFFECTS: Final = ("wider", "tails", "early", "early_inner", "first", "lead", "trail", "slope", "slope_inner")


def kendall(values: np.ndarray) -> np.ndarray:
    """Kendall's τ between layer and value: (rising pairs − falling pairs) / pairs. NaN for fewer than two layers, and
    where all are equal, as before the first update."""
    n = values.shape[-1]
    if n < 2:
        return np.full(values.shape[:-1], np.nan)
    i, j = np.triu_indices(n, 1)
    signs = np.sign(values[..., j] - values[..., i])
    return np.where((signs == 0).all(axis=-1), np.nan, signs.mean(axis=-1))


def theil_sen(values: np.ndarray) -> np.ndarray:
    """Median over all pairs of the slope per layer (Theil 1950, Sen 1968)."""
    n = values.shape[-1]
    if n < 2:
        return np.full(values.shape[:-1], np.nan)
    i, j = np.triu_indices(n, 1)
    slopes = (values[..., j] - values[..., i]) / (j - i)
    return np.where(np.isnan(slopes).any(axis=-1), np.nan, np.median(np.nan_to_num(slopes), axis=-1))


def tau_step(layers: int) -> float:
    """The least standard deviation between seeds that τ can show: it moves in steps of 2/pairs, and rounding to a step
    hides a scatter of step/√12."""
    pairs = layers * (layers - 1) // 2
    return 2 / pairs / np.sqrt(12) if pairs else 0.0


def per_seed(log_growth: np.ndarray, kurtosis_change: np.ndarray) -> dict[str, np.ndarray]:
    """Every effect of EFFECTS for arrays (…, layer): `first` is the contrast of layer 0 with the mean of the rest,
    `lead` its distance to the widest other layer, `trail` that of the narrowest other layer to it."""
    none = np.full(log_growth.shape[:-1], np.nan)
    first, rest = log_growth[..., 0], log_growth[..., 1:]
    several = rest.shape[-1] > 0
    return {
        "wider": log_growth.mean(axis=-1),
        "tails": kurtosis_change.mean(axis=-1),
        "early": kendall(log_growth),
        "early_inner": kendall(rest),
        "first": first - rest.mean(axis=-1) if several else none,
        "lead": first - rest.max(axis=-1) if several else none,
        "trail": rest.min(axis=-1) - first if several else none,
        "slope": theil_sen(log_growth),
        "slope_inner": theil_sen(rest),
    }


@cache
def _order_table(layers: int, seeds: int) -> np.ndarray:
    """Two-sided p of every sum of inversions, in halves, when every order of the layers is equally likely in each
    seed."""
    distribution = ranks.summed_distribution(layers, seeds)
    return np.array([ranks.two_sided(distribution, half / 2) for half in range(2 * len(distribution) - 1)])


def order_p(taus: np.ndarray, layers: int) -> np.ndarray:
    """Exact p, over the first axis (seed), of all inversions together; 1 where there is no seed."""
    pairs = layers * (layers - 1) // 2
    finite = np.isfinite(taus)
    n = finite.sum(axis=0)
    halves = np.rint(np.where(finite, (1 - taus) * pairs, 0.0).sum(axis=0)).astype(int)
    flat = [_order_table(layers, int(k))[h] if k and pairs else 1.0 for k, h in zip(n.flat, halves.flat, strict=True)]
    return np.array(flat).reshape(n.shape)
