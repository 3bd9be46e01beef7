"""Claims 1 and 2, about the shape of each component's distribution: sampling error decides."""

from __future__ import annotations

import numpy as np

from weightscope.course import Course
from weightscope.finding import Finding, Verdict, Z, fixed, number
from weightscope.quantiles import NORMAL_TAIL
from weightscope.schema import COMPONENT_NAMES


def verdict_of(effect: np.ndarray, error: np.ndarray) -> Verdict:
    """Over layers: the mean effect must be beyond Z standard errors, and no single layer may be beyond Z
    (Bonferroni over layers) the other way."""
    if not (np.all(np.isfinite(effect)) and np.all(np.isfinite(error))):
        return "undecided"
    n = len(effect)
    mean, mean_error = effect.mean(), np.sqrt((error**2).sum()) / n
    limit = Z + 0.5 * np.log(n)  # close to Bonferroni at these levels, and never below it for n ≤ 100
    if mean > Z * mean_error and not np.any(effect < -limit * error):
        return "holds"
    if mean < -Z * mean_error and not np.any(effect > limit * error):
        return "reversed"
    return "undecided"


def _since(verdicts: list[Verdict], steps: np.ndarray) -> int | None:
    """The step from which on the last verdict stands. `verdicts`: of all snapshots but the first; `steps`: of all."""
    last = verdicts[-1]
    if last == "undecided":
        return None
    index = len(verdicts) - 1
    while index > 0 and verdicts[index - 1] == last:
        index -= 1
    return int(steps[index + 1])


def _agreement(effect: np.ndarray, error: np.ndarray, up: str, down: str) -> str:
    ups, downs, n = int((effect > Z * error).sum()), int((effect < -Z * error).sum()), len(effect)
    said = [f"{count} {word}" for count, word in ((ups, up), (downs, down)) if count]
    if not said:
        return f"none of {n} layers changes beyond sampling error"
    if n in (ups, downs):
        return f"all {n} layers {up if ups else down}" if n > 1 else f"the only layer {up if ups else down}s"
    return f"of {n} layers {' and '.join(said)} beyond sampling error"


def wider(c: Course) -> Finding:
    indices = range(1, len(c.steps))
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = [np.log(c.growth(i)) for i in indices]
    errors = [c.log_growth_error(i) for i in indices]
    verdicts: list[Verdict] = [verdict_of(effect, error) for effect, error in zip(effects, errors, strict=True)]
    effect, error = effects[-1], errors[-1]
    factor = float(np.exp(effect.mean()))
    factor_error = factor * float(np.sqrt((error**2).sum()) / len(error))
    since = _since(verdicts, c.steps)
    text = (
        f"{COMPONENT_NAMES[c.component]} weights are {fixed(factor)} ± {number(factor_error, 1)} times as wide at "
        f"step {c.steps[-1]} as at step {c.steps[0]} (mean std {c.std[0].mean():#.3g} → "
        f"{c.std[-1].mean():#.3g}); {_agreement(effect, error, 'widen', 'narrow')}"
        + (f", seen from step {since} on." if since is not None else ".")
    )
    if c.displacement is not None:
        moved = float(c.displacement[-1].mean())
        text += (
            f" They moved by |W−W₀|/|W₀| = {fixed(moved)}; a walk of that length in a random direction alone "
            f"would widen them {fixed(float(np.sqrt(1 + moved**2)))} times."
        )
    return Finding("wider", verdicts[-1], c.component, int(c.steps[-1]), factor - 1, factor_error, text, since)


def tails(c: Course, mixture: np.ndarray | None = None) -> Finding:
    """`mixture`: for the fused matrix, the part of its kurtosis (snapshot, layer) that its parts' widths
    explain."""
    start_error = c.kurtosis_error(0)
    effects, errors = [], []
    for i in range(1, len(c.steps)):
        effects.append(c.kurtosis[i] - c.kurtosis[0])
        errors.append(np.hypot(start_error, c.kurtosis_error(i)))
    verdicts: list[Verdict] = [verdict_of(effect, error) for effect, error in zip(effects, errors, strict=True)]
    effect, error = effects[-1], errors[-1]
    mean_error = float(np.sqrt((error**2).sum()) / len(error))
    since = _since(verdicts, c.steps)
    before, after = c.tail_ratio(0), c.tail_ratio(-1)
    text = (
        f"{COMPONENT_NAMES[c.component]}: mean excess kurtosis {fixed(c.kurtosis[0].mean())} → "
        f"{fixed(c.kurtosis[-1].mean())} (change {fixed(effect.mean())} ± {number(mean_error, 1)}); "
        f"{_agreement(effect, error, 'lengthen', 'shorten')}"
        + (f", seen from step {since} on" if since is not None else "")
        + f". 99.9 % of the weights lie within {fixed(after.value.mean())} std, {fixed(before.value.mean())} at the "
        f"start (a normal distribution: {fixed(NORMAL_TAIL)}); the largest magnitude went from "
        f"{number(c.largest[0].max())} to {number(c.largest[-1].max())}."
    )
    if mixture is not None:
        text += (
            f" Of the fused matrix's {fixed(c.kurtosis[-1].mean())}, {fixed(mixture[-1].mean())} is only the mixture "
            "of Q, K and V having different widths: read the parts first."
        )
    return Finding("tails", verdicts[-1], c.component, int(c.steps[-1]), float(effect.mean()), mean_error, text, since)
