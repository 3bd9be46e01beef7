"""The command weightscope-report: what it reads, writes and answers, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic
import tails
from weightscope.report.command import main
from weightscope.report.figures import FIGURES


def test_a_live_run_is_reported_as_such(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 1, 2, 4))
    folder = tails.run_directory(tmp_path / "run", truth, 2)
    assert main([str(folder), "-o", str(tmp_path / "r.html")]) == 0
    assert "is being trained" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_all_figures_are_written(experiment: Path, tmp_path: Path) -> None:
    assert main([str(experiment), "-o", str(tmp_path / "r.html"), "--figures", str(tmp_path / "figures")]) == 0
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.png" for name in FIGURES}
    assert all((tmp_path / "figures" / name).stat().st_size > 10_000 for name in written)


def test_an_unwritable_place_is_exit_code_5(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main([str(experiment), "-o", str(tmp_path / "file" / "report.html")]) == 5
    assert capsys.readouterr().err.count("\n") == 1
