"""CT severity score (CTSS), total severity score (TSS) and the word for them.

The edge rule, one for both scores: no involvement scores 0, and a band includes its upper edge: exactly 5 % scores 1,
exactly 25 % scores 2. (Francone 2020 writes the bands as < 5, 5-25, 26-50, 51-75 and > 75 %, which leaves the gaps
between whole numbers open; the published method rounds up to whole per cent and compares with <=, which is this rule.)
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

CTSS_EDGES_PERCENT = (0.0, 5.0, 25.0, 50.0, 75.0)
"""Upper edges of scores 0-4; above the last is 5 (Francone 2020, doi 10.1007/s00330-020-07033-y)."""

TSS_EDGES_PERCENT = (0.0, 25.0, 50.0, 75.0)
"""Upper edges of scores 0-3; above the last is 4 (Chung 2020, doi 10.1148/radiol.2020200230)."""

CTSS_MAX, TSS_MAX = 5 * len(CTSS_EDGES_PERCENT), 5 * len(TSS_EDGES_PERCENT)
"""Largest sums over five lobes."""

SEVERITY_CUTOFFS = ((0, "none"), (7, "mild"), (17, "moderate"), (CTSS_MAX, "severe"))
"""Highest CTSS of each word. From 18 the risk of death rises (Francone 2020); above 7 severe and critical disease
prevails (Li 2020, doi 10.1097/RLI.0000000000000672)."""


def _bands(edges: tuple[float, ...]) -> str:
    """The scores of a lobe, in words."""
    inner = ", ".join(f"{score} (up to {edge:.0f} %)" for score, edge in enumerate(edges) if score)
    return f"0 (none), {inner}, {len(edges)} (above)"


def _words() -> str:
    """The words for a score with their ranges."""
    lowest = (0, *(highest + 1 for highest, _ in SEVERITY_CUTOFFS))
    ranges = zip(lowest, SEVERITY_CUTOFFS, strict=False)
    return ", ".join(f"{low if low == high else f'{low}-{high}'} {word}" for low, (high, word) in ranges)


CTSS_DEFINITION = (
    f"Sum over five lobes of {_bands(CTSS_EDGES_PERCENT)} of the lobe's volume infected; 0-{CTSS_MAX} (Francone 2020, "
    "doi 10.1007/s00330-020-07033-y)"
)
TSS_DEFINITION = f"Sum over five lobes of {_bands(TSS_EDGES_PERCENT)} of the lobe's volume infected; 0-{TSS_MAX}"
TSS_SOURCE = "Chung 2020, doi 10.1148/radiol.2020200230"
CTSS_REFERENCE_DEFINITION = (
    "Sum over five regions of an axial slice (rows of the lungs) of the rounded mean over slices of the slice's score, "
    f"0-{CTSS_MAX}, as published; bands as in Francone 2020, doi 10.1007/s00330-020-07033-y"
)


@dataclass(frozen=True)
class Severity:
    """A word for the total score.

    Parameters
    ----------
    label : str
        ``"none"``, ``"mild"``, ``"moderate"`` or ``"severe"``; ``"not scored"`` without a score.
    cutoffs : str
        The limits that chose it, for people.
    source : str
        Where they come from.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> Analysis.load("results").severity.label
    'moderate'
    """

    label: str
    cutoffs: str
    source: str


def score_for_percent(percent: float) -> int:
    """CTSS of one lobe, 0-5, for its involvement in per cent (0-100).

    Raises
    ------
    ValueError
        If ``percent`` is not between 0 and 100.
    """
    return bisect_left(CTSS_EDGES_PERCENT, _checked(percent))


def total_severity_score_for_percent(percent: float) -> int:
    """TSS of one lobe, 0-4, for its involvement in per cent (0-100).

    Raises
    ------
    ValueError
        If ``percent`` is not between 0 and 100.
    """
    return bisect_left(TSS_EDGES_PERCENT, _checked(percent))


NOT_SCORED = "not scored"
"""The word where there is no score."""


def severity_for(ctss: int | None) -> Severity:
    """The word for a CTSS of 0-25, with its cut-offs and their source; without a score :data:`NOT_SCORED`."""
    label = NOT_SCORED if ctss is None else next(word for highest, word in SEVERITY_CUTOFFS if ctss <= highest)
    return Severity(
        label=label,
        cutoffs=f"CTSS {_words()}",
        source="above 7: Li 2020, doi 10.1097/RLI.0000000000000672; "
        "from 18: Francone 2020, doi 10.1007/s00330-020-07033-y",
    )


def _checked(percent: float) -> float:
    if not 0.0 <= percent <= 100.0:
        raise ValueError(f"involvement of {percent} % is not between 0 and 100")
    return percent
