"""How the effect of each claim is drawn, by figures and pages alike."""

from __future__ import annotations

from typing import Final

import numpy as np

MEANINGS: Final = {
    "wider": "std(t) / std(start)",
    "tails": "change of excess kurtosis",
    "early": "Kendall's τ of layer and growth",
    "early_inner": "Kendall's τ without layer 0",
    "first": "growth of layer 0 / mean of the others",
}
RATIOS: Final = ("wider", "first")  # their effects are logarithms


def null_of(claim: str) -> float:
    """What the effect is when there is none, as drawn."""
    return 1.0 if claim in RATIOS else 0.0


def as_drawn(claim: str, values: np.ndarray) -> np.ndarray:
    return np.exp(values) if claim in RATIOS else values
