"""The command weightscope-report: what it reads, writes and answers, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic
import tails
from h5write import write
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


def test_a_name_that_is_a_path_stays_in_the_folder_of_the_figures(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=1, walk=(1.0,), width=8, heads=1, steps=(0, 1), attrs={"name": "x/../../../outside"})
    runs = [str(synthetic.experiment(tmp_path / f"{seed}.h5", truth, seed=seed)) for seed in (1, 2)]
    base = tmp_path / "one" / "figures"
    assert main([*runs, "-o", str(tmp_path / "r.html"), "--figures", str(base)]) == 0
    assert {path.name for path in base.iterdir()} == {"1-x_.._.._.._outside", "2-x_.._.._.._outside"}
    assert not list(tmp_path.rglob("outside"))


def test_weights_that_are_not_drawn_are_counted_once(tmp_path: Path) -> None:
    truth = synthetic.Truth(layers=1, walk=(1.0,), width=8, heads=1, steps=(0, 1))
    attrs, groups = synthetic.groups(truth)
    for component, number in ((0, 3), (1, 3), (4, 2)):  # three in Q, and so in the fused matrix; two of attn_proj
        groups[""]["nonfinite"][-1, 0, component] = number
        groups[""]["overflow"][-1, 0, component] = number
    write(tmp_path / "e.h5", attrs, groups)
    assert main([str(tmp_path / "e.h5"), "-o", str(tmp_path / "r.html")]) == 0
    said = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "5 weights of magnitude 16 and above, 5 not finite" in said


def test_the_page_comes_last_so_that_a_newer_page_means_that_nothing_is_missing(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("weightscope.report.command.write_figures", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main([str(experiment), "-o", str(tmp_path / "r.html"), "--figures", str(tmp_path / "figures")])
    assert not (tmp_path / "r.html").exists()


def test_an_unwritable_place_is_exit_code_5(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main([str(experiment), "-o", str(tmp_path / "file" / "report.html")]) == 5
    assert capsys.readouterr().err.count("\n") == 1
