"""Made-up seeds with known truth: what the promises of docs/statistics.md are measured on. The steps of these
trajectories are independent worlds, so that one call judges thousands of families."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Final

import numpy as np

from weightscope.seeds import decide, effects, parts
from weightscope.seeds.intervals import difference, holm, means
from weightscope.seeds.trajectories import PARTS, Trajectories

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (np.exp(0.5 * rng.standard_normal(shape)) - np.exp(0.125)) / 0.604


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_t(4, shape) / np.sqrt(2)


NOISES: Final[dict[str, Noise]] = {"normal": normal, "skewed": skewed, "heavy": heavy}


def made_up(
    rng: np.random.Generator,
    seeds: int,
    worlds: int,
    growth: np.ndarray,
    kurtosis: np.ndarray,
    *,
    noise: Noise = normal,
    scatter: float | np.ndarray = 0.1,
    common: float = 0.1,
) -> list[Trajectories]:
    """The six components. `growth` and `kurtosis`: truth by layer, the mean over seeds of ln growth and of the change
    of kurtosis. `scatter`: standard deviation between seeds of a layer, `common` that of all layers and components
    together."""
    shared = common * noise(rng, (2, seeds, worlds, 1))
    shape = (seeds, worlds, len(growth))
    out = []
    for part in PARTS:
        log_growth = growth + shared[0] + scatter * noise(rng, shape)
        change = kurtosis + shared[1] + scatter * noise(rng, shape)
        walk = np.sqrt(np.maximum(np.exp(2 * log_growth) - 1, 0))
        out.append(Trajectories(part, np.arange(worlds), log_growth, change, change, walk))
    return out


def family_verdicts(courses: list[Trajectories]) -> dict[str, np.ndarray]:
    """By claim, (world, component): +1 holds, −1 reversed, 0 undecided, judged as a group is."""
    tests = [t for c in courses for t in decide.tested(c, effects.per_seed(c.log_growth, c.kurtosis_change))]
    corrected = decide.adjusted(tests)
    value = {"holds": 1, "reversed": -1, "undecided": 0}
    out: dict[str, list[list[int]]] = {}
    for t in tests:
        words = decide.verdicts(t, corrected[t.claim, t.component])
        out.setdefault(t.claim, []).append([value[word] for word in words])
    return {claim: np.array(rows).T for claim, rows in out.items()}


def false_rates(seeds: int, layers: int, worlds: int, noise: str, seed: int = 1) -> dict[str, float]:
    """Share of families with a false verdict where the truth is: no growth, no change of tails, no order of the
    layers; and (`tied`) a first layer that is exactly as wide as the second, both wider than the rest; and (`hill`)
    layers that differ much, but as much upwards as downwards."""
    rng = np.random.default_rng([seed, seeds, layers, list(NOISES).index(noise)])
    zero = np.zeros(layers)
    # Early layers scatter more: no order, and yet no layers that could change places. Skewed ones would have an order
    # then, that of their medians.
    scatter = np.full(layers, 0.1) if noise == "skewed" else np.linspace(0.15, 0.05, layers)
    none = family_verdicts(made_up(rng, seeds, worlds, zero, zero, noise=NOISES[noise], scatter=scatter))
    top = np.where(np.arange(layers) < 2, 1.0, 0.0)
    tied = family_verdicts(made_up(rng, seeds, worlds, top, zero, noise=NOISES[noise]))["first"]
    hill = np.minimum(np.arange(layers), np.arange(layers)[::-1]) * 0.1
    unordered = family_verdicts(made_up(rng, seeds, worlds, hill, zero, noise=NOISES[noise]))["early"]
    order = np.concatenate([none["early"], none["early_inner"]], axis=1)
    families = {
        "wider": none["wider"],
        "tails": none["tails"],
        "early": order,
        "first": none["first"],
        "tied": tied,
        "hill": unordered,
    }
    return {name: float((found != 0).any(axis=1).mean()) for name, found in families.items()}


def false_differences(seeds: int, layers: int, worlds: int, noise: str, *, paired: bool) -> dict[str, float]:
    """Share of families with a false difference: three groups of one truth that scatter unlike each other, compared in
    pairs on six components."""
    rng = np.random.default_rng([3, seeds, layers, list(NOISES).index(noise), int(paired)])
    truth = np.zeros(layers)  # with an order of layers, more scatter would mean a smaller τ
    groups = []
    for scatter in (0.05, 0.1, 0.2):
        courses = made_up(rng, seeds, worlds, truth, truth, noise=NOISES[noise], scatter=scatter)
        groups.append([effects.per_seed(c.log_growth, c.kurtosis_change) for c in courses])
    out = {}
    for claim in ("wider", "tails", "early", "first"):
        p, floor = [], effects.tau_step(layers) if claim == "early" else 0.0
        for a, b in combinations(groups, 2):
            for x, y in zip(a, b, strict=True):
                p.append((means(x[claim] - y[claim], floor) if paired else difference(x[claim], y[claim], floor)).p)
        out[claim] = float((holm(np.stack(p, axis=-1)) < decide.ALPHA).any(axis=1).mean())
    return out


def false_parts(seeds: int, worlds: int, noise: str) -> dict[str, float]:
    """Share of families with a false difference between Q, K and V of one truth."""
    rng = np.random.default_rng([4, seeds, list(NOISES).index(noise)])
    zero = np.zeros(6)
    courses = made_up(rng, seeds, worlds, zero, zero, noise=NOISES[noise])
    values = {c.component: effects.per_seed(c.log_growth, c.kurtosis_change) for c in courses}
    return {
        claim: float((parts.tested(values, claim)[2] < decide.ALPHA).any(axis=1).mean()) for claim in parts.COMPARED
    }


def power(seeds: int, layers: int, worlds: int, seed: int = 2) -> dict[str, float]:
    """Mean share of the six components with the right verdict in a clear case: growth of e^0.6 to e^0.2 from the
    first layer to the last, the first one 0.2 ahead of the next, kurtosis up by 0.5, a scatter of 0.05 between
    seeds."""
    rng = np.random.default_rng([seed, seeds, layers])
    growth = np.linspace(0.6, 0.2, layers) + np.where(np.arange(layers) == 0, 0.2, 0.0)
    courses = made_up(rng, seeds, worlds, growth, np.full(layers, 0.5), scatter=0.05, common=0.05)
    return {claim: float((found == 1).mean()) for claim, found in family_verdicts(courses).items()}
