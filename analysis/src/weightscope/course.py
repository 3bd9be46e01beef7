"""The course of one component through a run: arrays over (snapshot, layer)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weightscope import moments, quantiles, schema
from weightscope.run import Run

PARTS = ("q", "k", "v")


@dataclass(frozen=True)
class Course:
    """All arrays (snapshot, layer) but `steps` (snapshot) and `histogram` (snapshot, layer, bin). `n` counts
    the finite values."""

    component: str
    steps: np.ndarray
    std: np.ndarray
    mean: np.ndarray
    kurtosis: np.ndarray
    n: np.ndarray
    largest: np.ndarray
    overflow: np.ndarray
    histogram: np.ndarray
    displacement: np.ndarray | None

    @property
    def layers(self) -> int:
        return self.std.shape[1]

    def growth(self, index: int = -1) -> np.ndarray:
        """std(t)/std(0) of each layer."""
        return self.std[index] / self.std[0]

    def log_growth_error(self, index: int = -1) -> np.ndarray:
        """Standard error of ln(std(t)/std(0)) of each layer, both ends as independent samples: an upper bound,
        since what the two share cancels."""
        start = moments.log_std_error(self.kurtosis[0], self.n[0])
        end = moments.log_std_error(self.kurtosis[index], self.n[index])
        return np.hypot(start, end)

    def kurtosis_error(self, index: int) -> np.ndarray:
        return moments.kurtosis_error(self.histogram[index], self.n[index])

    def tail_ratio(self, index: int | slice = -1) -> quantiles.Quantile:
        return quantiles.tail_ratio(self.histogram[index], self.std[index], self.overflow[index], self.largest[index])


def course(run: Run, component: str) -> Course:
    data = run.snapshots.sel(component=component)
    count = data["count"].values.astype(float)
    return Course(
        component=component,
        steps=data[schema.SNAPSHOT].values.astype(int),
        std=data["std"].values,
        mean=data["mean"].values,
        kurtosis=data["kurtosis"].values,
        n=np.maximum(count - data["nonfinite"].values, 1.0),
        largest=np.fmax(np.abs(data["min"].values), np.abs(data["max"].values)),
        overflow=data["overflow"].values,
        histogram=data["histogram"].values,
        displacement=data["displacement"].values if "displacement" in data else None,
    )


def mixture_part(run: Run) -> np.ndarray:
    """Excess kurtosis (snapshot, layer) that the fused matrix has only because Q, K and V differ in width and
    mean."""
    parts = run.snapshots[["std", "mean"]].sel(component=list(PARTS))
    return moments.mixture_kurtosis(parts["std"].values, parts["mean"].values)
