"""What the reader of a result should be told about it, beyond the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .features.regions import LobeSegmentation
from .types import LOBE_NAMES, NoteSeverity, QualityNote, Side

LITTLE_INVOLVEMENT_PERCENT = 0.5
"""Less infected lung than this cannot be told from none: in healthy lungs up to 0.23 % were marked (large vessels near
the hilum and the blurred dome of the diaphragm; one scan and eight phantoms)."""

SMALL_LUNGS_ML = 1500.0
"""Both lungs of an adult at full inspiration hold 4-6 litres; under this the scan was taken in expiration, the lungs
are collapsed, or part of them was not found."""

UNSURE_LOBE = 0.7
"""Confidence of a lobe under which a reader is warned: under what the atlas alone reaches for the middle lobe."""

USUAL_RIGHT_TO_LEFT = (0.65, 1.8)
"""The right lung is usually 1.05 to 1.2 times as large as the left; outside these limits one of them is ill or lost."""


def result_notes(
    lobes: LobeSegmentation, sides_ml: Mapping[Side, float], infection_percent: float
) -> tuple[QualityNote, ...]:
    """Notes on lobes, lung volumes and a small involvement.

    Parameters
    ----------
    lobes : the lobes that were scored.
    sides_ml : volume of each lung, ml.
    infection_percent : infected part of both lungs.
    """
    return (*_lobe_notes(lobes), *_volume_notes(sides_ml), *_involvement_notes(infection_percent))


def _lobe_notes(lobes: LobeSegmentation) -> Iterator[QualityNote]:
    if lobes.approximate:
        yield QualityNote(
            "lobes_approximate",
            NoteSeverity.INFO,
            f"Lobes are approximate ({lobes.source}); single scores can be off where disease is near a fissure.",
        )
    unsure = [lobe for lobe, sure in (lobes.confidence or {}).items() if sure < UNSURE_LOBE]
    if unsure:
        shown = ", ".join(f"{LOBE_NAMES[lobe]} {lobes.confidence[lobe]:.2f}" for lobe in unsure)
        yield QualityNote(
            "lobes_unsure",
            NoteSeverity.WARNING,
            f"Outlines of lobes are unsure (expected Dice coefficient: {shown}); their scores are too.",
        )


def _volume_notes(sides_ml: Mapping[Side, float]) -> Iterator[QualityNote]:
    right, left = sides_ml[Side.RIGHT], sides_ml[Side.LEFT]
    if right + left < SMALL_LUNGS_ML:
        yield QualityNote(
            "lungs_small",
            NoteSeverity.WARNING,
            f"The lungs hold {right + left:.0f} ml, less than {SMALL_LUNGS_ML:.0f} ml: expiration, collapse, or lung "
            "that was not found; look at the outlines.",
        )
    smallest, largest = USUAL_RIGHT_TO_LEFT
    if right and left and not smallest <= right / left <= largest:
        yield QualityNote(
            "lungs_asymmetric",
            NoteSeverity.WARNING,
            f"The right lung is {right / left:.2f} times as large as the left (usual: {smallest} to {largest}): "
            "collapse, effusion, or lung that was not found; look at the outlines.",
        )


def _involvement_notes(infection_percent: float) -> Iterator[QualityNote]:
    if 0 < infection_percent < LITTLE_INVOLVEMENT_PERCENT:
        yield QualityNote(
            "little_involvement",
            NoteSeverity.WARNING,
            f"Only {infection_percent:.2f} % of the lungs is marked; as much is marked in healthy lungs, "
            "so the true score may be 0.",
        )
