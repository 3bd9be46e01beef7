"""From runs to one HTML text."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from functools import cache
from importlib import metadata, resources
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from weightscope import grouping
from weightscope.report.context import context
from weightscope.run import Run
from weightscope.seeds.group import examine_group
from weightscope.seeds.table import claim_rows

_ACROSS = "{n} runs that differ only in their seed: {names}. Below each effect its 95 % interval over the seeds."


@cache
def compressed_plotly() -> str:
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _asset(name: str) -> Markup:
    return Markup((resources.files("weightscope") / "templates" / name).read_text(encoding="utf-8"))


def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("weightscope", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.globals |= {"asset": _asset, "version": metadata.version("weightscope")}
    return made


def across(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The claims over each group of runs that differ only in their seed; nothing for runs that stand alone."""
    shown = []
    for group in grouping.by_configuration(runs):
        if len(group.runs) > 1:
            found = examine_group(group)
            caption = _ACROSS.format(n=len(group.runs), names=", ".join(grouping.labels(group.runs)))
            shown.append({"caption": caption, "rows": claim_rows(found)})
    return shown


def render(runs: Sequence[Run]) -> str:
    """The report as one self-contained page."""
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    return (
        environment()
        .get_template("report.html")
        .render(
            title=title,
            runs=[context(run, index) for index, run in enumerate(runs)],
            across=across(runs) if len(runs) > 1 else [],
            plotly=Markup(compressed_plotly()),
        )
    )
