"""The summary at the end of a run, a few lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.diagnosis import PatientDiagnosis
from CovidSeverityLib.ctss import CTSS_MAX, TSS_MAX
from CovidSeverityLib.features.low_attenuation import LowAttenuation
from CovidSeverityLib.features.quantification import LobeScore
from CovidSeverityLib.findings import ClassifiedFindings, Findings
from CovidSeverityLib.types import DIAGNOSIS_NAMES, LOBE_NAMES, Diagnosis, NoteSeverity, Opacity, QualityNote, Side

from .classification_report import rounded_shares
from .tables import with_range

COLUMNS = 100


def summary_text(analysis: Findings) -> str:
    """Score, lobes, volumes and notes as plain text with at most 100 columns, without a final line end."""
    diagnosis = analysis.classification
    lines = diagnosis_lines(diagnosis) if diagnosis is not None else _wrapped(analysis.classification_reason)
    return "\n".join([*_score_lines(analysis), *_volume_lines(analysis), *lines, *note_lines(analysis.quality)])


def classification_text(found: ClassifiedFindings) -> str:
    """Only the diagnosis and its notes, like :func:`summary_text`."""
    return "\n".join([*diagnosis_lines(found.diagnosis), *note_lines(found.quality)])


def diagnosis_lines(diagnosis: PatientDiagnosis) -> list[str]:
    """The diagnosis with its votes and probabilities, and the name of the classifier."""
    vote, known = diagnosis.vote, diagnosis.classifier
    shares = rounded_shares(diagnosis.mean_probabilities, 2)
    votes = ", ".join(f"{CLASS_NAMES[d]} {vote.weights[d]:.1f}" for d in reversed(Diagnosis))
    means = ", ".join(f"{CLASS_NAMES[d]} {shares[d]:.2f}" for d in reversed(Diagnosis))
    by = "" if known is None else f" by {known.name} (SHA-256 {known.sha256[:12]})"
    return [
        *_wrapped(f"Diagnosis {DIAGNOSIS_NAMES[diagnosis.label]}{by}: votes of {len(diagnosis.slices)} slices {votes}"),
        f"  mean probabilities, not calibrated: {means}",
    ]


def _score_lines(analysis: Findings) -> Iterator[str]:
    if analysis.ctss is None:
        yield "No CTSS: it is a sum over the lobes, which are not known."
        return
    variant = "" if analysis.ctss_max_variant is None else f", {analysis.ctss_max_variant} by the maximum over slices"
    yield from _wrapped(
        f"CTSS {with_range(analysis.ctss, analysis.ctss_range)} of {CTSS_MAX}, {analysis.severity.label}{variant}; "
        f"total severity score {analysis.total_severity_score}/{TSS_MAX}"
    )
    yield from map(_lobe_line, analysis.lobe_scores)


def _lobe_line(score: LobeScore) -> str:
    name = f"  {score.lobe.name} {LOBE_NAMES[score.lobe]:<17}"
    if not score.voxels:
        return f"{name} absent"
    sure = "" if score.confidence is None else f", confidence {score.confidence:.2f}"
    points = with_range(score.score, score.score_range)
    return (
        f"{name} score {points:<7} {score.involvement_percent:5.1f} % infected"
        f"  ({score.infection_ml:.1f} of {score.volume_ml:.0f} ml){sure}"
    )


def _volume_lines(analysis: Findings) -> Iterator[str]:
    right, left = analysis.side_ml(Side.RIGHT), analysis.side_ml(Side.LEFT)
    glass, solid = analysis.opacity_ml(Opacity.GROUND_GLASS), analysis.opacity_ml(Opacity.CONSOLIDATION)
    yield (
        f"Lungs {analysis.lung_ml:.0f} ml (right {right:.0f}, left {left:.0f}), "
        f"{analysis.well_aerated_percent:.1f} % well aerated"
    )
    yield (
        f"Infection {analysis.infection_percent:.1f} % of the lungs "
        f"(ground glass {glass:.1f} ml, consolidation {solid:.1f} ml)"
    )
    yield from _low_attenuation_lines(analysis.low_attenuation)
    if analysis.uncounted is not None:
        dense = analysis.uncounted
        yield (
            f"Dense, not counted: vessels {dense.vessels_ml:.0f} ml, borders of the lungs {dense.borders_ml:.0f} ml, "
            f"dependent {dense.dependent_ml:.0f} ml, small or thin {dense.small_ml:.0f} ml"
        )


def _low_attenuation_lines(low: LowAttenuation) -> Iterator[str]:
    found = low.total
    noise = "not known" if low.noise_sd_hu is None else f"{low.noise_sd_hu:.0f} HU"
    percentile = (
        "" if found.percentile_hu is None else f"; percentile {low.percentile:g} at {found.percentile_hu:.0f} HU"
    )
    yield from _wrapped(
        f"Low attenuation {found.percent:.1f} % of the lungs under {low.threshold_hu} HU "
        f"({found.measured_percent:.1f} % with noise of {noise}){percentile}"
    )


def note_lines(notes: Iterable[QualityNote]) -> Iterator[str]:
    """Quality notes, warnings first."""
    for note in sorted(notes, key=_warnings_first):
        label = "Warning" if note.severity is NoteSeverity.WARNING else "Note"
        yield from _wrapped(f"{label}: {note.message}")


def _warnings_first(note: QualityNote) -> bool:
    return note.severity is not NoteSeverity.WARNING


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, subsequent_indent="  ")
