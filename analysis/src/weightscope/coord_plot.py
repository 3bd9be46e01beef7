"""weightscope-coord-plot: coordinate sizes against the width, from the JSON of `weightscope coord-check -o`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weightscope.command_line import parser
from weightscope.errors import UnusableFileError, run_command
from weightscope.figure_files import write_all

_TITLES = {"mup": "muP", "standard": "standard"}


def load(path: Path) -> dict[str, Any]:
    """Raises UnusableFileError where the file is no coordinate check."""
    try:
        found = json.loads(path.read_text())
        if not found["parameterizations"] or len(found["widths"]) < 2:
            raise KeyError
        for table in found["parameterizations"]:
            for row in table["quantities"]:
                sizes(row, found)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UnusableFileError(f"{path} is not the JSON of weightscope coord-check") from problem
    return found


def sizes(row: dict[str, Any], report: dict[str, Any]) -> np.ndarray:
    """(step, width): geometric mean over seeds; NaN where a size is zero or was not finite."""
    found = np.array(row["sizes"], dtype=float)
    if found.shape != (report["steps"] + 1, len(report["widths"]), len(report["seeds"])):
        raise ValueError("sizes of another shape")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(np.log(np.where(found > 0, found, np.nan)).mean(axis=2))


def shown(report: dict[str, Any], layer: int | None) -> list[str]:
    """Means over layers, or with `layer` what is of that one, between embedding and logits."""
    names = list(dict.fromkeys(row["quantity"] for row in report["parameterizations"][0]["quantities"]))
    if layer is None:
        return [name for name in names if not name.startswith("h.")]
    return ["embedding", *(name for name in names if name.startswith(f"h.{layer}.")), "logits"]


def draw(report: dict[str, Any], measure: str, layer: int | None) -> Figure:
    """One row of panels a parameterization, one column a quantity, one line a step; both axes logarithmic."""
    names, tables = shown(report, layer), report["parameterizations"]
    figure = Figure(figsize=(2.1 * len(names) + 0.6, 2.2 * len(tables) + 0.5))
    panels = figure.subplots(len(tables), len(names), squeeze=False, sharex=True, sharey="col")
    for table, axes in zip(tables, panels, strict=True):
        rows = {row["quantity"]: row for row in table["quantities"] if row["measure"] == measure}
        for name, ax in zip(names, axes, strict=True):
            _panel(ax, report["widths"], sizes(rows[name], report), name, rows[name]["slopes"][-1]["slope"])
        what = "mean |x|" if measure == "size" else "mean |x − start|"
        axes[0].set_ylabel(f"{_TITLES.get(table['parameterization'], '')}: {what}")
    panels[-1][-1].legend(title="step", fontsize=7, title_fontsize=7)
    return figure


def _panel(ax: Axes, widths: list[int], values: np.ndarray, name: str, slope: float | None) -> None:
    colors = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(values)))
    for step, (line, color) in enumerate(zip(values, colors, strict=True)):
        if np.isfinite(line).any():
            ax.plot(widths, line, "o-", color=color, markersize=2.5, linewidth=1, label=str(step))
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(widths, [str(w) for w in widths], minor=False)
    ax.set_title(name + ("" if slope is None else f"  slope {slope:.2f}"), fontsize=7.5)
    ax.tick_params(which="both", labelsize=7)


def main(arguments: list[str] | None = None) -> int:
    told = _arguments().parse_args(arguments)

    def work() -> None:
        report = load(told.file)
        if told.layer is not None and not any(n.startswith(f"h.{told.layer}.") for n in shown(report, told.layer)):
            raise UnusableFileError(f"{told.file} has no layer {told.layer}")
        write_all({told.output.stem: lambda r: draw(r, told.measure, told.layer)}, report, told.output.parent)

    return run_command(work)


def _arguments() -> argparse.ArgumentParser:
    told = parser(
        "weightscope-coord-plot",
        "Coordinate sizes against the width: flat lines do not depend on it.",
        "example:\n  weightscope coord-check configs/quickstart.yaml -o coords.json\n"
        "  weightscope-coord-plot coords.json -o coords.png",
    )
    told.add_argument("file", type=Path, metavar="FILE.json", help="written by weightscope coord-check -o")
    told.add_argument("-o", "--output", type=_png, required=True, metavar="FILE.png", help="figure to write")
    told.add_argument("--measure", choices=("size", "change"), default="size", help="mean |x|, or of its change")
    told.add_argument("--layer", type=int, help="layer to show (default: means over layers)")
    return told


def _png(text: str) -> Path:
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text} does not end in .png")
    return Path(text)


if __name__ == "__main__":
    sys.exit(main())
