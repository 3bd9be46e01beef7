"""What is said of the initialization is what the check found: passed, failed and untested parameters apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import weightscope
from weightscope.report import tables
from weightscope.report.context import init_text
from weightscope.report.figures import init_check
from weightscope.run import Run
from weightscope.summary import sentences

TRUTH = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 600), seed=9)


def made(tmp_path: Path, *verdicts: str) -> Run:
    """A run whose first parameters have these verdicts; the last of them stands for all others, too."""
    run = weightscope.open(synthetic.experiment(tmp_path / "experiment.h5", TRUTH))
    n = run.init.sizes["row"]
    column = np.array([*verdicts, *[verdicts[-1]] * n][:n], dtype=object)
    return replace(run, init=run.init.assign(verdict=(run.init["verdict"].dims, column)))


def said(run: Run) -> str:
    return next(
        (line for line in sentences(run) if " start as " in line or "at the start" in line or " started " in line), ""
    )


@pytest.mark.parametrize("what", ["std", "mean", "shape", "not constant", "not finite"])
def test_a_failure_is_called_one(tmp_path: Path, what: str) -> None:
    run = made(tmp_path, "pass", f"fail: {what}", "pass")
    n, name = run.init.sizes["row"], str(run.init["name"].values[1])
    assert said(run) == f"1 of {n} parameters did not start as their scheme says: {name}."
    assert f" 1 of {n} fail." in init_text(run)
    assert tables.init_rows(run)[0][0] == name, "first in the table"
    assert any(row[-1].endswith("fail") for row in tables.init_groups(run))
    legend = init_check(run).axes[0].get_legend()
    expected = run.init["expected_std"].values[1] > 0
    assert legend is not None
    assert ("fail" in [text.get_text() for text in legend.get_texts()]) == expected


def test_weights_from_elsewhere_neither_pass_nor_fail(tmp_path: Path) -> None:
    run = made(tmp_path, "imported")
    assert said(run) == "The weights at the start came from elsewhere: nothing was expected of them."
    assert "pass" not in init_text(run)
    assert {row[-1] for row in tables.init_groups(run)} == {"imported"}


def test_all_that_pass_are_said_to(tmp_path: Path) -> None:
    run = made(tmp_path, "pass")
    assert said(run).startswith(f"All {run.init.sizes['row']} parameters started")
    assert {row[-1] for row in tables.init_groups(run)} == {"pass"}
