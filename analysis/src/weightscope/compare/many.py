"""Figures that set many groups beside each other, a row per group: effects at the step of the verdicts, and heat maps
where lines would cover each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from weightscope.compare.result import Comparison
from weightscope.schema import COMPONENT_NAMES
from weightscope.seeds.decide import ALPHA, CLAIMS
from weightscope.seeds.drawn import MEANINGS, as_drawn, null_of
from weightscope.seeds.group import Decision, Examined
from weightscope.seeds.trajectories import PARTS

_COLOURS = {"holds": "#0072b2", "reversed": "#d55e00"}
_UNDECIDED = "#8a8d92"


def _grid(c: Comparison, title: str) -> tuple[Figure, dict[str, Axes]]:
    figure = Figure(figsize=(11, 1.6 + 2 * (0.5 + 0.19 * len(c.examined))))
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    names = [f"{found.label} ({len(found.seeds)})" for found in c.examined]
    for row in axes:
        row[0].set_yticks(range(len(names)), names, fontsize=7.5)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle(f"{title} (number of seeds in brackets)", x=0.01, ha="left", fontsize=10.5)
    panels = dict(zip(PARTS, axes.flat, strict=True))
    for component, ax in panels.items():
        ax.set_title(COMPONENT_NAMES[component])
    return figure, panels


def _effect(ax: Axes, row: int, d: Decision) -> None:
    mean, low, high = as_drawn(d.claim, np.array([d.effect.mean, d.effect.low, d.effect.high]))
    colour = _COLOURS.get(d.verdict, _UNDECIDED)
    if np.isfinite([low, high]).all():
        ax.plot([low, high], [row, row], color=colour, lw=1.6)
    ax.plot(mean, row, "o", ms=5, color=colour, mfc=colour if d.verdict in _COLOURS else "white")


def by_group(claim: str) -> Callable[[Comparison], Figure]:
    """Effect and 95 % interval over seeds of every group; filled where the verdict is decided."""

    def draw(c: Comparison) -> Figure:
        figure, panels = _grid(c, f"{CLAIMS[claim]}: effect and 95 % interval over seeds")
        for component, ax in panels.items():
            ax.axvline(null_of(claim), color="#5f6268", lw=0.8, ls=":")
            for row, found in enumerate(c.examined):
                if component in found.values:
                    _effect(ax, row, found.of(claim, component))
            if claim.startswith("early"):
                ax.set_xlim(-1.05, 1.05)
        figure.supxlabel(MEANINGS[claim], fontsize=9)
        words = {word: _COLOURS.get(word, _UNDECIDED) for word in ("holds", "reversed", "undecided")}
        handles = [
            Line2D([], [], marker="o", color=colour, mfc=colour if word in _COLOURS else "white", label=word)
            for word, colour in words.items()
        ]
        figure.legend(handles=handles, loc="outside lower right", ncols=3, fontsize=8)
        return figure

    return draw


def _colours(values: Sequence[np.ndarray], null: float | None) -> tuple[str, Normalize]:
    """Two colours that part at `null`, or one that grows where there is none; extreme values do not stretch it.
    What parts at one is a ratio: half as much is then as far from one as twice as much."""
    known = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
    if null is None:
        return "viridis", Normalize(0, float(np.quantile(known, 0.99)) if known.size else 1)
    if null == 1:
        known = known[known > 0]
        factor = float(np.exp(np.quantile(np.abs(np.log(known)), 0.99))) if known.size else 1.0
        factor = max(factor, 1 + 1e-6)
        return "PuOr_r", LogNorm(1 / factor, factor)
    reach = float(np.quantile(np.abs(known - null), 0.99)) if known.size else 0.0
    return "PuOr_r", TwoSlopeNorm(null, null - max(reach, 1e-6), null + max(reach, 1e-6))


def _edges(steps: np.ndarray) -> np.ndarray:
    return np.append(steps, steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else 1)).astype(float)


def _bar(figure: Figure, panels: dict[str, Axes], cmap: str, norm: Normalize, label: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, cmap), ax=list(panels.values()), shrink=0.6, extend="both")
    bar.set_label(label)
    if isinstance(norm, LogNorm):
        ratios = np.array([0.1, 0.25, 0.5, 0.8, 0.9, 1, 1.1, 1.25, 2, 4, 10])
        shown = ratios[(ratios >= norm.vmin) & (ratios <= norm.vmax)]
        if norm.vmax > 2:  # 0.9 and 1.1 would lie on top of 1
            shown = shown[(shown < 0.85) | (shown > 1.2) | (shown == 1)]
        bar.set_ticks(shown, labels=[f"× {ratio:g}" for ratio in shown])
        bar.minorticks_off()


def over_time(claim: str) -> Callable[[Comparison], Figure]:
    """Mean effect of every group at every step; a dot below it where that is beyond chance."""

    def draw(c: Comparison) -> Figure:
        figure, panels = _grid(c, f"{MEANINGS[claim]}: mean over seeds; dots: beyond chance at that step")
        effects = [as_drawn(claim, f.of(claim, p).course.mean) for f in c.examined for p in PARTS if p in f.values]
        cmap, norm = _colours(effects, null_of(claim))
        for component, ax in panels.items():
            ax.grid(visible=False)
            for row, found in enumerate(c.examined):
                if component not in found.values:
                    continue
                d = found.of(claim, component)
                mean = as_drawn(claim, d.course.mean)
                ax.pcolormesh(_edges(d.steps), [row - 0.42, row + 0.3], mean[None], cmap=cmap, norm=norm)
                sure = d.steps[d.course_p < ALPHA]
                ax.plot(sure, np.full(len(sure), row + 0.38), ".", ms=1.6, color="#1d1e20")
            ax.set_xscale("symlog", linthresh=1)
        figure.supxlabel("step (logarithmic)", fontsize=9)
        _bar(figure, panels, cmap, norm, MEANINGS[claim])
        return figure

    return draw


def by_layer(values_of: Callable[[Examined], dict[str, np.ndarray]], name: str, null: float | None) -> Callable[
    [Comparison], Figure
]:  # fmt: skip
    """Mean of every group in every layer at the step of the verdicts."""

    def draw(c: Comparison) -> Figure:
        figure, panels = _grid(c, f"{name}: mean over seeds by layer")
        cmap, norm = _colours([profile[0] for f in c.examined for profile in values_of(f).values()], null)
        for component, ax in panels.items():
            ax.grid(visible=False)
            for row, found in enumerate(c.examined):
                if component in found.values:
                    profile = values_of(found)[component][0]
                    edges = np.arange(found.layers + 1) - 0.5
                    ax.pcolormesh(edges, [row - 0.42, row + 0.42], profile[None], cmap=cmap, norm=norm)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.supxlabel("layer (0 is next to the embedding)", fontsize=9)
        _bar(figure, panels, cmap, norm, name)
        return figure

    return draw
