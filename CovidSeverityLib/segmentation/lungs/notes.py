"""What the reader of a result should be told about the lungs: their volumes, and gas beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from CovidSeverityLib.types import NoteSeverity, QualityNote, Side

SMALL_LUNGS_ML = 1500.0
"""Both lungs of an adult at full inspiration hold 4-6 litres; under this the scan was taken in expiration, the lungs
are collapsed, or part of them was not found."""

LARGE_LUNGS_ML = 9000.0
"""The largest lungs of adults, with emphysema, hold 8 to 9 litres."""

USUAL_RIGHT_TO_LEFT = (0.65, 1.8)
"""The right lung is usually 1.05 to 1.2 times as large as the left; outside these limits one of them is ill or lost."""


def volume_notes(sides_ml: Mapping[Side, float]) -> Iterator[QualityNote]:
    """Notes on lungs that are too small, too large or too unlike each other.

    Parameters
    ----------
    sides_ml : volume of each lung, ml; empty where the CT does not show whole lungs.
    """
    if not sides_ml:
        return
    right, left = sides_ml[Side.RIGHT], sides_ml[Side.LEFT]
    if right + left < SMALL_LUNGS_ML:
        yield QualityNote(
            "lungs_small",
            NoteSeverity.WARNING,
            f"The lungs hold {right + left:.0f} ml, less than {SMALL_LUNGS_ML:.0f} ml: expiration, collapse, or lung "
            "that was not found; look at the outlines.",
        )
    if right + left > LARGE_LUNGS_ML:
        yield QualityNote(
            "lungs_large",
            NoteSeverity.WARNING,
            f"The lungs hold {(right + left) / 1000:.1f} litres, more than {LARGE_LUNGS_ML / 1000:.0f}, the most that "
            "lungs hold: other air was taken for lung, or the voxel spacing is wrong; volumes, infected shares and the "
            "score are spoiled.",
        )
    smallest, largest = USUAL_RIGHT_TO_LEFT
    if right and left and not smallest <= right / left <= largest:
        yield QualityNote(
            "lungs_asymmetric",
            NoteSeverity.WARNING,
            f"The right lung is {right / left:.2f} times as large as the left (usual: {smallest} to {largest}): "
            "collapse, effusion, or lung that was not found; look at the outlines.",
        )


def pleural_gas_notes(gas_ml: Mapping[Side, float]) -> tuple[QualityNote, ...]:
    """Warnings of gas beside the lungs.

    Parameters
    ----------
    gas_ml : as :func:`~.segmentation.lungs.pleural_gas.pleural_gas` gives it.
    """
    return tuple(
        QualityNote(
            "pneumothorax",
            NoteSeverity.WARNING,
            f"At least {ml:.0f} ml of gas without any lung tissue in it lie in the {side.name.lower()} half of the "
            "chest, against its wall: a pneumothorax, or a giant bulla. Collapsed lung is dense without being ill: "
            f"volume, infected share and CTSS of the {side.name.lower()} lung are spoiled, and the totals with them.",
        )
        for side, ml in sorted(gas_ml.items())
    )
