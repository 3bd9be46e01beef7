"""Where AdamW takes weights by itself: the walk of random gradients, and the equilibrium that weight decay ends it in.

Derivation: docs/statistics.md, section 2 (after Kosson, Messmer & Jaggi 2023, arXiv 2305.17212).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from weightscope import schema
from weightscope.config import lookup
from weightscope.run import Run


def equilibrium_rms(lr: np.ndarray | float, decay: float) -> np.ndarray:
    """sqrt(lr / (2·decay)): root mean square of the weights at which growth by updates and shrinking by decay balance.
    Unit: weight. Infinite without decay."""
    with np.errstate(divide="ignore"):
        return np.sqrt(np.asarray(lr, dtype=float) / np.float64(2 * decay))


def update_rms(lr: np.ndarray | float, beta1: float) -> np.ndarray:
    """lr·sqrt((1 − β₁)/(1 + β₁)): root mean square of one update when gradients are independent. Unit: weight."""
    return np.asarray(lr, dtype=float) * np.sqrt((1 - beta1) / (1 + beta1))


def rotation(lr: np.ndarray | float, decay: float, beta1: float) -> np.ndarray:
    """Angle between the weights before and after one update in equilibrium, update_rms / equilibrium_rms =
    sqrt(2·lr·decay·(1 − β₁)/(1 + β₁)). Unit: radian; |Δw|/|w| for small angles."""
    return np.sqrt(2 * np.asarray(lr) * decay * (1 - beta1) / (1 + beta1))


def random_walk(lr: np.ndarray, decay: float, beta1: float, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """lr: of each update (n). (kept, added), each (n + 1): after i of them E[w²] = kept[i]·E[w²] at the start +
    added[i], when gradients are independent of each other and of the weights. `first`: index of the first
    update, for the bias correction of the momentum, which is taken to be zero there. Second moments are carried
    exactly; that Adam's denominator is the gradient's rms is the approximation (3 % for β₂ = 0.95)."""
    kept, added = np.ones(len(lr) + 1), np.zeros(len(lr) + 1)
    squared, crossed = 0.0, 0.0  # E[m²] and E[w·m] of the momentum m, gradients normalized
    for i, eta in enumerate(np.asarray(lr, dtype=float).tolist()):
        shrink, step = 1 - eta * decay, eta / (1 - beta1 ** (first + i + 1))
        squared = beta1**2 * squared + (1 - beta1) ** 2
        crossed *= beta1
        kept[i + 1] = kept[i] * shrink**2
        added[i + 1] = added[i] * shrink**2 - 2 * shrink * step * crossed + step**2 * squared
        crossed = shrink * crossed - step * squared
    return kept, added


@dataclass(frozen=True)
class Settings:
    decay: float
    beta1: float
    lr_scale: float = 1.0  # of the matrices in blocks: muP's base width over the width. Decay has none


def settings_of(run: Run) -> Settings | None:
    """None where the run's configuration names no AdamW."""
    decay, betas = lookup(run.config, "optimizer.weight_decay"), lookup(run.config, "optimizer.betas", [0.9, 0.95])
    usable = isinstance(decay, int | float) and isinstance(betas, list) and len(betas) == 2
    if lookup(run.config, "optimizer.name", "adamw") != "adamw" or not usable:
        return None
    beta1 = betas[0]
    if not (isinstance(beta1, int | float) and 0 <= beta1 < 1):
        return None
    base, width = lookup(run.config, "model.mup_base_width", 0), lookup(run.config, "model.width", 0)
    mup = isinstance(base, int) and isinstance(width, int) and base > 0 and width > 0
    return Settings(float(decay), float(beta1), base / width if mup else 1.0)


def adamw_course(run: Run) -> xr.Dataset | None:
    """`random_rms` (snapshot_step, layer, component): rms that random gradients alone would have given weights that
    started like these; `equilibrium_rms` and `rotation` (snapshot_step): those of the last update before each snapshot
    (at the first one: of the update after it). From the learning rates of /train and the configuration. None where they
    are not known for every step between the first and the last snapshot."""
    settings = settings_of(run)
    steps = run.snapshots[schema.SNAPSHOT].values.astype(int)
    if settings is None or "lr" not in run.train or len(steps) < 2:
        return None
    wanted = np.arange(steps[0], steps[-1])
    lr = run.train["lr"].values[np.isin(run.train["step"].values, wanted)].astype(float)
    if len(lr) != len(wanted) or not np.isfinite(lr).all():
        return None
    kept, added = (each[steps - steps[0]] for each in random_walk(lr, settings.decay, settings.beta1, steps[0]))
    start = run.snapshots["rms"].values[0]
    scale = settings.lr_scale
    random = np.sqrt(start**2 * kept[:, None, None] + scale**2 * added[:, None, None])
    last_lr = lr[np.maximum(steps - steps[0] - 1, 0)]
    dims = (schema.SNAPSHOT, "layer", "component")
    about = {
        "random_rms": "rms of the weights if AdamW had been given random gradients",
        "equilibrium_rms": "rms at which AdamW's updates and weight decay balance",
        "rotation": "angle of one update in that equilibrium",
    }
    values = {
        "random_rms": (dims, random, "weight"),
        "equilibrium_rms": (dims[:1], scale * equilibrium_rms(last_lr, settings.decay), "weight"),
        "rotation": (dims[:1], rotation(last_lr, settings.decay, settings.beta1), "rad"),
    }
    return xr.Dataset(
        {name: (d, v, {"units": unit, "long_name": about[name]}) for name, (d, v, unit) in values.items()},
        coords={schema.SNAPSHOT: steps, "component": run.snapshots["component"]},
    )
