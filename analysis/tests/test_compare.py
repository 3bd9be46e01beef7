"""weightscope-compare: the table, the claims over seeds, and honesty about what cannot be compared."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
import synthetic
import tails
import weightscope
from browser import Page, chromium
from h5write import write
from matplotlib.collections import QuadMesh
from weightscope import grouping
from weightscope.compare.command import main
from weightscope.compare.figures import FIGURES
from weightscope.compare.result import compare
from weightscope.run import usable
from weightscope.seeds.decide import CLAIMS
from weightscope.seeds.drawn import as_drawn
from weightscope.seeds.table import depth_rows


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


def test_one_run_has_no_interval_that_reaches_to_zero(seeds: list[Path], tmp_path: Path) -> None:
    into = tmp_path / "c.json"
    assert main([str(seeds[0]), "--json", str(into)]) == 0
    for component in json.loads(into.read_text())["experiments"][0]["by_layer"].values():
        for values in component.values():
            assert None not in values["mean"]
            assert set(values["low"]) == set(values["high"]) == {None}
    (found,) = compare([usable(str(seeds[0]))]).examined
    assert "nan" not in str(depth_rows(found)).lower()
    figure = FIGURES["growth_by_depth"](compare([usable(str(seeds[0]))]))
    assert all(ax.get_ylim()[0] > 0.5 for ax in figure.axes if ax.has_data()), "no bar down to zero"


def test_the_same_seed_twice_is_one_sample(seeds: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(seeds[0].read_bytes())
    runs = [weightscope.open(path) for path in (seeds[0], copy, seeds[1])]
    (group,) = grouping.by_configuration(runs)
    assert group.seeds == ["1", "2"]
    assert group.left_out[0][1] == "the same seed once more is no new sample"


def test_the_same_weights_under_another_seed_are_one_sample(
    seeds: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of runs in which the seed decides nothing: init.from, data in order, no dropout."""
    copies = []
    for seed in (1, 2, 3):
        path = tmp_path / f"{seed}.h5"
        path.write_bytes(seeds[0].read_bytes())
        with h5py.File(path, "r+") as file:
            text = str(file.attrs["config"])
            assert "seed: 1\n" in text
            file.attrs["config"] = text.replace("seed: 1\n", f"seed: {seed}\n")
        copies.append(path)
    (group,) = grouping.by_configuration([weightscope.open(path) for path in copies])
    assert group.seeds == ["1"]
    assert [why for _, why in group.left_out] == [
        f"its weights are those of {group.runs[0].name} (seed 1): no new sample"
    ] * 2
    assert verdicts(capsys, *copies)["early", "q"] == "undecided from one run"


def test_other_configurations_are_other_experiments(seeds: list[Path], tmp_path: Path) -> None:
    small = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 600), seed=9)
    runs = [weightscope.open(path) for path in (seeds[0], synthetic.experiment(tmp_path / "e.h5", small))]
    assert [len(group.runs) for group in grouping.by_configuration(runs)] == [1, 1]


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


def test_the_page_shows_verdicts_numbers_and_figures_of_groups(files: list[Path], tmp_path: Path) -> None:
    assert main([*map(str, files), "-o", str(tmp_path / "compare.html")]) == 0
    with chromium(tmp_path / "profile") as driver:
        page = Page(driver, tmp_path / "compare.html")
        assert page.errors() == []
        groups = page.run("Array.from(document.querySelectorAll('section.group'), (g) => g.innerText)")
        assert [text.split("\n")[0] for text in groups] == ["gpt2", "xavier"]
        for words in ("4 seeds (1, 2, 3, 4)", "judged at step 100", "Early layers widen faster", "holds", "Fused QKV"):
            assert words in groups[0], words
        assert page.run("document.querySelector('section.group').querySelectorAll('.claims.wide td').length") == 5 * 7
        page.session.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; });")
        said = page.run("document.querySelector('main').innerText")
        for words in ("|W−W₀|/|W₀|", "walk alone", "gpt2 − xavier", "slope", "Theil–Sen", "mixture"):
            assert words in said, words
        overview = page.run("document.querySelector('table.overview').innerText")
        assert "holds for 6 of 6" in overview
        assert "undecided" in overview
        assert page.run("document.querySelector('table.overview a').hash") == "#group-1"
        assert page.run("document.querySelector('#group-2').closest('section').innerText").startswith("xavier")
        figure = "document.querySelector('[data-figure=groups]')"
        assert page.run(f"{figure}.querySelectorAll('.scatterlayer .point').length") == 2
        assert page.run(f"{figure}.querySelectorAll('.errorbars .errorbar').length") == 2
        assert page.run(f"Array.from({figure}.querySelectorAll('.ytick text'), (t) => t.textContent)") == [
            "xavier",
            "gpt2",
        ]
        # A band and a line for each group; bars by depth; a click on a claim draws another effect.
        for figure, lines in (("effect", 4), ("depth", 2), ("walk", 2)):
            drawn = page.run(f"document.querySelectorAll('[data-figure={figure}] .scatterlayer .trace').length")
            assert drawn == lines, figure
        title = "document.querySelector('[data-figure=effect] .ytitle').textContent"
        assert "Kendall" in page.run(title)
        page.session.execute_script(
            "const c = document.querySelector('[name=claim]'); c.value = 0;"
            "c.dispatchEvent(new Event('input', {bubbles: true}));"
        )
        page.wait(f"{title}.includes('std(t) / std(start)')", 10)
        assert page.errors() == []
        narrow = Page(driver, tmp_path / "compare.html", width=420)
        assert narrow.run("document.documentElement.scrollWidth") <= 420


def test_json_markdown_and_figures_are_written(files: list[Path], tmp_path: Path) -> None:
    where = [tmp_path / name for name in ("c.json", "c.md", "figures")]
    arguments = [*map(str, files), "--json", str(where[0]), "--markdown", str(where[1]), "--figures", str(where[2])]
    assert main(arguments) == 0
    said = json.loads(where[0].read_text(encoding="utf-8"))
    group = said["experiments"][0]
    assert (group["label"], group["seeds"], group["step"]) == ("gpt2", ["1", "2", "3", "4"], 100)
    wider = next(f for f in group["findings"] if (f["claim"], f["component"]) == ("wider", "q"))
    course = weightscope.adamw_course(weightscope.open(files[0]))
    assert course is not None
    alone = course["random_rms"].sel(component="q").values
    assert wider["beside"]["AdamW alone"]["mean"] == pytest.approx(np.log(alone[-1] / alone[0]).mean(), abs=0.02)
    assert [(c["a"], c["b"], c["claim"]) for c in group["parts"]][:2] == [("q", "v", "wider"), ("k", "v", "wider")]
    finding = next(f for f in group["findings"] if (f["claim"], f["component"]) == ("early", "q"))
    assert finding["low"] <= finding["effect"] <= finding["high"]
    assert (finding["n_layers"], finding["n_seeds"]) == (3, 3)
    assert len(finding["course"]["mean"]) == len(finding["course"]["step"]) == 4
    assert set(group["by_layer"]["q"]) == {"growth", "displacement"}
    assert said["differences"][0]["differing"] == ["init.scheme"]
    text = where[1].read_text(encoding="utf-8")
    for words in ("## gpt2", "## xavier", "| Claim | Q | K | V |", "**holds**", "## Groups against each other"):
        assert words in text, words
    assert all(line.count("|") > 2 for line in text.splitlines() if line.startswith("|"))
    assert {path.stem for path in where[2].iterdir()} == set(FIGURES)


def many_groups(files: list[Path], folder: Path, seeds: int) -> list[str]:
    """Ten groups, made from two files by another configuration and, for each seed, weights a little different."""
    made, rng = [], np.random.default_rng(20261127)
    for group, seed in product(range(10), range(seeds)):
        path = folder / f"{group}-{seed}.h5"
        path.write_bytes(files[seed % 2].read_bytes())
        with h5py.File(path, "r+") as file:
            config = str(file.attrs["config"]).replace("width: 16", f"width: {16 + group}")
            file.attrs["config"] = re.sub(r"seed: \d+", f"seed: {seed + 1}", config)
            file.attrs["name"] = f"wide-{group}-seed-{seed + 1}"
            std = np.asarray(file["std"])
            std[1:] *= np.exp(0.01 * rng.standard_normal(std.shape[1:]))
            file["std"][...] = std  # pyright: ignore[reportIndexIssue]
        made.append(str(path))
    return made


def test_figures_of_many_groups_have_a_row_for_each(files: list[Path], tmp_path: Path) -> None:
    c = compare([usable(path, histograms=False) for path in many_groups(files, tmp_path, 3)])
    over_time = FIGURES["wider_over_time"](c)
    meshes = [m for ax in over_time.axes[:6] for m in ax.collections if isinstance(m, QuadMesh)]
    assert len(meshes) == 6 * 10
    q = c.examined[3].of("wider", "q")
    row = next(m for m in over_time.axes[0].collections[3:4] if isinstance(m, QuadMesh))
    np.testing.assert_allclose(np.ravel(row.get_array()), np.exp(q.course.mean))
    assert row.norm(1) == pytest.approx(0.5)
    assert row.norm(0.5) + row.norm(2) == pytest.approx(1)
    assert row.norm.vmin > 0  # a ratio is never below it
    shares = FIGURES["early_over_time"](c).axes[0].collections[0].norm
    assert shares(-0.5) + shares(0.5) == pytest.approx(1)
    decided = set()
    for claim in CLAIMS:
        dots = [line for line in FIGURES[f"{claim}_by_group"](c).axes[0].lines if line.get_marker() == "o"]
        found = [f.of(claim, "q") for f in c.examined]
        assert [float(line.get_ydata()[0]) for line in dots] == list(range(10))
        drawn = [float(line.get_xdata()[0]) for line in dots]
        np.testing.assert_allclose(drawn, [as_drawn(claim, np.array(d.effect.mean)) for d in found])
        filled = [line.get_markerfacecolor() != "white" for line in dots]
        assert filled == [d.verdict != "undecided" for d in found], claim
        decided |= set(filled)
    assert decided == {True, False}
    few = FIGURES["wider_over_time"](replace(c, examined=c.examined[:2]))
    assert not any(isinstance(m, QuadMesh) for ax in few.axes for m in ax.collections)


def test_many_groups_are_folded_until_one_is_asked_for(files: list[Path], tmp_path: Path) -> None:
    assert main([*many_groups(files, tmp_path, 3), "-o", str(tmp_path / "compare.html")]) == 0
    with chromium(tmp_path / "profile") as driver:
        page = Page(driver, tmp_path / "compare.html")
        folds = "Array.from(document.querySelectorAll('details.fold'), (d) => d.open)"
        assert page.run(folds) == [False] * 10
        assert page.run("document.querySelectorAll('[data-figure=groups] .ytick text').length") == 10
        page.session.execute_script("document.querySelectorAll('table.overview a')[3].click()")
        page.wait("document.querySelectorAll('details.fold')[3].open", 10)
        assert page.run(folds).count(True) == 1
        assert page.errors() == []


def test_eighty_runs_are_compared_quickly(files: list[Path], tmp_path: Path) -> None:
    """Seconds, not minutes."""
    made = many_groups(files, tmp_path, 8)
    start = time.process_time()
    assert (
        main([*made, "-o", str(tmp_path / "c.html"), "--json", str(tmp_path / "c.json"), "--figures", str(tmp_path)])
        == 0
    )
    assert time.process_time() - start < 60
    said = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert [len(group["seeds"]) for group in said["experiments"]] == [8] * 10
    assert (tmp_path / "c.html").stat().st_size < 20e6


def test_runs_that_hold_little_are_compared_all_the_same(tmp_path: Path) -> None:
    """One layer, one snapshot, no displacement, no configuration, weights that are not finite, a run that goes on."""
    small = synthetic.Truth(layers=1, heads=1, width=8, walk=(1.0,), steps=(0, 1, 2))
    one = synthetic.experiment(tmp_path / "one.h5", small, steps=(0,))
    attrs, groups = synthetic.groups(small)
    bare = {name: values for name, values in groups[""].items() if not name.startswith(("displacement", "head_"))}
    plain = write(tmp_path / "plain.h5", {k: v for k, v in attrs.items() if k != "config"}, {"": bare})
    lost = synthetic.groups(replace(small, seed=4))
    for name in ("std", "kurtosis", "displacement"):
        lost[1][""][name][1:] = np.nan
    broken = write(tmp_path / "broken.h5", *lost)
    live = tails.run_directory(tmp_path / "live", replace(small, seed=5), 1)
    others = [synthetic.experiment(tmp_path / f"{seed}.h5", small, seed=seed) for seed in (2, 3)]
    written = [tmp_path / name for name in ("c.html", "c.json", "c.md", "figures")]
    options = zip(("-o", "--json", "--markdown", "--figures"), map(str, written), strict=True)
    files = map(str, [one, plain, broken, live, *others])
    assert main([*files, *(word for pair in options for word in pair)]) == 0
    said = json.loads(written[1].read_text(encoding="utf-8"))
    verdicts = {f["verdict"] for group in said["experiments"] for f in group["findings"]}
    assert verdicts <= {"holds", "reversed", "undecided", "undecided from one run"}
    assert all(
        f["verdict"].startswith("undecided")
        for f in said["experiments"][0]["findings"]
        if f["n_layers"] < 2 and f["claim"] in ("early", "first")
    )
    with chromium(tmp_path / "profile") as driver:
        assert Page(driver, written[0]).errors() == []


def test_an_unusable_file_is_exit_code_4(seeds: list[Path], tmp_path: Path) -> None:
    assert main([str(seeds[0]), str(tmp_path / "missing.h5")]) == 4
