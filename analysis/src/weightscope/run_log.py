"""The end of a run's log.jsonl, which is written while the experiment file waits for its next snapshot."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

_TAIL: Final = 256 * 1024  # bytes: cheap enough to be read every second


def recent_events(directory: Path) -> list[dict[str, Any]]:
    """Events in order, the last ones of the file; none where there is no log. Lines that are cut are left out."""
    try:
        with (directory / "log.jsonl").open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL))
            lines = log.read(_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    events = []
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut at either end
        if isinstance(event, dict) and isinstance(event.get("step"), int):
            events.append(event)
    return events


def updates_done(directory: Path) -> int:
    """Updates done by a run that is going on, 0 when it does not say."""
    return max((event["step"] + 1 for event in recent_events(directory) if event.get("event") == "train"), default=0)
