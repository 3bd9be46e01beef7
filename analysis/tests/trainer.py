"""Stands for `launch/run.sh N train …` in tests of sweeps: writes the experiment file of a tiny run, slowly enough to
be stopped, and goes on where one stopped. `check` refuses an unknown section.
Usage: trainer.py RANKS train|check BASE --set KEY=VALUE ... --output DIR ..."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import synthetic
import yaml
from h5write import write
from weightscope.config import parse_config


def _settings(words: list[str]) -> tuple[dict[str, Any], Path]:
    pairs = [words[i + 1].split("=", 1) for i, word in enumerate(words) if word == "--set"]
    return {key: yaml.safe_load(value) for key, value in pairs}, Path(words[words.index("--output") + 1])


def _config(settings: dict[str, Any], base: str) -> dict[str, Any]:
    config = parse_config(Path(base).read_text(encoding="utf-8"))
    for path, value in settings.items():
        node = config
        *parents, key = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = value
    return config


def main() -> int:
    asked: list[int] = []
    signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))
    words = sys.argv[1:]
    settings, output = _settings(words)
    if words[1] == "check":
        with open(os.environ.get("TRAINER_CHECKS", os.devnull), "a") as log:
            log.write(f"{settings['name']} {words[0]} {words[-1]}\n")
        unknown = [key for key in settings if key.startswith("optimzer.")]
        print(
            "".join(f"weightscope: error: --set {key}: unknown key\nmpirun has\n" for key in unknown), file=sys.stderr
        )
        return 2 if unknown else 0
    assert words[1] == "train"
    assert words[-4:] == ["--resume", "auto", "--progress", "plain"]
    output.mkdir(parents=True, exist_ok=True)
    with (output / "started").open("a") as log:
        log.write(f"{words[0]} {sorted(os.sched_getaffinity(0))}\n")
    config = _config(settings, words[2])
    if settings.get("optimizer.lr") == -1:
        print("weightscope: error: optimizer.lr is negative", file=sys.stderr)
        return 2
    steps, at = int(settings["train.steps"]), output / "at"
    step = int(at.read_text()) if at.exists() else 0
    while step < steps and not asked:
        time.sleep(float(os.environ.get("TRAINER_PAUSE", "0")))
        step += 1
        with (output / "log.jsonl").open("a") as log:
            log.write(json.dumps({"event": "train", "step": step - 1}) + "\n")
    at.write_text(str(step))
    status = "finished" if step == steps else "stopped"
    truth = synthetic.Truth(
        layers=2, heads=1, width=8, walk=(1.0, 0.5), steps=(0, max(1, step)), seed=int(settings["seed"])
    )
    attrs, groups = synthetic.groups(truth)
    attrs |= {"status": status, "config": yaml.safe_dump(config), "name": settings["name"]}
    write(output / "experiment.h5", attrs, groups)
    return 0 if status == "finished" else 75


if __name__ == "__main__":
    sys.exit(main())
