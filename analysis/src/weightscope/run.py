"""A run, read: everything the experiment file (and its tail) holds, as xarray datasets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from weightscope import raw, schema
from weightscope.config import parse_config
from weightscope.errors import UnusableFileError
from weightscope.merge import merge

_ATTEMPTS = 5
_DETAILS = ("histogram", "head_", "parameter_", "update_", "gradient_histogram")
_LARGE = frozenset(name for name in schema.ROOT if name.startswith(_DETAILS))


@dataclass
class Run:
    """One experiment. Dimensions are named after their coordinates: `run.snapshots.std.sel(snapshot_step=100)`."""

    path: Path
    snapshots: xr.Dataset
    train: xr.Dataset
    eval: xr.Dataset
    init: xr.Dataset
    alarms: xr.Dataset
    segments: xr.Dataset
    spectra: xr.Dataset
    probe: xr.Dataset
    attrs: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.attrs.get("name") or self.path.stem)

    @property
    def folder_name(self) -> str:
        """The name as that of a file or folder. Names stand in files that may come from anywhere (`../../etc`)."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.name).lstrip(".") or "run"

    @property
    def live(self) -> bool:
        """True while the file says that its run is still going on."""
        return self.attrs.get("status") == "running"

    @property
    def last_step(self) -> int:
        """Step of the last snapshot."""
        return int(self.snapshots[schema.SNAPSHOT].values[-1])

    @property
    def layers(self) -> int:
        return int(self.snapshots.sizes["layer"])

    @property
    def heads(self) -> int:
        return int(self.snapshots.sizes.get("head", 0))


def _dataset(columns: dict[str, raw.Column]) -> xr.Dataset:
    coords = {name: values for name, (dims, values) in columns.items() if dims == (name,)}
    data = {name: column for name, column in columns.items() if name not in coords}
    return xr.Dataset(data, coords=coords)


def _read_directory(directory: Path, without: frozenset[str]) -> raw.RawFile:
    """Tail first, sealed file after: what left the tail meanwhile is in the sealed file by then."""
    tails = []
    for path in sorted((directory / "tail").glob("*.h5"), key=_step_of):
        try:
            tails.append(raw.read(path, without))
        except FileNotFoundError:
            continue  # just sealed
    sealed = directory / "experiment.h5"
    if not sealed.exists():
        if not tails:
            raise UnusableFileError(f"{directory}: no experiment.h5 (not a run directory, or nothing recorded yet)")
        return merge(tails)
    return merge([raw.read(sealed, without), *tails])


def _step_of(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdigit() else -1, path.name)


def _read(path: Path, without: frozenset[str]) -> raw.RawFile:
    for _ in range(_ATTEMPTS):
        try:
            return _read_directory(path, without) if path.is_dir() else raw.read(path, without)
        except FileNotFoundError:
            if not path.exists():
                raise UnusableFileError(f"{path}: no such file or directory") from None
    raise UnusableFileError(f"{path}: files keep vanishing while they are read (is the directory being moved?)")


def open_run(path: str | os.PathLike[str], *, histograms: bool = True) -> Run:
    """Reads a run directory (sealed file and tail) or one .h5 file. Takes no locks and may be called at any
    moment of a live run. `histograms`: without them, and without what stands per head, many runs are read quickly.
    UnusableFileError (exit code 4) when there is nothing that can be used."""
    file = _read(Path(path), frozenset() if histograms else _LARGE)
    data = {name: _dataset(columns) for name, columns in file.groups.items()}
    snapshots = data[""]
    if "bin" in snapshots.coords and "histogram" in snapshots:
        snapshots.bin.attrs["long_name"] = "bin centre (weight value)"
    empty = {name: data.get(name, xr.Dataset()) for name in schema.GROUP_KEY}
    for name in schema.GROUP_TRAILING:  # their axes beyond the rows are those of the root
        axes = [axis for axis in snapshots.coords if axis in empty[name].dims]
        empty[name] = empty[name].assign_coords({axis: snapshots[axis] for axis in axes})
    return Run(
        path=Path(path),
        snapshots=snapshots,
        attrs=file.attrs,
        config=parse_config(str(file.attrs.get("config", ""))),
        **empty,
    )


def refuse_extract(path: str, run: Run) -> None:
    """UnusableFileError for a run whose snapshots have no histograms, whether they were read or not."""
    if run.snapshots.sizes[schema.SNAPSHOT] and "count" not in run.snapshots:
        raise UnusableFileError(
            f"{path}: holds no histograms (as extracts of weightscope-compare do not); use the run itself"
        )


def usable(path: str, *, histograms: bool = True) -> Run:
    """As `open_run`; a run without a snapshot is unusable, too, and an extract where histograms are needed."""
    run = open_run(path, histograms=histograms)
    if not run.snapshots.sizes[schema.SNAPSHOT]:
        raise UnusableFileError(f"{path}: holds no snapshot yet (the run has just begun, or recorded nothing)")
    if histograms:
        refuse_extract(path, run)
    return run
