"""Numbers from blocks of timings, and what they were taken on."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles

from workers import Worker

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    q25: float
    q75: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, middle, high = quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)


@dataclass(frozen=True)
class Row:
    """One worker of a group. ratio: its seconds over those of the group's first worker in the same round."""

    name: str
    seconds: Spread
    ratio: Spread
    blocks: list[list[float]]
    peak_bytes: int


def rows_of(workers: Sequence[Worker]) -> list[Row]:
    """Ratios are taken round by round, so that a machine that slows down for a while does not bend them."""
    ours = [median(block) for block in workers[0].blocks]
    rows = []
    for worker in workers:
        theirs = [median(block) for block in worker.blocks]
        rows.append(
            Row(
                worker.command.name,
                Spread.of([seconds for block in worker.blocks for seconds in block]),
                Spread.of([their / our for their, our in zip(theirs, ours, strict=True)]),
                worker.blocks,
                worker.peak_bytes,
            )
        )
    return rows


def machine() -> dict[str, object]:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "transformers", "numpy", "tensorboard"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def write_json(path: Path, settings: Mapping[str, object], groups: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "revision": revision(),
        "machine": MACHINE,
        "versions": versions(),
        "settings": dict(settings),
        "groups": list(groups),
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def as_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    return [asdict(row) for row in rows]


def ratio_text(row: Row) -> str:
    return f"{row.ratio.median:.2f}× ({row.ratio.q25:.2f}–{row.ratio.q75:.2f})"


def caption() -> str:
    """One line under a table: where and when."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    load = MACHINE["load_average_before"]
    return (
        f"{MACHINE['processor']}, {MACHINE['cores']} cores, {MACHINE['memory_gib']} GiB, load average before {load}; "
        f"{packages}; weightscope {revision()}; {datetime.now(UTC):%Y-%m-%d}."
    )


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others numbers."""
    rule = ["---", *("--:" for _ in heads[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *lines))


MACHINE = machine()
