"""The notebooks in examples/ run from top to bottom, each cell in the state that the one before left."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(
    notebook: Path, experiment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    drawn = []
    monkeypatch.setattr(plt, "show", lambda: (drawn.append(len(plt.gcf().axes[0].get_children())), plt.close()))
    monkeypatch.setenv("WEIGHTSCOPE_RUN", str(experiment))
    content = json.loads(notebook.read_text())
    cells = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    state: dict[str, object] = {}
    for number, cell in enumerate(cells, 1):
        exec(compile(cell, f"{notebook.name}, code cell {number}", "exec"), state)
    assert len(drawn) == sum(cell.count("plt.show()") for cell in cells)
    assert all(children > 10 for children in drawn)
    out = capsys.readouterr().out
    assert "holds" in out
    assert all(cell["outputs"] == [] for cell in content["cells"] if cell["cell_type"] == "code")  # kept small


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
