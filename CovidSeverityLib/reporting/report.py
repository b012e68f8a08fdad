"""``report.json``: every number of an analysis, for programs. ``report.schema.json`` in this folder describes it."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from typing import Any, TextIO

from CovidSeverityLib.checked import known
from CovidSeverityLib.features.agreement import LobeAgreement
from CovidSeverityLib.features.low_attenuation import LowAttenuation, LowDensity
from CovidSeverityLib.findings import Findings, Provenance
from CovidSeverityLib.plain import plain
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureFit
from CovidSeverityLib.segmentation.opacity.values import UncountedDensity
from CovidSeverityLib.types import Lobe, Side

from .classification_report import classification_fields, classifier_mark
from .report_parts import RESEARCH_USE, SCHEMA_VERSION, SECONDS_DECIMALS, input_fields, note_fields
from .score_fields import score_fields
from .tables import DICE_DECIMALS, HU_DECIMALS, ML_DECIMALS, PERCENT_DECIMALS, low_attenuation_row, rounded

MIXTURE_HU_DECIMALS = 3
WEIGHT_DECIMALS = 6
EXPECTED_MM_DECIMALS = 1

WATER_G_PER_L = 1000.0
"""Density of water, 0 HU; the density of air, -1000 HU, is taken as 0 (Parr 2006, doi 10.1136/thx.2005.054890)."""

LOW_ATTENUATION_DEFINITION = (
    "Share of the lung's volume (opacities, vessels and small bronchi included) under the threshold, noise taken off "
    "the histogram; -950 HU, -910 HU in slices over 2.5 mm unless configured otherwise"
)
LOW_ATTENUATION_SOURCE = (
    "-950 HU: Gevenois 1996, doi 10.1164/ajrccm.154.1.8680679; -910 HU: Mueller 1988, doi 10.1378/chest.94.4.782; "
    "15th percentile: Parr 2006, doi 10.1136/thx.2005.054890"
)


def build_report(analysis: Findings) -> dict[str, Any]:
    """The content of ``report.json``: plain dictionaries, lists, strings and finite numbers, in a fixed order.

    Sizes and spacings are those of the (I, J, K) axes, patient right to left, anterior to posterior and inferior to
    superior, whatever the order in which the input was stored.
    """
    scores = score_fields(analysis)
    well_aerated = scores.pop("well_aerated_percent")
    return {
        "schema_version": SCHEMA_VERSION,
        "research_use": RESEARCH_USE,
        "input": input_fields(analysis.volume),
        **scores,
        "uncounted_density": _uncounted(analysis.uncounted),
        "well_aerated_percent": well_aerated,
        "low_attenuation": _low_attenuation(analysis.low_attenuation),
        "mixture": _mixture(analysis.densitometry.mixture),
        "lobes": _lobes(analysis.provenance, analysis.lobe_agreement),
        "classification": _classification(analysis),
        "classification_reason": analysis.classification_reason,
        "quality": [note_fields(note) for note in analysis.quality],
        "provenance": _provenance(analysis),
    }


def write_report(analysis: Findings, file: TextIO) -> None:
    """Write ``report.json``."""
    json.dump(build_report(analysis), file, indent=2, ensure_ascii=False, allow_nan=False)
    file.write("\n")


def report_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of ``report.json``."""
    return json.loads(resources.files(known(__package__)).joinpath("report.schema.json").read_text(encoding="utf-8"))


def _uncounted(density: UncountedDensity | None) -> dict[str, float | None] | None:
    if density is None:
        return None
    values = dataclasses.asdict(density)
    return {name: None if ml is None else _ml(ml) for name, ml in values.items()}


def _low_attenuation(low: LowAttenuation) -> dict[str, Any]:
    return {
        "threshold_hu": low.threshold_hu,
        "percentile": low.percentile,
        "noise_sd_hu": None if low.noise_sd_hu is None else rounded(low.noise_sd_hu, HU_DECIMALS),
        "definition": LOW_ATTENUATION_DEFINITION,
        "source": LOW_ATTENUATION_SOURCE,
        "total": _low_density(low.total),
        "right": _low_density(low.side(Side.RIGHT)),
        "left": _low_density(low.side(Side.LEFT)),
        "lobes": {lobe.name: _low_density(low.lobe(lobe)) for lobe in Lobe},
    }


def _low_density(part: LowDensity) -> dict[str, Any]:
    row = {name.removeprefix("low_attenuation_"): value for name, value in low_attenuation_row(part).items()}
    percentile = row["density_percentile_hu"]
    density = None if percentile is None else rounded(percentile + WATER_G_PER_L, HU_DECIMALS)
    return {**row, "density_percentile_g_per_l": density}


def _lobes(provenance: Provenance, agreement: LobeAgreement | None) -> dict[str, Any]:
    fissures = [
        {
            "name": fissure.name,
            "seen_percent": _percent(fissure.seen_percent),
            "expected_distance_mm": rounded(fissure.expected_mm, EXPECTED_MM_DECIMALS),
        }
        for fissure in provenance.fissures
    ]
    lobes = {"method": provenance.lobes_from, "approximate": provenance.lobes_approximate, "fissures": fissures}
    if agreement is None:
        return lobes
    dice = {lobe.name: rounded(value, DICE_DECIMALS) for lobe, value in agreement.dice.items()}
    return {**lobes, "compared": {"method": agreement.source, "dice": dice, "ctss": agreement.ctss}}


def _classification(analysis: Findings) -> dict[str, Any] | None:
    if analysis.classification is None:
        return None
    return classification_fields(analysis.classification, analysis.volume.geometry.slice_z_mm().tolist())


def _mixture(fit: MixtureFit | None) -> dict[str, Any] | None:
    if fit is None:
        return None
    return {
        "means_hu": [rounded(value, MIXTURE_HU_DECIMALS) for value in fit.means_hu],
        "sds_hu": [rounded(value, MIXTURE_HU_DECIMALS) for value in fit.sds_hu],
        "weights": [rounded(value, WEIGHT_DECIMALS) for value in fit.weights],
        "converged": bool(fit.converged),
    }


def _provenance(analysis: Findings) -> dict[str, Any]:
    provenance = analysis.provenance
    diagnosis = analysis.classification
    return {
        "version": provenance.version,
        "profile": provenance.profile,
        "lungs_from": provenance.lungs_from,
        "lobes_from": provenance.lobes_from,
        **({} if diagnosis is None else {"classifier": classifier_mark(diagnosis)}),
        "seconds": {stage: rounded(seconds, SECONDS_DECIMALS) for stage, seconds in provenance.seconds.items()},
        "configuration": plain(provenance.configuration),
    }


def _ml(value: float) -> float:
    return rounded(value, ML_DECIMALS)


def _percent(value: float) -> float:
    return rounded(value, PERCENT_DECIMALS)
