"""A headless Chromium that opens files and tells what its console said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

SIZE = (1280, 900)


@contextmanager
def chromium(profile: Path, dark: bool = False) -> Iterator[webdriver.Chrome]:
    driver = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if driver is None or browser is None:
        raise RuntimeError("no chromium or chromedriver (apt-get install chromium chromium-driver)")
    options = Options()
    options.binary_location = browser
    width, height = SIZE
    switches = [
        *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--proxy-server=127.0.0.1:9"),
        f"--window-size={width},{height}",
        f"--user-data-dir={profile}",
        # The sandbox of Chromium refuses to run as root.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
    ]
    for switch in switches:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Selenium would otherwise look for a driver on the network.
    session = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield session
    finally:
        session.quit()


class Page:
    """An opened report, or the page at an address. `ready_ms`: milliseconds until everything was drawn."""

    def __init__(self, session: webdriver.Chrome, where: Path | str, width: int = SIZE[0]) -> None:
        self.session = session
        metrics = {"width": width, "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False}
        session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        session.get(where if isinstance(where, str) else where.resolve().as_uri())
        self.wait("document.documentElement.dataset.ready")
        self.ready_ms = int(self.run("document.documentElement.dataset.ready"))

    def run(self, expression: str) -> Any:
        return self.session.execute_script(f"return ({expression});")

    def wait(self, expression: str, seconds: float = 60) -> None:
        wait = WebDriverWait(self.session, seconds, poll_frequency=0.05)
        wait.until(lambda _: self.run(expression), f"waited for ... {expression[-200:]}")

    def set(self, control: str, value: str) -> None:
        """As a person would: the value, then an input event."""
        self.session.execute_script(
            "const c = document.querySelector(`article:not([hidden]) .controls [name=${arguments[0]}]`);"
            "c.value = arguments[1]; c.dispatchEvent(new Event('input', {bubbles: true}));",
            control, value,
        )  # fmt: skip

    def drawn_script(self, figure: str) -> str:
        """JavaScript that returns what stands in a figure's drawing: paths, images and labels."""
        place = f"article:not([hidden]) [data-figure={figure}]"
        return (
            f"return ['.cartesianlayer path.js-line', '.cartesianlayer image'].flatMap((kind) => "
            f"[...document.querySelectorAll('{place} ' + kind)])"
            ".map((e) => e.getAttribute('d') || e.getAttribute('href') || e.getAttribute('xlink:href')).join('|');"
        )

    def drawn(self, figure: str) -> str:
        return self.session.execute_script(self.drawn_script(figure))

    def errors(self) -> list[str]:
        return [str(e["message"]) for e in self.session.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path: Path) -> Path:
        """The whole page, not only what fits the window."""
        height = self.run("document.documentElement.scrollHeight")
        width = self.run("window.innerWidth")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.session.save_screenshot(str(path))
        return path
