"""The sealed file and the tail as one: rows joined, sorted by step, duplicates removed (the tail's row stays)."""

from __future__ import annotations

import numpy as np

from weightscope import schema
from weightscope.errors import UnusableFileError
from weightscope.raw import Column, RawFile

_BY_STEP = {"": schema.SNAPSHOT, "train": "step", "eval": "step", "spectra": "step", "probe": "step"}


def _last_of_each(keys: np.ndarray) -> np.ndarray:
    """Indices that sort `keys`, keeping for each value its last occurrence."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    keep = np.append(ordered[1:] != ordered[:-1], True) if len(ordered) else np.zeros(0, bool)
    return order[keep]


def _join(parts: list[dict[str, Column]], dim: str) -> dict[str, Column]:
    """Concatenates along `dim`; a dataset that one part lacks is dropped unless it lacks `dim` too."""
    joined: dict[str, Column] = {}
    names = dict.fromkeys(name for part in parts for name in part)
    for name in names:
        having = [part[name] for part in parts if name in part]
        dims = having[0][0]
        if dim not in dims:
            joined[name] = having[0]
        elif len(having) == len(parts):
            joined[name] = (dims, np.concatenate([values for _, values in having], axis=dims.index(dim)))
    return joined


def _take(columns: dict[str, Column], dim: str, rows: np.ndarray) -> dict[str, Column]:
    return {
        name: (dims, np.take(values, rows, axis=dims.index(dim)) if dim in dims else values)
        for name, (dims, values) in columns.items()
    }


def _unique_rows(columns: dict[str, Column]) -> dict[str, Column]:
    """Event rows have no single key: equal rows are one row, also where a value is NaN, which equals nothing."""
    if not columns:
        return columns
    lists = ([None if one != one else one for one in values.tolist()] for _, values in columns.values())
    rows = list(zip(*lists, strict=True))
    first = {row: index for index, row in reversed(list(enumerate(rows)))}
    index = np.array(sorted(first.values()), dtype=int)
    taken = _take(columns, "row", index)
    if "step" in taken:
        taken = _take(taken, "row", np.argsort(taken["step"][1], kind="stable"))
    return taken


def _newest(files: list[RawFile]) -> RawFile:
    """The file with the last snapshot says how the run stands; the sealed one when a tail has only been left over."""
    last = [max(file.groups[""][schema.SNAPSHOT][1], default=-1) for file in files]
    return files[last.index(max(last))]


def merge(files: list[RawFile]) -> RawFile:
    """`files`: the sealed file first, then the tail in order of steps."""
    first = files[0]
    for other in files[1:]:
        if other.attrs.get("uuid", first.attrs.get("uuid")) != first.attrs.get("uuid"):
            raise UnusableFileError(f"{other.path}: belongs to another run than {first.path} (uuid differs)")
    groups: dict[str, dict[str, Column]] = {}
    for name in ("", *schema.GROUP_KEY):
        # A group without rows may come without its datasets: it must not take the others' columns away.
        parts = [file.groups[name] for file in files if file.groups.get(name)]
        if not parts:
            continue
        if name in _BY_STEP:
            joined = _join(parts, _BY_STEP[name])
            key = joined[_BY_STEP[name]][1]
            groups[name] = _take(joined, _BY_STEP[name], _last_of_each(key))
        elif name == "alarms":
            groups[name] = _unique_rows(_join(parts, "row"))
        else:
            groups[name] = parts[-1]
    return RawFile(first.path, {**first.attrs, **_newest(files).attrs}, groups)
