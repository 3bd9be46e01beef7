"""Measures the report of a large run in a real browser: 12 layers × 1000 snapshots by default, made up.

Per load, in a Chromium of its own: from the start of the navigation until everything is drawn; then until the page has
answered to its slider (the input event handled, the slice of weights redrawn, the next frame there), then to the mouse
(a label under the pointer). Beside them the processor time of the page's main thread, which depends less on what else
the machine does. Prints a Markdown table. Needs chromium and chromedriver (launch/setup.sh --test).
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from results import ROOT, caption, table, write_json

sys.path.insert(0, str(ROOT / "analysis/tests"))

import large
from browser import Page, chromium
from selenium import webdriver
from weightscope.report.command import main as report

# Two frames after the event: the first one draws what the event changed, the second one begins when it is shown.
SLIDER = """
const done = arguments[0], slider = document.querySelector("article:not([hidden]) input[name=row]");
const lines = "article:not([hidden]) [data-figure=slice] path.js-line";
const drawn = () => [...document.querySelectorAll(lines)].map((line) => line.getAttribute("d")).join();
const before = drawn(), start = performance.now();
slider.value = Math.floor(slider.max / 2);
slider.dispatchEvent(new Event("input", {bubbles: true}));
const look = () => requestAnimationFrame(() => drawn() === before ? look()
    : requestAnimationFrame(() => done(performance.now() - start)));
look();
"""
HOVER = """
const done = arguments[0], figure = document.querySelector("[data-figure=std]"), start = performance.now();
const {xaxis, yaxis} = figure._fullLayout, line = figure.data[5], middle = Math.floor(line.x.length / 2);
const pad = figure.querySelector(".nsewdrag"), box = pad.getBoundingClientRect();
const at = {bubbles: true, clientX: box.left + xaxis.d2p(line.x[middle]), clientY: box.top + yaxis.d2p(line.y[middle])};
for (const kind of ["mouseover", "mousemove"]) pad.dispatchEvent(new MouseEvent(kind, at));
const look = () => requestAnimationFrame(() => figure.querySelector(".hoverlayer .hovertext")
    ? done(performance.now() - start) : look());
look();
"""


def thread_seconds(session: webdriver.Chrome) -> float:
    """Processor time of the page's main thread so far."""
    metrics = session.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(m["value"] for m in metrics if m["name"] == "ThreadTime")


def one_load(page: Path) -> dict[str, float]:
    """Times in ms."""
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as session:
        session.execute_cdp_cmd("Performance.enable", {})
        session.get("about:blank")
        loaded = Page(session, page)
        spent = thread_seconds(session)
        slider = session.execute_async_script(SLIDER)
        session.execute_script("document.querySelector('[data-figure=std]').scrollIntoView({block: 'center'})")
        hover = session.execute_async_script(HOVER)
        if loaded.errors():
            raise RuntimeError("; ".join(loaded.errors()))
        return {
            "drawn": loaded.ready_ms,
            "slider": slider,
            "hover": hover,
            "interactive": loaded.ready_ms + slider,
            "thread": 1000 * spent,
        }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--snapshots", type=int, default=1000)
    parser.add_argument("--loads", type=int, default=7)
    parser.add_argument("--json", type=Path, help="all timings")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where to leave the page")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        experiment = large.experiment(Path(folder) / "e.h5", layers=arguments.layers, snapshots=arguments.snapshots)
        page = arguments.keep or Path(folder) / "report.html"
        before, clock = time.perf_counter(), time.process_time()
        if report([str(experiment), "-o", str(page)]):
            return 1
        writing = {"seconds": time.perf_counter() - before, "processor_seconds": time.process_time() - clock}
        size = page.stat().st_size
        loads = [one_load(page) for _ in range(arguments.loads)]
    rows = [
        ("everything drawn", "drawn"),
        ("… processor time of the main thread", "thread"),
        ("then: slider moved until redrawn", "slider"),
        ("then: pointer moved until its label", "hover"),
        ("**interactive**: drawn and slider answered", "interactive"),
    ]
    lines = [["size of the page, MB", f"{size / 1e6:.2f}", ""]]
    processor = f"{writing['processor_seconds']:.1f} s of processor"
    lines.append(["weightscope-report, s", f"{writing['seconds']:.1f}", processor])
    for title, name in rows:
        values = sorted(load[name] for load in loads)
        lines.append([f"{title}, ms", f"{median(values):.0f}", f"{values[0]:.0f}–{values[-1]:.0f}"])
    shape = f"{arguments.layers} layers × {arguments.snapshots} snapshots, {arguments.loads} loads"
    print(table([shape, "median", "range"], lines))
    print(f"\n{caption()} Load average after: {os.getloadavg()[0]:.1f}.")
    if arguments.json:
        settings = {"layers": arguments.layers, "snapshots": arguments.snapshots, "loads": arguments.loads}
        write_json(arguments.json, settings, [{"bytes": size, "writing": writing, "loads": loads}])
    return 0


if __name__ == "__main__":
    sys.exit(main())
