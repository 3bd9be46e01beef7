"""The look of all static figures, and how they become files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.figure import Figure

_Subject = TypeVar("_Subject")
_STYLE: Any = {
    "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 9.5, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8a8d92", "axes.linewidth": 0.7,
    "axes.grid": True, "grid.color": "#e8e5dd", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "xtick.color": "#5f6268", "ytick.color": "#5f6268", "axes.labelcolor": "#1d1e20", "legend.frameon": False,
    "figure.dpi": 160, "savefig.dpi": 160, "figure.constrained_layout.use": True,
}  # fmt: skip


def write_all(figures: Mapping[str, Callable[[_Subject], Figure]], subject: _Subject, folder: Path) -> list[Path]:
    """Draws each figure of `subject` into `folder`/NAME.png. OSError where that cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(_STYLE):
        for name, make in figures.items():
            path = folder / f"{name}.png"
            make(subject).savefig(path)
            written.append(path)
    return written
