"""weightscope-compare: the table, the claims over seeds, and honesty about what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic
import weightscope
from browser import Page, chromium
from weightscope import grouping
from weightscope.compare.command import main


def verdicts(capsys: pytest.CaptureFixture[str], *paths: Path) -> dict[tuple[str, str], str]:
    assert main([*map(str, paths), "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    return {(f["claim"], f["component"]): f["verdict"] for f in said["experiments"][0]["findings"]}


def test_four_seeds_decide_about_depth(seeds: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = verdicts(capsys, *seeds)
    assert found["wider", "q"] == "holds"
    assert found["early", "q"] == "holds"
    assert found["first", "q"] == "holds"


def test_two_seeds_do_not(seeds: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert verdicts(capsys, *seeds[:2])["early", "q"] == "undecided"


def test_one_run_does_not(seeds: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert verdicts(capsys, seeds[0])["early", "q"] == "undecided from one run"


def test_the_same_seed_twice_is_one_sample(seeds: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(seeds[0].read_bytes())
    runs = [weightscope.open(path) for path in (seeds[0], copy, seeds[1])]
    assert [len(group) for group in grouping.by_configuration(runs)] == [2, 1]


def test_other_configurations_are_other_experiments(seeds: list[Path], tmp_path: Path) -> None:
    small = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 600), seed=9)
    runs = [weightscope.open(path) for path in (seeds[0], synthetic.experiment(tmp_path / "e.h5", small))]
    assert [len(group) for group in grouping.by_configuration(runs)] == [1, 1]


def test_the_text_says_when_chance_cannot_be_told(
    seeds: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 600), seed=9)
    assert main([str(seeds[0]), str(synthetic.experiment(tmp_path / "e.h5", small))]) == 0
    said = capsys.readouterr().out
    assert "every difference below may be luck" in said
    assert "model.layers" in said


def test_the_page_draws_one_line_per_run(seeds: list[Path], tmp_path: Path) -> None:
    assert main([*map(str, seeds), "-o", str(tmp_path / "compare.html")]) == 0
    with chromium(tmp_path / "profile") as driver:
        page = Page(driver, tmp_path / "compare.html")
        for figure in ("std", "growth", "loss", "val"):
            assert (
                page.run(f"document.querySelectorAll('[data-figure={figure}] .scatterlayer path.js-line').length") == 4
            ), figure
        before = page.run("document.querySelector('[data-figure=std] path.js-line').getAttribute('d')")
        page.session.execute_script(
            "const c = document.querySelector('[name=layer]'); c.value = 4;"
            "c.dispatchEvent(new Event('input', {bubbles: true}));"
        )
        page.wait(f"document.querySelector('[data-figure=std] path.js-line').getAttribute('d') !== '{before}'", 10)
        assert page.errors() == []


def test_an_unusable_file_is_exit_code_4(seeds: list[Path], tmp_path: Path) -> None:
    assert main([str(seeds[0]), str(tmp_path / "missing.h5")]) == 4
