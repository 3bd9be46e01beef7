"""The live page of weightscope-watch in a real browser, while the run goes on."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import synthetic
import tails
from browser import Page, chromium
from h5write import write
from selenium import webdriver
from weightscope import watch
from weightscope.live.server import Watched, server
from weightscope.live.state import state

TRUTH = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 4, 8, 20, 40))
ATTRS, GROUPS = synthetic.groups(TRUTH)
DRAWN = ("loss", "std", "latest", "slice")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@contextmanager
def serving(path: Path, every: float = 0.2) -> Iterator[int]:
    with server(path, 0, every) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(made.server_address[1])
        finally:
            made.shutdown()
            thread.join()


def asked(port: int, path: str = "/state.json", host: str | None = None, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={"Host": host} if host else {})
    try:
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def log(folder: Path, step: int, **more: Any) -> None:
    with (folder / "log.jsonl").open("a") as out:
        out.write(json.dumps({"event": "train", "step": step, "loss": 3.0, "step_seconds": 2.0, **more}) + "\n")


def test_new_data_appears_without_a_reload_and_controls_redraw(session: webdriver.Chrome, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with serving(folder) as port:
        session.get_log("browser")
        page = Page(session, f"http://127.0.0.1:{port}/")
        said = "document.querySelector('[data-live=status]').textContent"
        assert page.run(said) == "waiting"
        page.run("window.kept = 1")
        made = tmp_path / "made"
        tails.run_directory(made, TRUTH, 2)
        for late in (20, 40):
            (made / "tail" / f"{late:012d}.h5").unlink()
        made.rename(folder)  # all at once: what was drawn of a part of it could be what is drawn in the end
        page.wait(f"{said} === 'running'", 20)
        for figure in DRAWN:
            page.wait(f"document.querySelectorAll('[data-figure={figure}] path.js-line').length", 20)
        assert page.run("document.querySelector('progress').value") == 8
        before = {figure: page.drawn(figure) for figure in DRAWN}

        tails.write_tail(folder, {**ATTRS, "status": "running"}, GROUPS, 3)
        log(folder, 24)
        page.wait("document.querySelector('progress').value === 25", 20)
        page.wait("document.querySelector('[data-figure=std]').data[0].x.length === 4", 20)
        page.wait("document.querySelector('[data-reading=slice]').textContent.includes('at step 20')", 20)
        assert "30.0 s" in page.run("document.querySelector('[data-live=readings]').textContent")  # 15 updates of 2 s
        for figure in DRAWN:  # plotly draws when it gets round to it
            page.wait(f"{before[figure]!r} !== (() => {{ {page.drawn_script(figure)} }})()", 20)

        drawn = page.drawn("latest")
        page.set("component", "3")
        page.wait(f"{drawn!r} !== (() => {{ {page.drawn_script('latest')} }})()", 10)
        page.set("layer", "1")
        page.wait("document.querySelector('[data-reading=slice]').textContent.startsWith('Value of layer 1')", 10)

        write(folder / "experiment.h5", ATTRS, GROUPS)
        page.wait(f"{said} === 'finished'", 20)
        page.wait("document.querySelectorAll('[data-live=alarms] tbody tr').length === 1", 10)
        assert page.run("document.querySelector('[name=layer]').value") == "1"  # what was chosen stays
        assert page.run("window.kept") == 1
        assert page.errors() == []
        assert page.run("performance.getEntriesByType('resource').every((r) => r.name.includes('state.json'))")


def test_a_file_without_losses_is_drawn_and_a_long_run_is(session: webdriver.Chrome, tmp_path: Path) -> None:
    """As `init` and `measure` write them: no train, no eval."""
    attrs, groups = synthetic.groups(TRUTH)
    with serving(write(tmp_path / "experiment.h5", attrs, {"": groups[""]})) as port:
        session.get_log("browser")
        page = Page(session, f"http://127.0.0.1:{port}/")
        for figure in DRAWN[1:]:
            page.wait(f"document.querySelectorAll('[data-figure={figure}] path.js-line').length", 20)
        assert page.run("document.querySelector('[data-live=status]').textContent") == "finished"
        # 12 layers of 1500 snapshots: each value as an argument would be too many.
        page.run("weightscope.view.run.std.values = new Float32Array(12 * 7 * 1500).fill(0.5)")
        page.set("density", "log")
        page.wait("document.querySelector('[data-figure=latest]').layout.xaxis.range[1] === 2.1", 10)
        assert page.errors() == []


def test_a_fault_of_the_page_is_no_silence_of_the_server_and_it_goes_on(
    session: webdriver.Chrome, tmp_path: Path
) -> None:
    folder = tails.run_directory(tmp_path / "run", TRUTH, 2)
    with serving(folder) as port:
        page = Page(session, f"http://127.0.0.1:{port}/")
        page.run("(weightscope.view.drawAll = () => { throw new TypeError('a fault'); }, 1)")
        log(folder, 44)
        page.wait("document.querySelector('progress').value === 45", 20)
        log(folder, 46)
        page.wait("document.querySelector('progress').value === 47", 20)
        assert page.run("document.querySelector('[data-live=status]').textContent") == "running"
        session.get_log("browser")


def test_a_run_with_fewer_layers_takes_the_place_of_another(session: webdriver.Chrome, tmp_path: Path) -> None:
    file = synthetic.experiment(tmp_path / "experiment.h5", TRUTH)
    with serving(file) as port:
        session.get_log("browser")
        page = Page(session, f"http://127.0.0.1:{port}/")
        page.set("layer", "1")
        page.wait("document.querySelector('[data-reading=slice]').textContent.startsWith('Query of layer 1')", 10)
        synthetic.experiment(file, TRUTH, layers=1, walk=(1.0,))
        page.wait("document.querySelectorAll('[name=layer] option').length === 1", 20)
        page.wait("document.querySelector('[data-reading=slice]').textContent.startsWith('Query of layer 0')", 10)
        assert page.run("document.querySelector('[name=layer]').value") == "0"
        assert page.errors() == []


def test_the_page_fits_a_narrow_window_and_a_dark_screen(tmp_path: Path) -> None:
    file = synthetic.experiment(tmp_path / "experiment.h5", TRUTH)
    with serving(file) as port, chromium(tmp_path / "profile") as driver:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        page = Page(driver, f"http://localhost:{port}/", width=420)
        page.wait("document.querySelectorAll('[data-figure=slice] path.js-line').length", 20)
        assert page.run("document.documentElement.scrollWidth") <= 420
        assert page.run("document.documentElement.dataset.theme") == "dark"
        assert page.errors() == []


def test_names_from_the_file_are_text(session: webdriver.Chrome, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title=1>"
    truth = synthetic.Truth(layers=1, walk=(1.0,), width=8, heads=1, steps=(0, 1), attrs={"name": name})
    with serving(synthetic.experiment(tmp_path / "experiment.h5", truth)) as port:
        page = Page(session, f"http://127.0.0.1:{port}/")
        page.wait(f"document.querySelector('h1').textContent === {name!r}", 20)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost@evil", "[::2]"]
)
def test_a_page_of_another_name_is_refused(host: str, tmp_path: Path) -> None:
    with serving(tmp_path) as port:
        assert asked(port, "/", host)[0] == 403
        assert asked(port, "/state.json", host)[0] == 403


def test_loopback_names_at_any_port_are_served_and_nothing_else_is_there(tmp_path: Path) -> None:
    with serving(tmp_path) as port:
        for host in ("localhost:9999", "127.0.0.1:1", "[::1]:8400"):
            assert asked(port, "/", host)[0] == 200
        assert asked(port, "/../../etc/passwd")[0] == 404
        assert asked(port, "/", method="POST")[0] == 501


def test_only_loopback_listens(tmp_path: Path) -> None:
    with server(tmp_path, 0, 1) as made:
        assert made.server_address[0] == "127.0.0.1"


def test_what_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    folder = tails.run_directory(tmp_path / "run", TRUTH, 2)
    with serving(folder) as port:
        code, body = asked(port)
        version = json.loads(body)["version"]
        assert code == 200
        assert asked(port, f"/state.json?have={version}") == (204, b"")
        log(folder, 41)
        assert json.loads(asked(port, f"/state.json?have={version}")[1])["done"] == 42


def test_a_page_of_another_server_at_this_port_gets_the_state(tmp_path: Path) -> None:
    versions = [json.loads(Watched(tmp_path).body())["version"] for _ in range(2)]
    assert versions[0] != versions[1]
    assert Watched(tmp_path).body(versions[0]) != b""


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    attrs, groups = synthetic.groups(TRUTH)
    for name in ("std", "histogram"):
        rest = {key: values for key, values in groups[""].items() if key != name}
        file = write(tmp_path / f"{name}.h5", attrs, {**groups, "": rest})
        assert state(file)["message"] == f"{file}: no dataset {name} (the file is incomplete)"
    without = {key: values for key, values in groups["train"].items() if key != "loss"}
    assert state(write(tmp_path / "loss.h5", attrs, {**groups, "train": without}))["status"] == "finished"


def test_what_fails_in_the_server_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Path) -> None:
        raise ValueError("a fault\nof the server")

    monkeypatch.setattr("weightscope.live.server.state", broken)
    with serving(tmp_path) as port:
        for _ in range(2):
            with pytest.raises(http.client.RemoteDisconnected):
                asked(port)
    assert capsys.readouterr().err == "weightscope-watch: ValueError: a fault of the server\n"


def test_a_file_that_cannot_be_read_for_a_moment_takes_nothing_away(tmp_path: Path) -> None:
    file = synthetic.experiment(tmp_path / "experiment.h5", TRUTH)
    whole = file.read_bytes()
    watched = Watched(file)
    first = json.loads(watched.body())
    file.write_bytes(whole[: len(whole) // 2])
    assert json.loads(watched.body()) == first
    file.write_bytes(whole)
    assert json.loads(watched.body())["status"] == "finished"


def test_the_newest_snapshot_is_shown_while_it_is_in_the_tail(tmp_path: Path) -> None:
    folder = tails.run_directory(tmp_path / "run", TRUTH, 2)
    assert sorted(path.name for path in (folder / "tail").iterdir())[-1] == "000000000040.h5"
    shown = json.loads(Watched(folder).body())
    assert shown["status"] == "running", shown.get("message")


def test_a_log_of_rubbish_does_no_harm(tmp_path: Path) -> None:
    folder = tails.run_directory(tmp_path / "run", TRUTH, 2)
    (folder / "log.jsonl").write_bytes(
        b'\xff\xfe{"step": 1e9}\n[1]\n' + b"[" * 100_000 + b'\n{"event": "train", "step": "x"}\n'
    )
    found = state(folder)
    assert found["status"] == "running"
    assert found["done"] == 40


def test_what_is_no_experiment_is_exit_code_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    assert watch.main([str(tmp_path / "text.h5")]) == 4
    assert capsys.readouterr().err.count("\n") == 1
    with serving(tmp_path) as port:
        assert watch.main([str(tmp_path), "--port", str(port)]) == 4
    assert "choose another with --port" in capsys.readouterr().err
