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
_SMALL: Final = 4096  # bytes that are not worth an index of their own


def _kept(data: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """The datasets that are there, with the coordinates they use; real numbers as float32."""
    kept = data[[name for name in names if name in data.data_vars]]
    kept = kept.drop_vars([name for name in kept.coords if name not in kept.dims])
    return kept.assign({name: v.astype(np.float32) for name, v in kept.data_vars.items() if v.dtype == np.float64})


def _stored(data: xr.Dataset) -> dict[str, dict[str, Any]]:
    """How netCDF is to store each: whole, and packed where there is something to gain."""
    stored: dict[str, dict[str, Any]] = {}
    for name, values in data.variables.items():
        if values.dtype.kind in "iuf":
            packed = {"zlib": True, "complevel": 9, "shuffle": True, "chunksizes": values.shape}
            stored[str(name)] = {"_FillValue": None, **(packed if values.nbytes > _SMALL else {})}
    return stored


def write_extract(run: Run, path: Path) -> None:
    """Real numbers are rounded to float32 (relative error below 6e-8); coordinates, configuration and attributes stay
    as they are. Through a temporary name."""
    about = {name: value for name, value in run.attrs.items() if name not in _LEFT and not name.startswith("_NC")}
    root = _kept(run.snapshots, _ROOT).assign_attrs({**about, "extract": "what weightscope-compare reads of a run"})
    groups = {"/": root} | {f"/{name}": _kept(getattr(run, name), wanted) for name, wanted in _GROUPS.items()}
    groups = {name: data for name, data in groups.items() if data.data_vars}
    partial = path.with_name(path.name + ".partial")
    encoding = {name: _stored(data) for name, data in groups.items()}
    xr.DataTree.from_dict(groups).to_netcdf(partial, engine="h5netcdf", encoding=encoding)
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
