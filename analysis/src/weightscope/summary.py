"""What happened, in sentences with numbers. Every fact is left out when the file does not hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from weightscope import schema
from weightscope.config import lookup
from weightscope.finding import number
from weightscope.init_check import init_check
from weightscope.run import Run

BYTE_VOCABULARY = 256


@dataclass(frozen=True)
class Losses:
    """Nats per token; NaN where unknown. `start` is the loss of the first batch before any update; `end` the mean of
    the last 2 % of the steps."""

    start: float
    end: float
    val: float
    val_best: float
    val_step: int


def losses(run: Run) -> Losses:
    train = run.train["loss"].values if "loss" in run.train else np.zeros(0)
    train = train[np.isfinite(train)]
    val = run.eval["loss"].values if "loss" in run.eval else np.zeros(0)
    tail = max(1, len(train) // 50)
    return Losses(
        start=float(train[0]) if len(train) else np.nan,
        end=float(train[-tail:].mean()) if len(train) else np.nan,
        val=float(val[-1]) if len(val) else np.nan,
        val_best=float(np.nanmin(val)) if np.isfinite(val).any() else np.nan,
        val_step=int(run.eval["step"].values[-1]) if len(val) else -1,
    )


def last(data: xr.Dataset, name: str) -> Any:
    return data[name].values[-1] if name in data and data[name].size else None


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def large(value: float) -> str:
    for unit, size in (("billion", 1e9), ("million", 1e6)):
        if value >= size:
            return f"{number(value / size)} {unit}"
    return f"{value:,.0f}"


def wall_seconds(run: Run) -> float:
    """Of all segments together, else the clock of the last snapshot."""
    if "seconds" in run.segments and run.segments["seconds"].size:
        total = float(np.nansum(run.segments["seconds"].values))
        if total > 0:
            return total
    clock = last(run.snapshots, "wall_time")
    return float(clock) if clock is not None else np.nan


def speed(run: Run) -> float:
    """Median tokens per second."""
    if "tokens_per_second" not in run.train or not run.train["tokens_per_second"].size:
        return np.nan
    return float(np.nanmedian(run.train["tokens_per_second"].values))


def parameters(run: Run) -> float:
    if "parameter_count" in run.snapshots:
        return float(run.snapshots["parameter_count"].values.astype(float).sum())
    return np.nan


def byte_level(run: Run) -> bool:
    return lookup(run.config, "model.vocab") == BYTE_VOCABULARY


def bits(nats: float) -> float:
    return nats / float(np.log(2))


def _model(run: Run) -> str:
    width = lookup(run.config, "model.width")
    size = parameters(run)
    said = f"A GPT with {run.layers} layers of {run.heads} heads" if run.heads else f"A GPT with {run.layers} layers"
    said += f", {width} wide" if width else ""
    return said + (f" ({large(size)} parameters)" if size == size else "")


_STOPPED = {"failed": " (until it failed)", "stopped": " (until it was stopped)"}


def _training(run: Run) -> str:
    steps = int(last(run.train, "step")) + 1 if last(run.train, "step") is not None else run.last_step
    tokens = last(run.snapshots, "tokens")
    state = str(run.attrs.get("status", "unknown"))
    if run.live:
        said = f"is being trained; {steps:,} steps"
    else:
        said = f"was trained{_STOPPED.get(state, '')} for {steps:,} steps"
    return said + (f" and {large(float(tokens))} tokens" if tokens is not None and tokens > 0 else "")


def _loss(run: Run) -> str:
    found = losses(run)
    if found.end != found.end:
        return ""
    said = f"Training loss went from {found.start:.3f} to {found.end:.3f} nats per token"
    if found.val == found.val:
        extra = (
            f"{bits(found.val):.3f} bits per byte"
            if byte_level(run)
            else f"perplexity {number(float(np.exp(found.val)))}"
        )
        said += f"; validation loss ended at {found.val:.3f} ({extra})"
        if found.val_best < found.val - 0.005:
            said += f", after a best of {found.val_best:.3f}"
    return said + "."


def _machine(run: Run) -> str:
    seconds, rate = wall_seconds(run), speed(run)
    if seconds != seconds:
        return ""
    ranks, backend = last(run.segments, "world_size"), last(run.segments, "backend")
    devices = last(run.segments, "devices")
    where = f" on {int(ranks)} {'rank' if ranks == 1 else 'ranks'}" if ranks is not None else ""
    with_what = ", ".join(str(part) for part in (backend, devices) if part)
    where += f" ({with_what})" if with_what else ""
    starts = run.segments.sizes.get("row", 1)
    again = f", in {starts} starts" if starts > 1 else ""
    fast = f", at a median of {large(rate)} tokens per second" if rate == rate else ""
    return f"It took {duration(seconds)}{where}{again}{fast}."


def _world(run: Run) -> str:
    """Says when a run did not stay on one number of ranks, and what that means for its bits."""
    if "world_size" not in run.segments or "start_step" not in run.segments:
        return ""
    ranks = [int(n) for n in run.segments["world_size"].values]
    starts = [int(step) for step in run.segments["start_step"].values]
    changes = [i for i in range(1, len(ranks)) if ranks[i] != ranks[i - 1]]
    if not changes:
        return ""
    parts = [f"{ranks[i - 1]} to step {starts[i]}" for i in changes]
    said = f"The number of ranks changed ({', '.join(parts)}, then {ranks[-1]})"
    if lookup(run.config, "parallel.reduction", "fast") == "reproducible":
        return f"{said}, which changes nothing: parallel.reduction was reproducible."
    return (
        f"{said}: sums were rounded in another order from there on, so the bits are not those of one number of ranks."
    )


def _init(run: Run) -> str:
    check = init_check(run)
    tested = check.passed + check.failed
    if check.total and not tested:
        return "The weights at the start came from elsewhere: nothing was expected of them."
    if check.failed:
        shown = ", ".join(check.names[:3]) + (" …" if check.failed > 3 else "")
        return f"{check.failed} of {tested} parameters did not start as their scheme says: {shown}."
    return f"All {tested} parameters started with the standard deviation that their scheme predicts." if tested else ""


def _alarms(run: Run) -> str:
    count = run.alarms.sizes.get("row", 0)
    if not count:
        return "No alarm was raised."
    rules = ", ".join(sorted({str(rule) for rule in run.alarms["rule"].values})) if "rule" in run.alarms else ""
    return f"{count} alarm{'s were' if count > 1 else ' was'} raised" + (f" ({rules})." if rules else ".")


def sentences(run: Run) -> list[str]:
    """The model and its training; loss; machine; changed ranks; init check; alarms."""
    said = [f"{_model(run)} {_training(run)}.", _loss(run), _machine(run), _world(run), _init(run), _alarms(run)]
    return [sentence for sentence in said if sentence]


def snapshots_text(run: Run) -> str:
    n = run.snapshots.sizes[schema.SNAPSHOT]
    steps = run.snapshots[schema.SNAPSHOT].values
    return f"{n} snapshots from step {steps[0]:,} to {steps[-1]:,}"
