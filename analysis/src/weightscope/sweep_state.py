"""How far a run of a sweep has got, by what it recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from weightscope.config import lookup, parse_config
from weightscope.errors import UnusableFileError
from weightscope.run import open_run
from weightscope.run_log import updates_done
from weightscope.summary import losses
from weightscope.sweep import Trial

_TAIL = 8192  # bytes of log.jsonl that hold its last events


@dataclass(frozen=True)
class State:
    """`new`: nothing recorded; `begun`: goes on where it stopped; `finished`; `other`: recorded with other settings
    than the sweep has now, named in `why`. `step`: updates done, of `steps`."""

    word: Literal["new", "begun", "finished", "other"]
    step: int
    steps: int
    loss: float = float("nan")
    why: str = ""


def steps_asked(trial: Trial) -> int:
    """train.steps of the sweep or its base; 0 when neither says it."""
    asked = trial.settings.get("train.steps")
    if asked is None:
        asked = lookup(parse_config(Path(trial.base).read_text(encoding="utf-8")), "train.steps", 0)
    return int(asked) if isinstance(asked, (int, float)) else 0


def _differs(recorded: Any, asked: Any) -> bool:
    """What is no number, text or list may be written in other words."""
    if isinstance(asked, list) and isinstance(recorded, list):
        return len(asked) != len(recorded) or any(map(_differs, recorded, asked))
    if isinstance(asked, (int, float)) and isinstance(recorded, (int, float)):
        return float(asked) != float(recorded)
    return isinstance(asked, (bool, str)) and isinstance(recorded, (bool, str)) and asked != recorded


def state_of(trial: Trial) -> State:
    steps = steps_asked(trial)
    try:
        run = open_run(trial.output, histograms=False)
    except UnusableFileError:
        return State("new", 0, steps)  # nothing there, or nothing that can be read: the program says which
    steps = steps or int(lookup(run.config, "train.steps", 0))
    done = int(run.train["step"].values[-1]) + 1 if run.train.sizes.get("step") else 0
    loss = losses(run).val
    ignored = ("name", "train.steps")
    other = [k for k, v in trial.settings.items() if k not in ignored and _differs(lookup(run.config, k), v)]
    if other:
        why = ", ".join(f"{key} was {lookup(run.config, key)}, is {trial.settings[key]}" for key in other)
        return State("other", done, steps, loss, why)
    finished = run.attrs.get("status") == "finished" and done >= steps
    return State("finished" if finished else "begun", done, steps, loss)


def live_step(output: str) -> int:
    """Updates done by a run that is going on."""
    return updates_done(Path(output))
