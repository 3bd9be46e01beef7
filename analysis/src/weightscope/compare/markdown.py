"""The comparison as Markdown, fit to be pasted into a page of documentation."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.compare.result import Comparison, sentences
from weightscope.seeds.decide import ALPHA, CLAIMS
from weightscope.seeds.group import Examined
from weightscope.seeds.table import (
    CONTRASTS,
    DETAILS,
    OVERVIEW,
    claim_rows,
    contrast_rows,
    detail_rows,
    overview_rows,
    time_head,
    time_rows,
)
from weightscope.seeds.words import sampled, summary


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(map(_cell, head)) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(map(_cell, row)) + " |" for row in rows)]


def _verdicts(found: Examined) -> list[str]:
    rows = claim_rows(found)
    head = ["Claim", *(cell["component"] for cell in rows[0]["cells"])]
    body = []
    for row in rows:
        cells = []
        for cell in row["cells"]:
            word = f"**{cell['word']}**" if cell["word"] != "undecided" else cell["word"]
            cells.append(f"{word} {cell['effect']}" + (f" ({cell['range']})" if cell["range"] else ""))
        body.append([row["title"], *cells])
    return _table(head, body)


def _details(found: Examined) -> list[str]:
    """The heading says the claim: the column is left out."""
    lines = []
    for title in CLAIMS.values():
        chosen = [row[1:] for row in detail_rows(found) if row[0] == title]
        lines += ["", f"**{title}**", "", *_table(DETAILS[1:], chosen)]
    return lines


def markdown(c: Comparison) -> str:
    lines = [f"{' '.join(sentences(c))}", ""]
    lines.append(
        f"A verdict needs a corrected p below {ALPHA}. In brackets the 95 % interval over seeds; * marks a change of "
        "sign beyond chance. The fused matrix takes the verdict that Q, K and V share."
    )
    if len(c.examined) > 1:
        lines += ["", *_table(OVERVIEW, overview_rows(c.examined))]
    for found in c.examined:
        lines += ["", f"## {found.label}", "", sampled(found), "", *_verdicts(found), ""]
        lines += [f"- {text}" for text in summary(found)]
        lines += ["", "What each step says by itself:", "", *_table(time_head(found), time_rows(found))]
        lines += _details(found)
    if c.contrasts:
        decided = [contrast for contrast in c.contrasts if contrast.verdict != "undecided"]
        lines += ["", "## Groups against each other", ""]
        lines += [
            f"{len(decided)} of {len(c.contrasts)} differences are beyond chance; the others are in the JSON output."
        ]
        lines += ["", *_table(CONTRASTS, contrast_rows(decided))] if decided else []
    return "\n".join(lines) + "\n"
