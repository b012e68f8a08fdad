"""The part of ``report.json`` that follows from counts, for an analysis and for manually corrected masks."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

from CovidSeverityLib.analysis import Analysis
from CovidSeverityLib.correction.rescoring import Rescored
from CovidSeverityLib.ctss import CTSS_MAX, TSS_DEFINITION, TSS_MAX, TSS_SOURCE
from CovidSeverityLib.features.quantification import LobeScore
from CovidSeverityLib.types import Lobe, Opacity, Side

from .tables import ML_DECIMALS, PERCENT_DECIMALS, lobe_row, rounded

_LOBE_FIELDS = ("score", "involvement_percent", "volume_ml", "infection_ml", "confidence")


Scored: TypeAlias = Analysis | Rescored
"""An automatic result, or one of corrected masks: both have scores, severity, volumes and shares."""


def score_fields(scored: Scored) -> dict[str, Any]:
    """Scores, severity, volumes and shares by the keys of ``report.json``, in its order."""
    return {
        "ctss": _ctss(scored),
        "total_severity_score": _total_severity_score(scored),
        "severity": dataclasses.asdict(scored.severity),
        "lungs": _lungs(scored),
        "infection": _infection(scored),
        "well_aerated_percent": None if scored.well_aerated_percent is None else _percent(scored.well_aerated_percent),
    }


def _ctss(scored: Scored) -> dict[str, Any]:
    ctss = {
        "total": scored.ctss,
        "range": None if scored.ctss_range is None else list(scored.ctss_range),
        "maximum": CTSS_MAX,
        "definition": scored.ctss_definition,
        "lobes": {score.lobe.name: _lobe(score) for score in sorted(scored.lobe_scores, key=lambda s: s.lobe)},
    }
    if scored.ctss_max_variant is not None:
        ctss["max_variant"] = scored.ctss_max_variant
    return ctss


def _lobe(score: LobeScore) -> dict[str, Any]:
    row = lobe_row(score)
    fields: dict[str, Any] = {field: row[field] for field in _LOBE_FIELDS}
    if score.score_range is not None and score.involvement_range_percent is not None:
        fields["score_range"] = list(score.score_range)
        fields["involvement_range_percent"] = [_percent(end) for end in score.involvement_range_percent]
        fields["near_edge"] = score.near_edge
    return fields


def _total_severity_score(scored: Scored) -> dict[str, Any]:
    scores = {score.lobe: score.total_severity_score for score in scored.lobe_scores}
    return {
        "total": scored.total_severity_score,
        "maximum": TSS_MAX,
        "definition": TSS_DEFINITION,
        "source": TSS_SOURCE,
        "lobes": {lobe.name: scores[lobe] for lobe in Lobe},
    }


def _lungs(scored: Scored) -> dict[str, float]:
    return {
        "right_ml": _ml(scored.side_ml(Side.RIGHT)),
        "left_ml": _ml(scored.side_ml(Side.LEFT)),
        "total_ml": _ml(scored.lung_ml),
    }


def _infection(scored: Scored) -> dict[str, float]:
    return {
        "percent_of_lung": _percent(scored.infection_percent),
        "ggo_ml": _ml(scored.opacity_ml(Opacity.GROUND_GLASS)),
        "consolidation_ml": _ml(scored.opacity_ml(Opacity.CONSOLIDATION)),
        "high_opacity_percent": _percent(scored.high_opacity_percent),
    }


def _ml(value: float) -> float:
    return rounded(value, ML_DECIMALS)


def _percent(value: float) -> float:
    return rounded(value, PERCENT_DECIMALS)
