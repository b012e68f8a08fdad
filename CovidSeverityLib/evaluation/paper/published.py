"""Published figures for comparison, each with its source.

Only figures that were checked at their source are listed. They were measured on their authors' data. A difference to
other figures says something about the method only if the data are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class PublishedFigures:
    """Values by measure (the names of the tables' columns), their data, and their source."""

    what: str
    data: str
    source: str
    values: Mapping[str, float]


AUTHORS_REPOSITORY = "github.com/aanandt/Identification-and-Severity-Assessment-of-COVID-19-using-Lung-CT-Scans"

CTSS_FIGURES = tuple(
    PublishedFigures(
        what=f"method authors, {variant} variant",
        data="their 50 patients",
        source=f"computed from CTSS_results.csv of {AUTHORS_REPOSITORY}",
        values=MappingProxyType(values),
    )
    for variant, values in (
        (
            "mean",
            {
                "pearson": 0.823,
                "spearman": 0.787,
                "icc_2_1": 0.760,
                "mae": 2.12,
                "rmse": 2.668,
                "bias": -1.04,
                "limit_low": -5.905,
                "limit_high": 3.825,
                "kappa_linear": 0.536,
                "kappa_quadratic": 0.584,
            },
        ),
        (
            "max",
            {
                "pearson": 0.555,
                "spearman": 0.560,
                "icc_2_1": 0.082,
                "mae": 12.72,
                "rmse": 13.236,
                "bias": 12.72,
                "limit_low": 5.472,
                "limit_high": 19.968,
                "kappa_linear": 0.007,
                "kappa_quadratic": 0.062,
            },
        ),
    )
)

CLASSIFICATION_FIGURES = (
    PublishedFigures(
        what="the same network without the preprocessing",
        data="test set of the SPGC-COVID challenge",
        source="IEEE ICASSP 2021 Signal Processing Grand Challenge on COVID-19, first place",
        values=MappingProxyType({"accuracy": 0.90}),
    ),
)


def published_rows(figures: Sequence[PublishedFigures], measures: Sequence[str]) -> list[list[str]]:
    """Rows for published figures, numbered so that :func:`published_notes` can name their sources."""
    rows = []
    for n, figure in enumerate(figures, start=1):
        values = [f"{figure.values[m]:.3f}".replace("-", "−") if m in figure.values else "" for m in measures]
        rows.append([f"*published [{n}]: {figure.what}*", *values])
    return rows


def published_notes(figures: Sequence[PublishedFigures]) -> str:
    """The sources of published figures, as Markdown."""
    return "".join(f"[{n}] {f.source}; measured on {f.data}.\n\n" for n, f in enumerate(figures, start=1))
