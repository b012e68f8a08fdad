"""What the reader of a result should know beside the numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from CovidSeverityLib.ctss import severity_for
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.segmentation.lungs.config import LungNoteConfig
from CovidSeverityLib.segmentation.lungs.notes import volume_notes
from CovidSeverityLib.segmentation.opacity.values import UncountedDensity
from CovidSeverityLib.types import LOBE_NAMES, CtVolume, Geometry, NoteSeverity, QualityNote, Side

from .config import NoteConfig
from .low_attenuation import LowAttenuation
from .quantification import LobeScore

SHARP_KERNELS = re.compile(
    r"(?i:lung|edge|bone(plus)?)|(?-i:[A-Z][a-z]?(4[5-9]|[5-9]\d)[a-z]?)|(?-i:FC[358]\d)|(?-i:[CDEL]|Y[A-D])"
)
"""Kernels that sharpen, by the names that GE, Siemens (numbers from 45 on), Canon and Philips give them. They move the
emphysema index by 2 points, overenhancing ones by 9 (Boedeker 2004, Radiology 232:295); between the two kernels of each
of 369 scans it differed by 7 to 8 (Gallardo-Estrella 2016, doi 10.1007/s00330-015-3824-y)."""


def slices_alone_note(volume: CtVolume) -> QualityNote:
    """Note on what slices alone do not tell."""
    what = "The CT is a single slice" if volume.is_single_slice else "The slices were taken as unrelated"
    return QualityNote(
        "slices_alone",
        NoteSeverity.WARNING,
        f"{what}: every slice was decided alone. Vessels that cross it can be taken for small opacities, lung against "
        "the chest wall or the heart can be missed, and the lobes are not known. Analyse the whole series if there is "
        "one.",
    )


def result_notes(
    lobes: LobeSegmentation,
    sides_ml: Mapping[Side, float],
    infection_percent: float,
    config: NoteConfig = NoteConfig(),
    lungs: LungNoteConfig = LungNoteConfig(),
) -> tuple[QualityNote, ...]:
    """Notes on lobes, lung volumes and a small involvement.

    Parameters
    ----------
    lobes : LobeSegmentation
        The lobes that were scored.
    sides_ml : mapping of Side to float
        Volume of each lung, ml; empty where the CT does not show whole lungs.
    infection_percent : float
        Opacities in per cent of both lungs.
    config : NoteConfig
        When a reader is warned.
    lungs : LungNoteConfig
        Which volumes of lungs are usual.
    """
    return (*_lobe_notes(lobes, config), *volume_notes(sides_ml, lungs), *_involvement_notes(infection_percent, config))


def resolution_notes(geometry: Geometry, config: NoteConfig = NoteConfig()) -> tuple[QualityNote, ...]:
    """Notes on voxels too large for the method.

    Parameters
    ----------
    geometry : Geometry
        Of the CT.
    config : NoteConfig
        When a reader is warned.
    """
    *pixel_mm, slice_mm = geometry.spacing_mm
    return (*_pixel_notes(max(pixel_mm), config), *_slice_notes(slice_mm, config))


def _pixel_notes(pixel_mm: float, config: NoteConfig) -> Iterator[QualityNote]:
    if pixel_mm > config.coarse_pixel_mm:
        yield QualityNote(
            "pixels_coarse",
            NoteSeverity.WARNING,
            f"Pixels are {pixel_mm:.1f} mm wide; over {config.coarse_pixel_mm:.0f} mm vessels cannot be told from "
            "opacities, and too much is marked. Analyse the original images.",
        )


def _slice_notes(slice_mm: float, config: NoteConfig) -> Iterator[QualityNote]:
    if slice_mm > config.thick_slice_mm:
        yield QualityNote(
            "slices_thick",
            NoteSeverity.WARNING,
            f"Slices are {slice_mm:.1f} mm apart; over {config.thick_slice_mm:.0f} mm volumes of opacities can be a "
            "quarter off, and small ones are lost. Analyse a thinner reconstruction if there is one.",
        )


def uncertainty_notes(
    scores: Sequence[LobeScore],
    ctss_range: tuple[int, int] | None,
    uncounted: UncountedDensity | None,
    config: NoteConfig = NoteConfig(),
) -> tuple[QualityNote, ...]:
    """Notes on scores near an edge, and on opacities where gravity alone can make lung dense.

    Parameters
    ----------
    scores : sequence of LobeScore
        Of all lobes.
    ctss_range : (int, int) or None
        Of their sum; None where the profile does not know it.
    uncounted : UncountedDensity or None
        Of the same CT; None where the profile does not know it.
    config : NoteConfig
        When a reader is warned.
    """
    return (*_range_notes(scores, ctss_range), *_dependent_notes(scores, uncounted, config))


def low_attenuation_notes(
    low: LowAttenuation, kernel: str, config: NoteConfig = NoteConfig()
) -> tuple[QualityNote, ...]:
    """Notes on low attenuation that noise or a sharp kernel explains.

    Parameters
    ----------
    low : LowAttenuation
        Of the lungs.
    kernel : str
        Name of the reconstruction kernel; empty where it is not known.
    config : NoteConfig
        When a reader is warned.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> [note.code for note in low_attenuation_notes(Analysis.load("results").low_attenuation, "B70f")]
    ['low_attenuation_noise_unknown', 'low_attenuation_kernel']
    """
    if low.total.measured_percent < config.little_low_attenuation_percent:
        return ()
    return (*_noise_notes(low, config), *_kernel_notes(low, kernel))


def _noise_notes(low: LowAttenuation, config: NoteConfig) -> Iterator[QualityNote]:
    found = low.total
    measured = f"{found.measured_percent:.1f} % of the lungs measure under {low.threshold_hu} HU"
    if low.noise_sd_hu is None:
        yield QualityNote(
            "low_attenuation_noise_unknown",
            NoteSeverity.WARNING,
            f"{measured}; there is too little air of trachea and main bronchi to measure the noise in, so that none is "
            "taken off: part of it may be noise.",
        )
    elif 100.0 * found.noise_percent > config.mostly_noise_percent * found.measured_percent:
        yield QualityNote(
            "low_attenuation_noise",
            NoteSeverity.WARNING,
            f"{measured}, most of it by noise ({low.noise_sd_hu:.0f} HU); {found.percent:.1f} % without it. Measure "
            "emphysema in a smoother reconstruction.",
        )


def _kernel_notes(low: LowAttenuation, kernel: str) -> Iterator[QualityNote]:
    if SHARP_KERNELS.fullmatch(kernel):
        yield QualityNote(
            "low_attenuation_kernel",
            NoteSeverity.WARNING,
            f"The kernel {kernel} sharpens: some of the {low.total.percent:.1f} % of the lungs under "
            f"{low.threshold_hu} HU may be its overshoot. Measure emphysema in a smoother reconstruction.",
        )


def _range_notes(scores: Sequence[LobeScore], ctss_range: tuple[int, int] | None) -> Iterator[QualityNote]:
    near = [(score.lobe.name, score.score_range) for score in scores if score.near_edge]
    if near:
        shown = ", ".join(f"{name} {ends[0]} to {ends[1]}" for name, ends in near if ends)
        yield QualityNote("scores_near_edge", NoteSeverity.INFO, f"Scores of lobes are near an edge: {shown}.")
    if ctss_range is not None:
        words = [severity_for(total).label for total in ctss_range]
        if words[0] != words[1]:
            yield QualityNote(
                "severity_unsure",
                NoteSeverity.WARNING,
                f"Severity may be {words[0]} or {words[1]}: the score is {ctss_range[0]} to {ctss_range[1]} within the "
                "uncertainty of thresholds and fissures.",
            )


def _dependent_notes(
    scores: Sequence[LobeScore], uncounted: UncountedDensity | None, config: NoteConfig
) -> Iterator[QualityNote]:
    infected_ml = sum(score.infection_ml for score in scores)
    if uncounted is None or uncounted.dependent_opacity_ml is None or not infected_ml:
        return
    percent = 100.0 * uncounted.dependent_opacity_ml / infected_ml
    if percent > config.mostly_dependent_percent:
        yield QualityNote(
            "mostly_dependent",
            NoteSeverity.WARNING,
            f"{min(percent, 100.0):.0f} % of the opacities lie right under the dependent pleura, where gravity alone "
            "can make lung airless; a scan of the patient turned over would tell.",
        )


def _lobe_notes(lobes: LobeSegmentation, config: NoteConfig) -> Iterator[QualityNote]:
    if lobes.approximate:
        yield QualityNote(
            "lobes_approximate",
            NoteSeverity.INFO,
            f"Lobes are approximate ({lobes.source}); single scores can be off where disease is near a fissure.",
        )
    unsure = {lobe: sure for lobe, sure in (lobes.confidence or {}).items() if sure < config.unsure_lobe}
    if unsure:
        shown = ", ".join(f"{LOBE_NAMES[lobe]} {sure:.2f}" for lobe, sure in unsure.items())
        yield QualityNote(
            "lobes_unsure",
            NoteSeverity.WARNING,
            f"Outlines of lobes are unsure (expected Dice coefficient: {shown}); their scores are too.",
        )


def _involvement_notes(infection_percent: float, config: NoteConfig) -> Iterator[QualityNote]:
    if 0 < infection_percent < config.little_involvement_percent:
        yield QualityNote(
            "little_involvement",
            NoteSeverity.WARNING,
            f"Only {infection_percent:.2f} % of the lungs is marked; as much is marked in healthy lungs, "
            "so the true score may be 0.",
        )
