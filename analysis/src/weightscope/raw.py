"""One HDF5 file as plain arrays with named dimensions. Opens without locks, holds nothing open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from weightscope import schema
from weightscope.errors import UnusableFileError

Column = tuple[tuple[str, ...], np.ndarray]


@dataclass
class RawFile:
    """Root attributes and, by group ("" is the root), dataset name → (dimensions, values)."""

    path: Path
    attrs: dict[str, Any]
    groups: dict[str, dict[str, Column]] = field(default_factory=dict)


def _text(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.size == 1:  # as netCDF writes a number
        value = value.flat[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def _values(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray(dataset.asstr()[()], dtype=object)
    return np.asarray(dataset[()])


def _read_group(group: h5py.Group, name: str, without: frozenset[str]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for key, dataset in group.items():
        if not isinstance(dataset, h5py.Dataset) or key in without:
            continue
        dims = schema.dimensions(name, key, len(dataset.shape))
        if dims is None:
            continue
        if len(dims) != len(dataset.shape):
            where = f"{group.file.filename}: /{name}{'/' if name else ''}{key}"
            raise UnusableFileError(f"{where} has {len(dataset.shape)} dimensions (the schema says {len(dims)})")
        columns[key] = (dims, _values(dataset))
    return columns


def _check(path: Path, attrs: dict[str, Any], root: dict[str, Column]) -> None:
    if attrs.get("Conventions") != schema.CONVENTIONS:
        found = attrs.get("Conventions", "none")
        raise UnusableFileError(
            f"{path}: not an experiment file (Conventions is {found!r}, expected {schema.CONVENTIONS!r})"
        )
    version = attrs.get("schema_version", 0)
    if not isinstance(version, int):
        raise UnusableFileError(f"{path}: schema_version is no number ({version!r})")
    if version > schema.SCHEMA_VERSION:
        raise UnusableFileError(
            f"{path}: schema version {version} is newer than this reader "
            f"({schema.SCHEMA_VERSION}); update the weightscope Python package"
        )
    if schema.SNAPSHOT not in root:
        raise UnusableFileError(f"{path}: no {schema.SNAPSHOT} dataset (the file is incomplete)")


def opened(path: Path) -> h5py.File:
    """Without locks; if this very process holds the file open with locks (a notebook with xarray), as it does."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag values" not in str(error):
            raise
        return h5py.File(path, "r")


def read(path: Path, without: frozenset[str] = frozenset()) -> RawFile:
    """Reads the whole file, `without` some root datasets. FileNotFoundError if it is not there; UnusableFileError if it
    cannot be used."""
    try:
        with opened(path) as file:
            attrs = {key: _text(value) for key, value in file.attrs.items()}
            groups = {"": _read_group(file, "", without)}
            for name in schema.GROUP_KEY:
                group = file.get(name)
                if isinstance(group, h5py.Group):
                    groups[name] = _read_group(group, name, frozenset())
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, KeyError, UnicodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnusableFileError(f"{path}: not readable as HDF5 ({reason})") from error
    _check(path, attrs, groups[""])
    return RawFile(path, attrs, groups)
