"""weightscope-sweep SWEEP.yaml: the runs of a sweep, seeds × schemes × overrides of one configuration.

    name: init
    base: article-small.yaml                  # a configuration, beside this file
    output: runs/sweep-${name}                # the folder of the runs (this is the default); ${env:VAR:-default} works
    seeds: [1, 2, 3]                          # default: that of the base
    schemes: [article, gpt2]                  # init.scheme; default: that of the base
    overrides:                                # named sets of keys; default: one without changes
      narrow: {model.width: 64}
      wide: {model.width: 128, optimizer.lr: 7.0e-4}
    set: {train.steps: 1000}                  # for every run

A run is named after what varies, as in `gpt2-wide-seed-2`. Nothing but `name` and `base` is required.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from weightscope.config import parse_config
from weightscope.errors import UnusableFileError

KEYS = ("name", "base", "output", "seeds", "schemes", "overrides", "set")
VARIED = {"seed": "seeds", "init.scheme": "schemes", "output": "output", "name": "what varies"}


@dataclass(frozen=True)
class Trial:
    """One run: the base with some keys set."""

    index: int
    name: str
    base: str
    output: str
    settings: dict[str, Any] = field(hash=False)

    def arguments(self) -> list[str]:
        """What `weightscope train` is given."""
        sets = [word for key, value in self.settings.items() for word in ("--set", f"{key}={_text(value)}")]
        return [self.base, *sets, "--output", self.output]


@dataclass(frozen=True)
class Sweep:
    name: str
    folder: str
    trials: list[Trial]


def read_sweep(path: str | Path) -> Sweep:
    """The sweep of a file. UnusableFileError names the file and the key when it cannot be used."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        yaml.safe_load(text)  # for the place of a syntax error: parse_config knows none
    except OSError as error:
        raise UnusableFileError(f"{path}: cannot read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UnusableFileError(f"{path}: byte {error.start} is not UTF-8") from error
    except yaml.YAMLError as error:
        raise UnusableFileError(f"{path}: {' '.join(str(error).split())}") from error
    return _expand(path, _checked(path, parse_config(text)))


def _checked(path: Path, parsed: dict[str, Any]) -> dict[str, Any]:
    def need(condition: bool, problem: str) -> None:
        if not condition:
            raise UnusableFileError(f"{path}: {problem}")

    for key in parsed:
        near = difflib.get_close_matches(str(key), KEYS, 1)
        need(key in KEYS, f"unknown key {key}" + (f"; did you mean {near[0]}?" if near else f"; known: {KEYS}"))
    for key in ("name", "base"):
        need(isinstance(parsed.get(key), str), f"{key} is missing or no text")
    for key in ("seeds", "schemes"):
        values = parsed.setdefault(key, [None])
        need(isinstance(values, list) and len(values) > 0, f"{key} is not a list of at least one value")
        need(len(set(map(str, values))) == len(values), f"{key} holds a value twice")
    for seed in parsed["seeds"]:
        whole = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**64
        need(seed is None or whole, f"seeds: {seed} is no integer from 0 to {2**64 - 1}")
    overrides = parsed.setdefault("overrides", {"": {}})
    need(isinstance(overrides, dict) and len(overrides) > 0, "overrides is not a mapping of names to keys")
    parsed.setdefault("set", {})
    for name, keys in [("set", parsed["set"]), *overrides.items()]:
        need(re.fullmatch(r"[\w.+-]*", str(name)) is not None, f"the name {name} cannot be part of a file name")
        need(isinstance(keys, dict), f"{name} is not a mapping of keys to values")
        for key in keys:
            need(str(key) not in VARIED, f"{name}: {key} is set by {VARIED.get(str(key))}")
    return parsed


def _expand(path: Path, sweep: dict[str, Any]) -> Sweep:
    folder = _substitute(str(sweep.get("output", "runs/sweep-${name}")), sweep["name"])
    base = str(path.parent / sweep["base"])
    if not Path(base).exists():
        raise UnusableFileError(f"{path}: base: {base} does not exist (it is looked for beside this file)")
    trials: list[Trial] = []
    # Seeds vary fastest: the first runs of an array are the ones that a first comparison needs.
    for variant, scheme, seed in product(sweep["overrides"].items(), sweep["schemes"], sweep["seeds"]):
        settings = sweep["set"] | variant[1]
        parts = [str(part) for part in (scheme, variant[0]) if part not in (None, "")]
        if scheme is not None:
            settings = {"init.scheme": scheme} | settings
        if seed is not None:
            settings = {"seed": seed} | settings
            parts.append(f"seed-{seed}")
        name = "-".join(parts) or sweep["name"]
        settings = {"name": name} | settings
        trials.append(Trial(len(trials), name, base, f"{folder}/{name}", settings))
    return Sweep(sweep["name"], folder, trials)


def _substitute(text: str, name: str) -> str:
    """As the program does it for `output`: ${name}, ${env:VAR}, ${env:VAR:-default}."""

    def value(match: re.Match[str]) -> str:
        variable, default = match["variable"], match["default"]
        if variable is None:
            return name
        if variable not in os.environ and default is None:
            raise UnusableFileError(f"output: {variable} is not set; ${{env:{variable}:-default}} gives a default")
        return os.environ.get(variable, default or "")

    return re.sub(r"\$\{(?:name|env:(?P<variable>\w+)(?::-(?P<default>[^}]*))?)\}", value, text)


def _text(value: Any) -> str:
    """As YAML on one line; text stays as it is."""
    return value if isinstance(value, str) else json.dumps(value)
