"""Common parts of the reports of all evaluations: the head of the summary, the tables of estimates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from CovidSeverityLib.version import __version__

from .estimates import INTERVAL_METHOD, Estimate
from .outputs import markdown_table

MEASURE_TITLES = {
    "dice": "Dice",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "jaccard": "Jaccard",
    "mcc": "MCC",
    "mae": "MAE",
    "accuracy": "Accuracy",
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "icc_2_1": "ICC(2,1)",
    "rmse": "RMSE",
    "bias": "Bias",
    "limit_low": "Lower limit of agreement",
    "limit_high": "Upper limit of agreement",
    "kappa_linear": "Kappa, linear",
    "kappa_quadratic": "Kappa, quadratic",
    "f1": "F1",
    "auc": "AUC",
}
"""Headings of the measures in tables for people."""


@dataclass(frozen=True)
class RunFacts:
    """Facts of a run: the profile (None for results from elsewhere), finished cases, failed cases."""

    profile: str | None
    done: int
    failed: int

    @property
    def text(self) -> str:
        """``12 cases, 1 failed, profile default``."""
        failed = f", {self.failed} failed (failures.csv)" if self.failed else ""
        profile = f", profile {self.profile}" if self.profile else ""
        return f"{counted(self.done, 'case')}{failed}{profile}"


def summary_head(what: str, facts: RunFacts) -> dict[str, Any]:
    """The first entries of every summary."""
    return {
        "evaluation": what,
        "program": f"CovidSeverity {__version__}",
        "profile": facts.profile,
        "cases": facts.done,
        "failed": facts.failed,
        "intervals": INTERVAL_METHOD,
    }


def estimates_dict(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Estimates as plain values."""
    return {name: estimate.as_dict() for name, estimate in estimates.items()}


def estimate_table(
    rows: Mapping[str, Mapping[str, Estimate]],
    measures: Sequence[str],
    first: str,
    published: Iterable[Sequence[str]] = (),
) -> str:
    """A Markdown table with a row for each of ``rows`` and a column for each measure, then the published rows."""
    header = [first, *(MEASURE_TITLES.get(name, name) for name in measures)]
    body = [[title, *(values[name].text() for name in measures)] for title, values in rows.items()]
    return markdown_table(header, [*body, *published])


def counted(number: int, what: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
