"""The figure of a coordinate check: what it shows, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from weightscope import coord_plot

QUANTITIES = ("embedding", "mlp", "residual", "logits", "h.0.mlp", "h.0.residual", "h.1.mlp", "h.1.residual")


def row(quantity: str, measure: str, exponent: float) -> dict[str, Any]:
    sizes = [[[w**exponent * 2**seed for seed in (-1, 1)] for w in (32, 64, 128)] for _ in range(3)]
    if measure == "change":
        sizes[0] = [[0.0, 0.0]] * 3
    return {"quantity": quantity, "measure": measure, "sizes": sizes, "slopes": [{"slope": exponent}], "verdict": ""}


@pytest.fixture
def report() -> dict[str, Any]:
    tables = [
        {
            "parameterization": name,
            "quantities": [row(q, m, exponent) for q in QUANTITIES for m in ("size", "change")],
        }
        for name, exponent in (("standard", 0.5), ("mup", 0.0))
    ]
    return {"widths": [32, 64, 128], "steps": 2, "seeds": [1, 2], "parameterizations": tables}


def test_lines_are_geometric_means_over_seeds(report: dict[str, Any]) -> None:
    figure = coord_plot.draw(report, "size", None)
    axes = figure.axes
    assert [ax.get_title().split()[0] for ax in axes[:4]] == ["embedding", "mlp", "residual", "logits"]
    assert len(axes) == 8
    assert coord_plot.shown(report, 1) == ["embedding", "h.1.mlp", "h.1.residual", "logits"]
    for ax, exponent in ((axes[0], 0.5), (axes[4], 0.0)):
        assert ax.get_xscale() == ax.get_yscale() == "log"
        assert len(ax.lines) == 3
        np.testing.assert_allclose(ax.lines[0].get_ydata(), np.array([32, 64, 128]) ** exponent)


def test_changes_begin_after_the_first_step(report: dict[str, Any]) -> None:
    assert [line.get_label() for line in coord_plot.draw(report, "change", 0).axes[0].lines] == ["1", "2"]


def test_the_command_writes_the_figure_and_refuses_other_files(report: dict[str, Any], tmp_path: Path) -> None:
    source, figure = tmp_path / "coords.json", tmp_path / "new" / "coords.png"
    source.write_text(json.dumps(report))
    assert coord_plot.main([str(source), "-o", str(figure), "--measure", "change"]) == 0
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert coord_plot.main([str(source), "-o", str(figure), "--layer", "2"]) == 4
    report["parameterizations"][0]["quantities"][0]["sizes"] = [1]
    for text in ("", "[]", "{}", json.dumps(report)):
        source.write_text(text)
        assert coord_plot.main([str(source), "-o", str(figure)]) == 4
    assert coord_plot.main([str(tmp_path / "none.json"), "-o", str(figure)]) == 4
