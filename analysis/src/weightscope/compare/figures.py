"""Figures of a comparison as PNG: a panel per component, a colour and a marker per group, bands over seeds; rows
instead of lines where the groups are many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from weightscope.compare import many
from weightscope.compare.result import Comparison
from weightscope.figure_files import write_all
from weightscope.schema import COMPONENT_NAMES
from weightscope.seeds.drawn import MEANINGS, as_drawn, null_of
from weightscope.seeds.group import Examined
from weightscope.seeds.trajectories import PARTS

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#1d1e20", "#e69f00")
_MARKERS = "osD^vP*X"
_LINES = 6  # more groups than this are told apart by rows, not by colours
_WIDE = 130  # letters beside each other below a figure


def _panels(c: Comparison, size: tuple[float, float] = (10, 5.6)) -> tuple[Figure, dict[str, Axes]]:
    figure = Figure(figsize=size)
    axes = figure.subplots(2, 3, sharex=True)
    panels: dict[str, Axes] = dict(zip(PARTS, axes.flat, strict=True))
    for component, ax in panels.items():
        ax.set_title(COMPONENT_NAMES[component])
    return figure, panels


def _style(index: int) -> dict[str, Any]:
    return {"color": _COLOURS[index % 8], "ls": ("-", "--", ":", "-.")[index // 8 % 4], "lw": 1.4}


def _legend(figure: Figure, panels: dict[str, Axes]) -> None:
    """Outside the panels: groups may be many."""
    handles, names = panels[PARTS[0]].get_legend_handles_labels()
    columns = max(1, min(len(names), _WIDE // (8 + max(map(len, names), default=0))))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=8)


def _band(ax: Axes, x: np.ndarray, values: np.ndarray, index: int, label: str) -> None:
    mean, low, high = values
    known = np.isfinite(low) & np.isfinite(high)
    ax.fill_between(
        x, np.where(known, low, np.nan), np.where(known, high, np.nan), color=_COLOURS[index % 8], alpha=0.16, lw=0
    )
    ax.plot(x, mean, label=label, **_style(index))


def _over_time(claim: str) -> Callable[[Comparison], Figure]:
    def draw(c: Comparison) -> Figure:
        figure, panels = _panels(c)
        for index, found in enumerate(c.examined):
            for component in (p for p in PARTS if p in found.values):
                d = found.of(claim, component)
                values = as_drawn(claim, np.stack(d.course[:3]))
                label = f"{found.label} ({len(found.seeds)} seeds)"
                _band(panels[component], d.steps, values, index, label)
        for component, ax in panels.items():
            ax.axhline(null_of(claim), color="#5f6268", lw=0.8, ls=":")
            if component in PARTS[3:]:
                ax.set_xlabel("step")
            if claim.startswith("early"):
                ax.set_ylim(-1.05, 1.05)
        figure.supylabel(MEANINGS[claim], fontsize=9)
        figure.suptitle(f"{MEANINGS[claim]}: mean over seeds and 95 % interval", x=0.01, ha="left", fontsize=10.5)
        _legend(figure, panels)
        return figure

    return draw


def _by_layer(values_of: Callable[[Examined], dict[str, np.ndarray]], name: str) -> Callable[[Comparison], Figure]:
    def draw(c: Comparison) -> Figure:
        figure, panels = _panels(c)
        for index, found in enumerate(c.examined):
            for component in (p for p in PARTS if p in found.values):
                mean, low, high = values_of(found)[component]
                known = np.isfinite(low) & np.isfinite(high)
                error = np.where(known, np.stack([mean - low, high - mean]), 0.0)
                shift = 0.12 * (index - (len(c.examined) - 1) / 2) / max(1, len(c.examined) / 4)
                panels[component].errorbar(
                    np.arange(found.layers) + shift, mean, error, marker=_MARKERS[index % 8], ms=4, capsize=2,
                    label=f"{found.label}, step {found.step}", **_style(index),
                )  # fmt: skip
        for component in PARTS[3:]:
            panels[component].set_xlabel("layer (0 is next to the embedding)")
            panels[component].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.supylabel(name, fontsize=9)
        figure.suptitle(f"{name}: mean over seeds and 95 % interval", x=0.01, ha="left", fontsize=10.5)
        _legend(figure, panels)
        return figure

    return draw


_Draw = Callable[[Comparison], Figure]


def _either(lines: _Draw, rows: _Draw) -> _Draw:
    return lambda c: (lines if len(c.examined) <= _LINES else rows)(c)


def _growth(found: Examined) -> dict[str, np.ndarray]:
    return found.profiles


def _displacement(found: Examined) -> dict[str, np.ndarray]:
    return found.walks


FIGURES: dict[str, _Draw] = {
    **{f"{claim}_by_group": many.by_group(claim) for claim in MEANINGS},
    **{f"{claim}_over_time": _either(_over_time(claim), many.over_time(claim)) for claim in MEANINGS},
    "growth_by_depth": _either(
        _by_layer(_growth, MEANINGS["wider"]), many.by_layer(_growth, MEANINGS["wider"], null_of("wider"))
    ),
    "displacement_by_depth": _either(
        _by_layer(_displacement, "|W − W₀| / |W₀|"), many.by_layer(_displacement, "|W − W₀| / |W₀|", None)
    ),
}


def write_figures(c: Comparison, folder: Path) -> list[Path]:
    return write_all(FIGURES, c, folder)
