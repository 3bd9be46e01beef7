"""weightscope-compare --extracts: what is kept of a run says the same again, and says what it is."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import weightscope
from weightscope.compare.command import main
from weightscope.report.command import main as report


def compared(paths: list[Path], into: Path) -> dict[str, object]:
    assert main([*map(str, paths), "--json", str(into)]) == 0
    return json.loads(into.read_text())


def close(a: object, b: object, where: str = "") -> None:
    """Equal but for numbers, which may differ by what float32 rounds away."""
    assert type(a) is type(b), where
    if isinstance(a, dict) and isinstance(b, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            close(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            close(x, y, f"{where}[{i}]")
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-4, abs=2e-5, nan_ok=True), where
    else:
        assert a == b, where


def test_extracts_are_compared_as_the_runs_are(files: list[Path], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert main([*map(str, files), "--extracts", str(kept)]) == 0
    extracts = [kept / f"{weightscope.open(path).name}.h5" for path in files]
    assert sorted(kept.iterdir()) == sorted(extracts)
    close(compared(extracts, tmp_path / "extracts.json"), compared(files, tmp_path / "runs.json"))
    again = tmp_path / "again"
    assert main([*map(str, extracts), "--extracts", str(again)]) == 0
    for path in extracts:
        first, second = weightscope.open(path), weightscope.open(again / path.name)
        assert first.snapshots.equals(second.snapshots)
        assert first.train.equals(second.train)


def test_an_extract_is_small_and_holds_no_machine(files: list[Path], tmp_path: Path) -> None:
    assert main([str(files[0]), "--extracts", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.h5")
    run, extract = weightscope.open(files[0]), weightscope.open(path)
    assert extract.attrs["extract"]
    assert extract.config == run.config
    for name in ("std", "kurtosis"):
        np.testing.assert_allclose(extract.snapshots[name], run.snapshots[name], rtol=6e-8)
    with h5py.File(path) as file:
        held: list[str] = []
        file.visit(held.append)
    assert {"std", "train/loss"} <= set(held)
    assert not [name for name in held if "histogram" in name or "host" in name or name.startswith("head")]
    assert path.stat().st_size < files[0].stat().st_size / 2


def test_runs_of_one_name_are_refused_before_anything_is_written(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tmp_path / "twin.h5"
    twin.write_bytes(files[0].read_bytes())
    assert main([str(files[0]), str(twin), "--extracts", str(tmp_path / "kept")]) == 4
    assert "has the same name as" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()


def test_a_report_of_an_extract_says_what_is_missing(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(files[0]), "--extracts", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.h5")
    capsys.readouterr()
    assert report([str(path), "-o", str(tmp_path / "report.html")]) == 4
    assert f"{path}: holds no histograms" in capsys.readouterr().err
