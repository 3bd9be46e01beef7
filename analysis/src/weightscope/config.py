"""The configuration text of a run as a dictionary."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats: PyYAML reads 1e-3 as a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def parse_config(text: str) -> dict[str, Any]:
    """An empty dictionary when the text is no YAML mapping: the report then simply says less."""
    try:
        parsed = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def lookup(config: dict[str, Any], path: str, default: Any = None) -> Any:
    """`lookup(config, "optimizer.lr")`; the default when any part of the path is missing."""
    node: Any = config
    for key in path.split("."):
        if not isinstance(node, dict) or key not in node:
            return default
        node = node[key]
    return node


def differences(configs: list[dict[str, Any]], ignore: tuple[str, ...] = ()) -> list[str]:
    """Paths of the keys whose values are not the same in all configurations."""
    flat = [flattened(config) for config in configs]
    keys = sorted({key for one in flat for key in one})
    return [key for key in keys if key not in ignore and len({repr(one.get(key)) for one in flat}) > 1]


def flattened(config: dict[str, Any]) -> dict[str, Any]:
    """Path of each key, as in `optimizer.lr`, with its value."""
    return dict(_flatten(config, ""))


def _flatten(node: Any, prefix: str) -> list[tuple[str, Any]]:
    if not isinstance(node, dict):
        return [(prefix, node)]
    rows: list[tuple[str, Any]] = []
    for key, value in node.items():
        rows += _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return rows
