"""What a run says about a claim, as data and as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["holds", "reversed", "undecided", "undecided from one run"]

# Two-sided 0.1 % for each verdict: a report shows sixteen, and all together should rarely be wrong.
Z: Final = 3.2905267314919255

CLAIMS: Final = {
    "wider": "Weights start narrow and are wider after training",
    "tails": "Their distributions grow longer tails",
    "early": "Early layers widen faster",
    "first": "The first layer, next to the embedding, widens most",
}


@dataclass(frozen=True)
class Finding:
    """`effect` and `error` (one standard error, or half a 95 % interval over several runs) are in the unit of
    the claim: relative growth of std (wider), change of excess kurtosis (tails), Kendall's τ (early), lead of
    the first layer in std(t)/std(0) (first). `since`: first snapshot from which the verdict stood to the end."""

    claim: str
    verdict: Verdict
    component: str
    step: int
    effect: float
    error: float
    text: str
    since: int | None = None

    @property
    def title(self) -> str:
        return CLAIMS[self.claim]

    @property
    def summary(self) -> str:
        """`holds at step 600`."""
        return f"{self.verdict} at step {self.step}"


def number(value: float, digits: int = 3) -> str:
    """Few digits, a real minus sign, no exponent where a person would not write one."""
    if value != value:  # NaN
        return "n/a"
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e7:
        text = f"{value:.0f}" if abs(value) >= 1 else f"{value:.{digits + 3}f}"
    return text.replace("-", "−")


def fixed(value: float, decimals: int = 2) -> str:
    """A fixed number of decimals with a real minus sign; never −0.00."""
    if value != value:
        return "n/a"
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"
