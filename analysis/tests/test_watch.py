"""weightscope-watch --text follows a run while it grows."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic
import tails
from h5write import write
from weightscope import watch, watch_text
from weightscope.compare.command import main as compare
from weightscope.live.state import state

TRUTH = synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 4, 8, 20, 40))


@pytest.fixture
def growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each time the watcher sleeps, the run has gone on; at the end it is sealed as finished."""
    folder = tails.run_directory(tmp_path / "run", TRUTH, 2)
    waiting = sorted((folder / "tail").glob("*.h5"), key=lambda path: int(path.stem))
    for path in waiting:
        path.rename(path.with_suffix(".later"))

    def go_on(_: float) -> None:
        if waiting:
            path = waiting.pop(0)
            path.with_suffix(".later").rename(path)
        else:
            write(folder / "experiment.h5", *synthetic.groups(TRUTH))

    monkeypatch.setattr(watch_text.time, "sleep", go_on)
    return folder


def test_each_snapshot_is_told_once_until_the_run_ends(growing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch.main([str(growing), "--text"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in lines[1:-1]] == ["0", "4", "8", "20", "40"]
    assert lines[-1] == "status: finished"
    assert lines[1].split()[4:10] == ["×", "1.00"] * 3
    assert lines[1].split()[-1] == "0"
    assert lines[-2].split()[-1] == "1"


def test_what_is_recorded_again_is_told_again_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tails.run_directory(tmp_path / "run", TRUTH, 2)
    attrs, groups = synthetic.groups(TRUTH)
    other = synthetic.groups(synthetic.Truth(layers=2, walk=(1.0, 0.5), width=16, heads=2, steps=(0, 4), seed=2))

    def rewound() -> None:
        for step in (20, 40):
            (folder / "tail" / f"{step:012d}.h5").unlink()

    def again() -> None:
        groups[""]["wall_time"] = groups[""]["wall_time"] + 100.0
        tails.write_tail(folder, {**attrs, "status": "running"}, groups, 3)

    def faster_than_a_look() -> None:
        groups[""]["wall_time"] = groups[""]["wall_time"] + 100.0
        tails.write_tail(folder, {**attrs, "status": "running"}, groups, 3)

    def another_run() -> None:
        for path in (folder / "tail").glob("*.h5"):
            path.unlink()
        write(folder / "experiment.h5", *other)

    coming = [rewound, again, faster_than_a_look, another_run]
    monkeypatch.setattr(watch_text.time, "sleep", lambda _: coming.pop(0)())
    assert watch.main([str(folder), "--text"]) == 0
    told = [row.split()[0] for row in capsys.readouterr().out.splitlines()[1:-1]]
    assert told == ["0", "4", "8", "20", "40", "20", "20", "0", "4"]


def test_once_does_not_wait(growing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch.main([str(growing), "--text", "--once"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "status: running"


def test_the_report_is_written_along(growing: Path, tmp_path: Path) -> None:
    assert watch.main([str(growing), "--text", "-o", str(tmp_path / "live.html")]) == 0
    assert "was trained for 40 steps" in (tmp_path / "live.html").read_text(encoding="utf-8")


def test_no_report_of_an_extract_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, kept = synthetic.experiment(tmp_path / "run.h5", TRUTH), tmp_path / "kept"
    assert compare([str(run), "--extracts", str(kept)]) == 0
    (extract,) = kept.glob("*.h5")
    capsys.readouterr()
    assert watch.main([str(extract), "--text", "--once"]) == 0
    assert watch.main([str(extract), "--text", "--once", "-o", str(tmp_path / "r.html")]) == 4
    assert f"{extract}: holds no histograms" in capsys.readouterr().err
    assert f"{extract}: holds no histograms" in state(extract)["message"]  # of the live page


def test_an_unusable_run_is_exit_code_4(tmp_path: Path) -> None:
    assert watch.main([str(tmp_path / "nothing"), "--text"]) == 4


def test_what_belongs_to_text_is_refused_without_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        watch.main([str(tmp_path), "--once"])
    assert left.value.code == 2
    assert "belong to --text" in capsys.readouterr().err


@pytest.mark.parametrize("every", ["nan", "inf", "0", "-1"])
def test_an_interval_that_is_none_is_refused(tmp_path: Path, every: str) -> None:
    with pytest.raises(SystemExit) as left:
        watch.main([str(tmp_path), "--text", "--every", every])
    assert left.value.code == 2
