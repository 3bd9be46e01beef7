"""A run reduced to what a comparison reads: an experiment file of some 100 kB that can be kept, sent and compared
again, also when the run itself is gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from weightscope.errors import UnusableFileError
from weightscope.run import Run

_ROOT: Final = ("wall_time", "std", "mean", "rms", "kurtosis", "displacement")
_GROUPS: Final = {"train": ("loss", "lr", "tokens_per_second"), "eval": ("loss",), "segments": ("seconds",)}
_LEFT: Final = ("NX_class", "default")  # they point to pictures of histograms
_ENGINE: Final = "h5netcdf"


def _reduced(data: xr.Dataset, names: Sequence[str]) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """The datasets that are there, with the coordinates they use, and how to store each."""
    kept = data[[name for name in names if name in data.data_vars]]
    kept = kept.drop_vars([name for name in kept.coords if name not in kept.dims])
    encoding: dict[str, dict[str, Any]] = {}
    for name, values in kept.variables.items():
        if values.dtype.kind in "iuf":
            encoding[str(name)] = {"zlib": True, "complevel": 9, "shuffle": True, "_FillValue": None}
        if values.dtype == np.float64 and name not in kept.coords:
            encoding[str(name)]["dtype"] = "float32"
    return kept, encoding


def write_extract(run: Run, path: Path) -> None:
    """Real numbers are rounded to float32 (relative error below 6e-8); coordinates, configuration and attributes stay
    as they are. Through a temporary name."""
    partial = path.with_name(path.name + ".partial")
    root, encoding = _reduced(run.snapshots, _ROOT)
    about = {name: value for name, value in run.attrs.items() if name not in _LEFT and not name.startswith("_NC")}
    root.attrs = {**about, "extract": "what weightscope-compare reads of a run"}
    root.to_netcdf(partial, mode="w", engine=_ENGINE, encoding=encoding)
    for name, wanted in _GROUPS.items():
        group, encoding = _reduced(getattr(run, name), wanted)
        if group.data_vars:
            group.to_netcdf(partial, mode="a", group=name, engine=_ENGINE, encoding=encoding)
    partial.replace(path)


def write_extracts(runs: Sequence[Run], directory: Path) -> None:
    """NAME.h5 of each run. UnusableFileError where two runs would become one file; nothing is written then."""
    names: dict[str, Path] = {}
    for run in runs:
        file = f"{Path(run.name).name}.h5"
        if file in names:
            raise UnusableFileError(f"{run.path}: has the same name as {names[file]} ({run.name}); extract them apart")
        names[file] = run.path
    directory.mkdir(parents=True, exist_ok=True)
    for run, file in zip(runs, names, strict=True):
        write_extract(run, directory / file)
