"""CTSS compared with radiologists' scores, from images or from existing scores: the paper's severity figure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.cases import Case
from CovidSeverityLib.evaluation.estimates import Estimate
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.pipeline import analyze
from CovidSeverityLib.types import Lobe

from .agreement import agreement
from .ctss_tables import BY_NAME, CtssPairs

CTSS = "ctss"
MAX_VARIANT = "ctss_max_variant"


def evaluate_severity(case: Case, config: AnalysisConfig) -> Record:
    """Analyse a CT.

    Raises
    ------
    InputError
        As :func:`~CovidSeverityLib.read_ct` and :func:`~CovidSeverityLib.analyze`, and for a CT without a score.
    """
    began = time.perf_counter()
    result = analyze(read_ct(case.image), config)
    if result.ctss is None:
        raise InputError(f"{case.name} is a single slice and has no CTSS; a CT of the whole chest is needed")
    scores = {CTSS: result.ctss}
    if result.ctss_max_variant is not None:
        scores[MAX_VARIANT] = result.ctss_max_variant
    return {
        "scores": scores,
        "lobes": {score.lobe.name: score.score for score in result.lobe_scores},
        "infection_percent": round(result.infection_percent, 4),
        "seconds": round(time.perf_counter() - began, 3),
    }


def severity_scores(truth: Mapping[str, int], records: Mapping[str, Record]) -> CtssPairs:
    """The scores of :func:`evaluate_severity` with the truth."""
    names = tuple(records)
    variants = [name for name in (CTSS, MAX_VARIANT) if all(name in records[case]["scores"] for case in names)]
    return CtssPairs(
        cases=names,
        truth=tuple(truth[name] for name in names),
        variants=MappingProxyType(
            {variant: tuple(records[name]["scores"][variant] for name in names) for variant in variants}
        ),
        matched_by=BY_NAME,
    )


def lobe_columns(records: Mapping[str, Record], names: Sequence[str]) -> dict[str, list[int]]:
    """The lobes' scores as columns of a table."""
    return {f"lobe_{lobe.name}": [records[name]["lobes"][lobe.name] for name in names] for lobe in Lobe}


def summarise_severity(scores: CtssPairs) -> Mapping[str, Mapping[str, Estimate]]:
    """Every variant's measures (:data:`~.agreement.MEASURES`)."""
    return MappingProxyType({name: agreement(scores.truth, values) for name, values in scores.variants.items()})
