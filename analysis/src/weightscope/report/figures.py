"""Static figures as PNG, for papers and slides. Colours: Okabe–Ito for parts, cividis along depth and time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from weightscope import bins, ranks, schema, summary
from weightscope.course import course
from weightscope.equilibrium import adamw_course
from weightscope.figure_files import write_all
from weightscope.finding import fixed, p_text
from weightscope.hill import NORMAL_HILL
from weightscope.init_check import has_failed
from weightscope.quantiles import NORMAL_TAIL
from weightscope.report import sampling
from weightscope.run import Run
from weightscope.tail_statistics import tail_statistics
from weightscope.updates import has_updates, norm_budget
from weightscope.weibull import NORMAL_K

_RIDGES = 14
EXAMINED_STYLE = (  # component, colour, marker, name
    ("q", "#0072b2", "o", "Q"),
    ("k", "#d55e00", "s", "K"),
    ("v", "#009e73", "D", "V"),
    ("c_attn", "#1d1e20", "x", "Q, K, V fused"),
)

BUDGET_STYLE = (  # term, colour, line, name
    ("change", "#1d1e20", "-", "change"),
    ("decay", "#0072b2", "-", "weight decay"),
    ("gradient", "#d55e00", "-", "along Adam's step"),
    ("second_order", "#009e73", "-", "second order"),
    ("residual", "#5f6268", ":", "rounding"),
)


def along(share: float) -> Any:
    """Cividis without its bright end, which vanishes on white."""
    return mpl.colormaps["cividis"](0.86 * share)


def _figure(columns: int = 1, rows: int = 1, size: tuple[float, float] = (7, 3.6), **more: Any) -> tuple[Figure, Any]:
    figure = Figure(figsize=size)
    return figure, figure.subplots(rows, columns, squeeze=False, **more)


def _layer_lines(axes: Axes, steps: np.ndarray, values: np.ndarray) -> None:
    n = values.shape[1]
    for layer in range(n):
        axes.plot(steps, values[:, layer], color=along(layer / max(1, n - 1)), lw=1.3, label=str(layer))
    axes.set_xlabel("step")


def init_check(run: Run) -> Figure:
    """Measured over expected std of each parameter with its 95 % interval."""
    figure, axes = _figure(size=(7, 3.6))
    ax: Axes = axes[0, 0]
    init = run.init
    expected = init["expected_std"].values if "expected_std" in init else np.zeros(0)
    rows = np.flatnonzero(expected > 0)
    if not rows.size:
        ax.set_title("No parameter with an expected standard deviation in this file")
        return figure
    ratio, low, high = (init[name].values[rows] / expected[rows] for name in ("std", "ci_low", "ci_high"))
    failed = np.array([has_failed(str(verdict)) for verdict in init["verdict"].values[rows]])
    x = np.arange(len(rows))
    for chosen, color, marker, label in ((~failed, "#0072b2", "o", "pass"), (failed, "#d55e00", "D", "fail")):
        if chosen.any():
            error = np.abs([ratio[chosen] - low[chosen], high[chosen] - ratio[chosen]])
            ax.errorbar(x[chosen], ratio[chosen], error, fmt=marker, ms=3.5, lw=1, color=color, label=label)
    ax.axhline(1, color="#5f6268", lw=0.8, ls=":")
    names = [str(name).removesuffix(".weight") for name in init["name"].values[rows]]
    shown = sampling.evenly(len(rows), 40)
    ax.set_xticks(x[shown], [names[i] for i in shown], rotation=90, fontsize=6.5)
    ax.grid(visible=False, axis="x")
    ax.set_ylabel("measured std / expected std")
    ax.set_title("Initialization: each tensor against its scheme (bars: 95 %)")
    ax.legend()
    return figure


def _ridge(ax: Axes, counts: np.ndarray, edge: np.ndarray, steps: np.ndarray, total: float) -> None:
    curves = bins.density(counts, edge, np.full(len(counts), total))
    centre, top = (edge[:-1] + edge[1:]) / 2, np.nanmax(curves)
    for i, curve in enumerate(curves):
        base, height = -float(i), 4.0 * curve / top
        ax.fill_between(centre, base, base + height, color="white", alpha=0.85, lw=0, zorder=i)
        ax.plot(centre, base + height, color=along(i / max(1, len(curves) - 1)), lw=0.9, zorder=i + 0.5)
    shown = sampling.evenly(len(steps), 7)
    ax.set_yticks(-shown.astype(float), [str(steps[i]) for i in shown])
    ax.grid(visible=False)
    ax.tick_params(left=False)
    ax.spines["left"].set_visible(False)


def qkv_histograms(run: Run) -> Figure:
    """One panel per layer: the density of the fused Q, K, V weights over training, as in the article."""
    c = course(run, "c_attn")
    rows = sampling.histogram_rows(run)
    rows = rows[sampling.evenly(len(rows), _RIDGES)]
    columns = min(4, 3 if run.layers <= 6 else 4)
    lines = -(-run.layers // columns)
    figure, axes = _figure(columns, lines, (2.5 * columns, 2.6 * lines), sharex=True)
    spread = c.std[np.isfinite(c.std) & (c.std > 0)]  # empty when all weights are equal
    groups = bins.coarse_groups(float(spread.min() if spread.size else 1.0) / 10)
    edge = np.append(bins.edges()[groups], bins.HIGHEST)
    limit = 4.0 * float(spread.max() if spread.size else 1.0)
    for layer, ax in enumerate(axes.flat):
        if layer >= run.layers:
            ax.set_visible(False)
            continue
        _ridge(ax, bins.joined(c.histogram[rows, layer], groups), edge, c.steps[rows], float(c.n[-1, layer]))
        ax.set_title(f"layer {layer}")
        ax.set_xlim(-limit, limit)
    for ax in axes[:, 0]:
        ax.set_ylabel("step")
    for ax in axes[-1]:
        ax.set_xlabel("weight")
    figure.suptitle("Q, K, V weights over training (first snapshot at the top)", x=0.01, ha="left", fontsize=10.5)
    return figure


def std_by_layer(run: Run) -> Figure:
    """Dashed: the rms that AdamW with random gradients would have given them."""
    figure, axes = _figure(4, size=(10, 3), sharey=True)
    adamw = adamw_course(run)
    for ax, (component, _, _, name) in zip(axes[0], EXAMINED_STYLE, strict=True):
        c = course(run, component)
        _layer_lines(ax, c.steps, c.std)
        if adamw is not None:
            random = adamw["random_rms"].sel(component=component).mean("layer")
            ax.plot(c.steps, random, color="#1d1e20", lw=1.4, ls="--", label="AdamW,\nrandom")
        ax.set_title(name)
    axes[0, 0].set_ylabel("standard deviation")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, -1].legend(title="layer", fontsize=7, ncols=2 if run.layers > 6 else 1)
    return figure


def growth_by_depth(run: Run) -> Figure:
    figure, axes = _figure(2, size=(9, 3.4))
    layers = np.arange(run.layers)
    for component, color, marker, name in EXAMINED_STYLE:
        c = course(run, component)
        growth, r = c.growth(), ranks.depth_correlation(c.growth())
        label = f"{name}: τ = {fixed(r.tau)}, {p_text(r.tau_p)}"
        style: dict[str, Any] = {"color": color, "marker": marker, "ms": 4.5, "lw": 1.1}
        axes[0, 0].errorbar(layers, growth, 1.96 * growth * c.log_growth_error(), capsize=2, label=label, **style)
        if c.displacement is not None:
            axes[0, 1].plot(layers, c.displacement[-1], **style)
    axes[0, 0].set(title=f"std at step {run.last_step} / std at the start (bars: 95 %)", xlabel="layer")
    axes[0, 0].legend(fontsize=7.5)
    axes[0, 1].set(title="distance walked, |W−W₀| / |W₀|", xlabel="layer")
    axes[0, 1].set_ylim(bottom=0)
    return figure


def tails(run: Run) -> Figure:
    figure, axes = _figure(4, 2, (10, 5.4), sharex=True, sharey="row")
    rows = sampling.histogram_rows(run)
    for i, (component, _, _, name) in enumerate(EXAMINED_STYLE):
        c = course(run, component)
        _layer_lines(axes[0, i], c.steps, c.kurtosis)
        _layer_lines(axes[1, i], c.steps[rows], c.tail_ratio(slice(None)).value[rows])
        axes[0, i].axhline(0, color="#5f6268", lw=0.8, ls=":")
        axes[1, i].axhline(NORMAL_TAIL, color="#5f6268", lw=0.8, ls=":")
        axes[0, i].set(title=name, xlabel="")
    axes[0, 0].set_ylabel("excess kurtosis")
    axes[1, 0].set_ylabel("99.9 % quantile of |w| / std")
    axes[0, 0].legend(title="layer", fontsize=7, ncols=2 if run.layers > 6 else 1)
    return figure


def tail_shape(run: Run) -> Figure:
    """Share beyond four initial sigmas, Hill index and Weibull shape of the parts and the fused matrix."""
    figure, axes = _figure(4, 3, (10, 7.6), sharex=True, sharey="row")
    rows = sampling.histogram_rows(run)
    found = tail_statistics(run, rows).sel(sigma=4.0)
    lines = (("tail_mass", 2 * ndtr(-4.0)), ("hill", NORMAL_HILL), ("weibull_k", NORMAL_K))
    for i, (component, _, _, name) in enumerate(EXAMINED_STYLE):
        for j, (variable, normal) in enumerate(lines):
            values = found[variable].sel(component=component).values
            _layer_lines(axes[j, i], found[schema.SNAPSHOT].values, np.where(values > 0, values, np.nan))
            axes[j, i].axhline(normal, color="#5f6268", lw=0.8, ls=":")
            axes[j, i].set(xlabel="step" if j == 2 else "")
        axes[0, i].set(title=name, yscale="log")
    axes[0, 0].set_ylabel("share beyond 4 initial σ")
    axes[1, 0].set_ylabel("Hill index of the largest 1 %")
    axes[2, 0].set_ylabel("Weibull shape k")
    axes[0, -1].legend(title="layer", fontsize=7, ncols=2 if run.layers > 6 else 1)
    return figure


def gradient_std(run: Run) -> Figure:
    figure, axes = _figure(4, size=(10, 3), sharey=True)
    for ax, (component, _, _, name) in zip(axes[0], EXAMINED_STYLE, strict=True):
        values = run.snapshots["gradient_std"].sel(component=component).values
        _layer_lines(ax, run.snapshots[schema.SNAPSHOT].values, np.where(values > 0, values, np.nan))
        ax.set(title=name, yscale="log")
    axes[0, 0].set_ylabel("std of the gradient (nats / weight)")
    axes[0, -1].legend(title="layer", fontsize=7, ncols=2 if run.layers > 6 else 1)
    return figure


def budget_of_norm(run: Run) -> Figure:
    """Parts of d‖W‖² in single updates over ‖W‖², means over layers."""
    figure, axes = _figure(4, size=(10, 3), sharey=True)
    found = norm_budget(run)
    assert found is not None, "drawn only where it is recorded"
    for ax, (component, _, _, name) in zip(axes[0], EXAMINED_STYLE, strict=True):
        means = found.sel(component=component).mean("layer", skipna=False)
        for term, color, style, label in BUDGET_STYLE:
            ax.plot(means[schema.SNAPSHOT], means[term], color=color, ls=style, lw=1.3, label=label)
        ax.axhline(0, color="#5f6268", lw=0.8, ls=":")
        ax.set(title=name, xlabel="step")
    axes[0, 0].set_ylabel("d‖W‖² / ‖W‖² of one update")
    axes[0, -1].legend(fontsize=7)
    return figure


def loss(run: Run) -> Figure:
    figure, axes = _figure(size=(7, 3.4))
    ax: Axes = axes[0, 0]
    if "loss" in run.train and run.train["loss"].size:
        steps, values = run.train["step"].values, run.train["loss"].values
        ax.plot(steps, values, color="#d9d5cb", lw=0.6)
        ax.plot(steps, sampling.smoothed(values), color="#0072b2", lw=1.5, label="training, smoothed")
    if "loss" in run.eval and run.eval["loss"].size:
        found = summary.losses(run)
        label = f"validation, {found.val:.3f} at the end"
        ax.plot(run.eval["step"], run.eval["loss"], color="#d55e00", lw=1.2, marker="D", ms=3.5, label=label)
    ax.set(xlabel="step", ylabel="loss (nats per token)", title=f"Loss of {run.name}")
    if ax.lines:
        ax.legend()
    return figure


FIGURES: dict[str, Callable[[Run], Figure]] = {
    "init_check": init_check,
    "qkv_histograms": qkv_histograms,
    "std_by_layer": std_by_layer,
    "growth_by_depth": growth_by_depth,
    "tails": tails,
    "tail_shape": tail_shape,
    "loss": loss,
}
UPDATE_FIGURES: dict[str, Callable[[Run], Figure]] = {
    "gradient_std": gradient_std,
    "norm_budget": budget_of_norm,
}


def write_figures(run: Run, folder: Path) -> list[Path]:
    """Those of updates only where they are recorded."""
    return write_all(FIGURES | (UPDATE_FIGURES if has_updates(run) else {}), run, folder)
