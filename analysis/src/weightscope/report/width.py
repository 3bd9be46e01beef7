"""The widening of the weights beside that of AdamW fed with random gradients: the report's words and table."""

from __future__ import annotations

import numpy as np

from weightscope import schema
from weightscope.equilibrium import adamw_course, equilibrium_rms, settings_of
from weightscope.finding import fixed, number
from weightscope.run import Run


def arrays(run: Run, rows: np.ndarray) -> dict[str, np.ndarray]:
    """For the figures: random_rms (row, component), means over layers; equilibrium and rotation (row). Empty where
    the optimizer is not known."""
    found = adamw_course(run)
    if found is None:
        return {}
    random = found["random_rms"].sel(component=list(schema.COMPONENTS)).mean("layer").values
    equilibrium = found["equilibrium_rms"].values
    arrays = {"random_rms": random[rows], "rotation": found["rotation"].values[rows]}
    return arrays | ({"equilibrium": equilibrium[rows]} if np.isfinite(equilibrium).all() else {})


def text(run: Run) -> str:
    """Empty where the optimizer or a learning rate is not known."""
    found, settings = adamw_course(run), settings_of(run)
    if found is None or settings is None:
        return ""
    said = (
        "Dashed: the root mean square that AdamW gives weights with this start when their gradients are random, with "
        "this run's learning rates and weight decay (mean over layers). Widening up to that line is the optimizer's "
        "own walk; above or below it, gradients of one weight agree or oppose each other over steps."
    )
    if not settings.decay:
        return f"{said} Without weight decay this walk has no end."
    peak, last = float(run.train["lr"].max()), float(found["equilibrium_rms"][-1])
    if not peak > 0:
        return f"{said} The learning rate was 0: nothing moves."
    updates = 1 / (2 * peak * settings.decay)
    highest = settings.lr_scale * float(equilibrium_rms(peak, settings.decay))
    made = int(found[schema.SNAPSHOT][-1] - found[schema.SNAPSHOT][0])
    scaled = "" if settings.lr_scale == 1 else f"{fixed(settings.lr_scale)} · "
    return (
        f"{said} The walk ends in an equilibrium of {scaled}sqrt(lr / (2 · decay)): {number(highest)} at the largest "
        f"learning rate, {number(last)} at the last (dotted, where the scale reaches it). It takes several times "
        f"{number(updates, 2)} updates to get there; this run made {made:,}."
    )


def rows(run: Run) -> list[list[str]]:
    """Per component, means over layers of the rms at both ends and of what random gradients give at the last."""
    found = adamw_course(run)
    if found is None:
        return []
    table = []
    for component in schema.SHOWN:
        rms = run.snapshots["rms"].sel(component=component).mean("layer", skipna=False).values[[0, -1]]
        random = float(found["random_rms"].sel(component=component).mean("layer", skipna=False)[-1])
        start = rms[0] if rms[0] > 0 else np.nan
        growth = [f"× {fixed(value)}" for value in (rms[1] / start, random / start)]
        cells = [number(float(value)) for value in (*rms, random)]
        table.append(
            [schema.COMPONENT_NAMES[component], *cells, *growth, fixed(float(rms[1]) / random if random else np.nan)]
        )
    return table
