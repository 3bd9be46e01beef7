"""Measures what docs/statistics.md promises about verdicts: how often intervals cover the truth, how often a family of
verdicts holds a false one, and how often a clear effect is found. On made-up seeds with known truth; no training.

    python -m weightscope.seeds.calibrate [--repeats 4000]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from weightscope.seeds import effects, intervals, made_up

SEEDS = (3, 5, 10)
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Interval = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _taus(trend: float, layers: int) -> Draw:
    """τ of layers whose growth has a trend of `trend` standard deviations per layer."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return effects.kendall(rng.standard_normal((*shape, layers)) + trend * np.arange(layers))

    return draw


# What the effect of one seed may be distributed like, and the steps it comes in; the truth is the mean.
SHAPES: dict[str, tuple[Draw, float]] = {
    "normal": (made_up.normal, 0.0),
    "skewed (lognormal, σ = 0.5)": (made_up.skewed, 0.0),
    "heavy tails (t, 4 degrees)": (made_up.heavy, 0.0),
    "τ, 6 layers, no trend": (_taus(0, 6), effects.tau_step(6)),
    "τ, 6 layers, clear trend": (_taus(-0.7, 6), effects.tau_step(6)),
    "τ, 12 layers, clear trend": (_taus(-0.3, 12), effects.tau_step(12)),
}


def _scipy(method: str) -> Interval:
    def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # seeds that agree exactly have no interval: NaN covers nothing
            found = stats.bootstrap(
                (values,), np.mean, axis=0, n_resamples=intervals.RESAMPLES, method=method, rng=np.random.default_rng(0)
            ).confidence_interval
        return np.asarray(found.low), np.asarray(found.high)

    return interval


def methods(floor: float) -> dict[str, Interval]:
    return {
        "t": lambda values: intervals.means(values, floor)[1:3],
        "studentized": intervals.studentized,
        "BCa": _scipy("BCa"),
        "percentile": _scipy("percentile"),
    }


def coverage(shape: str, n: int, repeats: int, chosen: Sequence[str] = ("t",), seed: int = 1) -> dict[str, float]:
    """Share of the 95 % intervals of each method that hold the true mean, over `repeats` samples of n seeds."""
    draw, floor = SHAPES[shape]
    truth = float(draw(np.random.default_rng(seed), (400_000,)).mean())
    values = draw(np.random.default_rng([seed, n]), (n, repeats))
    out = {}
    for name in chosen:
        parts = [methods(floor)[name](part) for part in np.array_split(values, max(1, repeats // 250), axis=1)]
        low, high = (np.concatenate(side) for side in zip(*parts, strict=True))
        out[name] = float(np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)))
    return out


def _rows(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def _percent(rates: dict[str, float]) -> list[str]:
    return [f"{100 * rate:.1f} %" for rate in rates.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000)
    repeats = parser.parse_args().repeats
    names = tuple(methods(0.0))
    print("Coverage of 95 % intervals\n")
    _rows(
        ("effect between seeds", "seeds", *names),
        [(shape, n, *_percent(coverage(shape, n, repeats, names))) for shape in SHAPES for n in SEEDS],
    )
    print("Families with a false verdict\n")
    claims = ("wider", "tails", "early, both", "first", "first, tied with the second", "early, a hill")
    cases = [(n, layers, noise) for n in SEEDS for layers in (6, 12) for noise in made_up.NOISES]
    _rows(
        ("seeds", "layers", "scatter", *claims),
        [(*case, *_percent(made_up.false_rates(case[0], case[1], repeats, case[2]))) for case in cases],
    )
    print("Families with a false difference between groups\n")
    pairs = [(n, noise, paired) for n in SEEDS for noise in made_up.NOISES for paired in (False, True)]
    _rows(
        ("seeds", "scatter", "compared", "wider", "tails", "early", "first"),
        [
            (n, noise, "by seed" if paired else "as independent",
             *_percent(made_up.false_differences(n, 6, repeats, noise, paired=paired)))
            for n, noise, paired in pairs
        ],
    )  # fmt: skip
    print("Families with a false difference between Q, K and V\n")
    _rows(
        ("seeds", "scatter", *made_up.parts.COMPARED),
        [(n, noise, *_percent(made_up.false_parts(n, repeats, noise))) for n in SEEDS for noise in made_up.NOISES],
    )
    print("Components with the right verdict in a clear case\n")
    _rows(
        ("seeds", "layers", *made_up.decide.CLAIMS),
        [(n, layers, *_percent(made_up.power(n, layers, repeats // 4))) for n in SEEDS for layers in (6, 12)],
    )


if __name__ == "__main__":
    main()
