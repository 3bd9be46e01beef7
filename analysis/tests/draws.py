"""Courses of weights drawn directly, without files: fast enough for hundreds of repetitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats
from weightscope import bins
from weightscope.course import Course

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A scale mixture with excess kurtosis of about 2.5 and finite moments of every order."""
    return rng.standard_normal(shape) * np.where(rng.random(shape) < 0.2, 2.5, 1.0) / np.sqrt(0.8 + 0.2 * 2.5**2)


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-np.sqrt(3), np.sqrt(3), shape)


def course(start: np.ndarray, end: np.ndarray) -> Course:
    """Two snapshots of weights (layer, weight)."""
    values = np.stack([start, end]).astype(np.float32)
    return Course(
        component="q",
        steps=np.array([0, 100]),
        std=values.std(axis=2, dtype=float),
        mean=values.mean(axis=2, dtype=float),
        kurtosis=stats.kurtosis(values.astype(float), axis=2),
        n=np.full(values.shape[:2], values.shape[2], dtype=float),
        largest=np.abs(values).max(axis=2),
        overflow=np.zeros(values.shape[:2], dtype=np.uint64),
        histogram=np.array([[bins.count(layer) for layer in snapshot] for snapshot in values]),
        displacement=None,
    )


def change(rng: np.random.Generator, before: Draw, after: Draw, factors: list[float], n: int = 4000) -> Course:
    """Layers that start at 0.02 and end `factors` times as wide, all weights drawn anew."""
    shape = (len(factors), n)
    return course(0.02 * before(rng, shape), 0.02 * np.array(factors)[:, None] * after(rng, shape))
