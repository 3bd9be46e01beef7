"""The report in a real browser, opened as a file, without network."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import large
import numpy as np
import pytest
import synthetic
import weightscope
from browser import Page, chromium
from h5write import write
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from weightscope.report.command import main

DRAWN = (
    *("ridge", "heat", "slice", "std", "growth", "displacement", "kurtosis", "tailratio"),
    *("tailmass", "hill", "weibull", "heads", "updates", "loss"),
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def report(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert main([str(experiment), "-o", str(path)]) == 0
    return path


@pytest.fixture
def page(session: webdriver.Chrome, report: Path) -> Page:
    session.get_log("browser")
    return Page(session, report)


def test_every_figure_is_drawn_without_a_word_in_the_console(page: Page) -> None:
    for figure in DRAWN:
        assert len(page.drawn(figure)) > 100, figure
    assert page.errors() == []
    assert page.run("document.querySelectorAll('[data-figure]').length") == len(DRAWN)


def test_the_page_asks_for_nothing_beyond_itself(page: Page, report: Path) -> None:
    assert page.run("performance.getEntriesByType('resource').length") == 0
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", text)


@pytest.mark.parametrize(
    ("control", "value", "changing", "staying"),
    [
        ("layer", "3", ("ridge", "heat", "slice", "tailmass"), ("std", "heads", "loss", "hill")),
        ("component", "3", ("ridge", "heat", "slice", "std", "kurtosis", "tailratio"), ("loss", "heads")),
        ("component", "2", ("tailmass", "hill", "weibull"), ("loss", "heads")),
        ("component", "6", ("growth", "updates"), ("loss",)),
        ("density", "log", ("ridge", "heat", "slice"), ("std", "loss")),
        ("row", "2", ("slice", "heads"), ("ridge", "std")),
        ("steps", "log", ("std", "kurtosis", "updates", "loss", "hill", "tailmass"), ("ridge", "heads")),
    ],
)
def test_a_control_redraws_what_depends_on_it_and_nothing_else(
    page: Page, control: str, value: str, changing: tuple[str, ...], staying: tuple[str, ...]
) -> None:
    before = {figure: page.drawn(figure) for figure in DRAWN}
    page.set(control, value)
    for figure in changing:
        page.wait(f"{before[figure]!r} !== (() => {{ {page.drawn_script(figure)} }})()", 10)
    for figure in staying:
        assert page.drawn(figure) == before[figure], figure
    assert page.errors() == []


def test_the_sentence_follows_the_controls(page: Page) -> None:
    page.set("layer", "5")
    page.set("row", "0")
    said = page.run("document.querySelector('[data-reading=slice]').textContent")
    assert said.startswith("Query of layer 5 at step 0: std 0.0")
    assert "(1 times the start)" in said
    assert "the cosine to the start is 1." in said


def test_the_drawn_std_is_the_recorded_std(page: Page, experiment: Path) -> None:
    import weightscope

    std = weightscope.open(experiment).snapshots["std"].sel(component="q", layer=2).values
    drawn = page.run("Array.from(document.querySelector('[data-figure=std]').data[2].y)")
    assert drawn == pytest.approx(std.tolist(), rel=2e-4)


def test_the_walk_of_adamw_lies_over_the_std_and_its_rotation_over_the_updates(page: Page, experiment: Path) -> None:
    import weightscope
    from weightscope.equilibrium import adamw_course

    found = adamw_course(weightscope.open(experiment))
    assert found is not None
    named = "document.querySelector('[data-figure={}]').data.find((trace) => trace.name === '{}').y"
    drawn = page.run(named.format("std", "AdamW, random"))
    random = found["random_rms"].sel(component="q").mean("layer").values
    assert drawn == pytest.approx(random.tolist(), rel=2e-4)
    drawn = page.run(named.format("updates", "equilibrium"))
    assert drawn == pytest.approx(found["rotation"].values.tolist(), rel=2e-4)
    assert "rms / random" in page.run("document.querySelector('main').textContent")


def test_the_loss_changes_its_unit(page: Page) -> None:
    page.session.find_element(By.CSS_SELECTOR, "input[value=bits]").click()
    page.wait("document.querySelector('[data-figure=loss]').textContent.includes('bits per byte')", 10)
    shown = page.run("document.querySelector('[data-figure=loss]').data[2].y[0]")
    page.session.find_element(By.CSS_SELECTOR, "input[value=nats]").click()
    page.wait("document.querySelector('[data-figure=loss]').textContent.includes('nats per token')", 10)
    assert page.run("document.querySelector('[data-figure=loss]').data[2].y[0]") == pytest.approx(
        shown * 0.6931, rel=1e-3
    )


def test_alarms_stand_on_the_loss_curve(page: Page, experiment: Path) -> None:
    mark = page.run(
        "((t) => ({ x: Array.from(t.x), y: Array.from(t.y), text: Array.from(t.text) }))"
        "(document.querySelector('[data-figure=loss]').data.find((t) => t.name === 'alarms'))"
    )
    run = weightscope.open(experiment)
    assert mark["x"] == [8]
    assert mark["y"] == pytest.approx([float(run.train["loss"].sel(step=7))], rel=1e-3)
    assert mark["text"] == ["update_ratio_high"]


def test_dark_and_light_change_page_and_figures(page: Page) -> None:
    def colours() -> tuple[str, str]:
        paper = page.run("getComputedStyle(document.body).backgroundColor")
        line = page.run("document.querySelector('[data-figure=loss]').data[1].line.color")
        return paper, line

    light = colours()
    page.session.find_element(By.ID, "theme").click()
    page.wait("document.documentElement.dataset.theme === 'dark'", 5)
    page.wait(f"document.querySelector('[data-figure=loss]').data[1].line.color !== '{light[1]}'", 20)
    assert colours()[0] != light[0]
    page.session.find_element(By.ID, "theme").click()
    page.wait(f"document.querySelector('[data-figure=loss]').data[1].line.color === '{light[1]}'", 20)
    assert colours() == light


def test_every_figure_is_light_when_the_printer_asks(page: Page) -> None:
    colours = "[...document.querySelectorAll('.js-plotly-plot')].map((p) => p._fullLayout.font.color)"
    light = page.run(f"[...new Set({colours})]")
    page.session.find_element(By.ID, "theme").click()
    page.wait(f"{colours}.every((color) => color !== '{light[0]}')", 20)
    assert page.run(f"dispatchEvent(new Event('beforeprint')) && [...new Set({colours})]") == light
    page.run("dispatchEvent(new Event('afterprint'))")
    page.session.find_element(By.ID, "theme").click()


def test_a_dark_screen_gets_a_dark_report(report: Path, tmp_path: Path) -> None:
    with chromium(tmp_path) as driver:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert Page(driver, report).run("document.documentElement.dataset.theme") == "dark"


def test_controls_work_by_keyboard(page: Page) -> None:
    page.session.find_element(By.CSS_SELECTOR, "article .controls select[name=layer]").send_keys(Keys.ARROW_DOWN)
    page.wait("document.querySelector('[data-reading=slice]').textContent.includes('layer 1')", 5)
    page.session.find_element(By.CSS_SELECTOR, "article .controls input[name=row]").send_keys(Keys.ARROW_LEFT)
    page.wait("document.querySelector('output[name=step]').textContent === 'step 500'", 5)


def test_no_figure_or_table_overflows_a_narrow_window(session: webdriver.Chrome, report: Path) -> None:
    page = Page(session, report, width=420)
    assert page.run("document.documentElement.scrollWidth") <= 420


def test_the_first_screen_says_what_happened(page: Page) -> None:
    said = page.run("document.querySelector('.opening').innerText")
    for words in ("6 layers of 4 heads", "600 steps", "validation loss ended at", "All 50 parameters", "holds"):
        assert words in said, words
    assert page.run("document.querySelector('.claims').getBoundingClientRect().top") < 900


def test_several_runs_share_a_page_and_decide_about_depth(
    session: webdriver.Chrome, seeds: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "seeds.html"
    assert main([*map(str, seeds), "-o", str(path), "--figures", str(tmp_path / "figures")]) == 0
    session.get_log("browser")
    page = Page(session, path)
    assert "4 runs that differ only in their seed" in page.run("document.querySelector('.across').innerText")
    before = page.drawn("std")
    session.execute_script(
        "const r = document.getElementById('run'); r.value = 2; r.dispatchEvent(new Event('input'));"
    )
    page.wait("document.querySelectorAll('article.run')[2].querySelectorAll('path.js-line').length > 20")
    assert page.drawn("std") != before
    assert page.errors() == []
    assert len(list((tmp_path / "figures").iterdir())) == 4


def test_a_run_chosen_early_is_shown(session: webdriver.Chrome, seeds: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "seeds.html"
    assert main([*map(str, seeds[:2]), "-o", str(path)]) == 0
    chosen = "const r = document.getElementById('run'); r.value = 1; r.dispatchEvent(new Event('input'));"
    early = path.read_text(encoding="utf-8").replace("ws.started =", f"setTimeout(() => {{ {chosen} }}); ws.started =")
    path.write_text(early, encoding="utf-8")
    session.get_log("browser")
    page = Page(session, path)
    assert page.run("[...document.querySelectorAll('article.run')].map((a) => a.hidden)") == [True, False]
    assert page.errors() == []


def test_twelve_layers_and_a_thousand_snapshots_stay_small_and_quick(session: webdriver.Chrome, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    assert main([str(large.experiment(tmp_path / "large.h5")), "-o", str(path)]) == 0
    assert path.stat().st_size < 10e6
    page = Page(session, path)
    assert page.errors() == []
    assert "of 1000 snapshots are embedded" in page.run("document.querySelector('main').textContent")


def test_a_file_with_weights_only_still_gives_a_report(session: webdriver.Chrome, tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0,)))
    optional = ("head_", "parameter_", "update_ratio", "displacement", "cosine")
    root = {name: values for name, values in groups[""].items() if not name.startswith(optional)}
    attrs = {name: value for name, value in attrs.items() if name != "config"}
    write(tmp_path / "measured.h5", attrs, {"": root})
    assert main([str(tmp_path / "measured.h5"), "-o", str(tmp_path / "r.html"), "--figures", str(tmp_path / "f")]) == 0
    session.get_log("browser")
    assert Page(session, tmp_path / "r.html").errors() == []


def test_a_run_that_diverged_still_gives_a_report(session: webdriver.Chrome, tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 1, 8)))
    root = groups[""]
    for name in ("std", "mean", "rms", "skewness", "kurtosis", "min", "max", "displacement", "head_std"):
        root[name][-1] = np.nan
    root["histogram"][-1] = 0
    root["nonfinite"][-1] = root["count"][-1]
    groups["train"]["loss"][-2:] = np.nan, np.inf
    write(tmp_path / "failed.h5", {**attrs, "status": "failed"}, groups)
    assert main([str(tmp_path / "failed.h5"), "-o", str(tmp_path / "r.html"), "--figures", str(tmp_path / "f")]) == 0
    session.get_log("browser")
    page = Page(session, tmp_path / "r.html")
    assert page.errors() == []
    assert "until it failed" in page.run("document.querySelector('.lede').textContent")
    assert "not finite" in page.run("document.querySelector('main').textContent")


def test_names_from_the_file_are_text_and_not_markup(session: webdriver.Chrome, tmp_path: Path) -> None:
    name = "<script>document.title='owned'</script>"
    truth = synthetic.Truth(layers=1, walk=(1.0,), width=8, heads=1, steps=(0, 1), attrs={"name": name, "config": name})
    assert main([str(synthetic.experiment(tmp_path / "e.h5", truth)), "-o", str(tmp_path / "r.html")]) == 0
    page = Page(session, tmp_path / "r.html")
    assert page.run("document.querySelector('h1').textContent") == name
    assert "owned" not in page.run("document.title").split("'")[0]


def test_the_same_file_gives_the_same_report(experiment: Path, report: Path, tmp_path: Path) -> None:
    time.sleep(1.1)  # a second apart: nothing in the page depends on the clock
    assert main([str(experiment), "-o", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_gradients_and_the_budget_of_the_norm_are_shown_where_they_are_recorded(
    session: webdriver.Chrome, page: Page, tmp_path: Path
) -> None:
    assert "Gradients and the norm" not in page.run("document.querySelector('main').textContent")
    truth = synthetic.Truth(layers=2, heads=2, width=8, walk=(1.0, 0.5), steps=(0, 1, 2, 4))
    attrs, groups = synthetic.groups(truth)
    groups[""] = synthetic.with_updates(groups[""])
    write(tmp_path / "e.h5", attrs, groups)
    words = [str(tmp_path / "e.h5"), "-o", str(tmp_path / "r.html"), "--figures", str(tmp_path / "figures")]
    assert main(words) == 0
    assert {"gradient_std.png", "norm_budget.png"} < {path.name for path in (tmp_path / "figures").iterdir()}
    session.get_log("browser")
    shown = Page(session, tmp_path / "r.html")
    assert "Gradients and the norm of the weights" in shown.run("document.querySelector('main').textContent")
    run = weightscope.open(tmp_path / "e.h5")
    shown.set("layer", "1")
    shown.set("component", "2")  # K
    named = "document.querySelector('[data-figure=budget]').data.find((trace) => trace.name === '{}').y"
    budget = weightscope.norm_budget(run)
    assert budget is not None
    for name, term in (("change", "change"), ("weight decay", "decay"), ("second order", "second_order")):
        right = budget[term].sel(layer=1, component="k").values
        drawn = shown.run(f"Array.from({named.format(name)})")
        assert drawn[0] is None, "no update before the first snapshot"
        assert drawn[1:] == pytest.approx(right[1:].tolist(), rel=2e-4)
    drawn = shown.run("Array.from(document.querySelector('[data-figure=gradient]').data[1].y)")
    std = run.snapshots["gradient_std"].sel(layer=1, component="k").values
    assert drawn[1:] == pytest.approx(std[1:].tolist(), rel=2e-4)
    assert shown.errors() == []
