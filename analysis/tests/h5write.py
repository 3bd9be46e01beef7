"""Writes experiment files as the schema says: netCDF-4 dimension scales, variable-length strings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from weightscope import schema

Columns = dict[str, np.ndarray]


def _put(group: h5py.Group, name: str, values: np.ndarray, growing: bool) -> h5py.Dataset:
    values = np.asarray(values)
    options: dict[str, Any] = {}
    if growing:
        options["maxshape"] = (None, *values.shape[1:])
    if growing and values.size > 1000:
        options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    if values.dtype.kind in "OU":
        return group.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype(), **options)
    return group.create_dataset(name, data=values, **options)


def _write_group(file: h5py.File, name: str, columns: Columns) -> None:
    group = file.require_group(name) if name else file
    key = schema.GROUP_KEY.get(name, schema.SNAPSHOT)
    made = {}
    for column, values in columns.items():
        dims = schema.dimensions(name, column, np.ndim(values))
        assert dims is not None, column
        made[column] = (dims, _put(group, column, values, dims[0] == key))
    for column, (dims, dataset) in made.items():
        if dims == (column,):
            dataset.make_scale(column)
    for column, (dims, dataset) in made.items():
        for axis, dim in enumerate(dims):
            scale = made.get(dim, (None, None))[1] or file.get(dim)
            if dim != column and isinstance(scale, h5py.Dataset) and scale.is_scale:
                dataset.dims[axis].attach_scale(scale)


def write(path: Path, attrs: dict[str, Any], groups: dict[str, Columns]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver=("earliest", "latest")) as file:
        for name, value in attrs.items():
            file.attrs[name] = value
        for name in ("", *schema.GROUP_KEY):
            if groups.get(name):
                _write_group(file, name, groups[name])
    return path
