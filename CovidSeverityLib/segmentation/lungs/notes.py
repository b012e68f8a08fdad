"""Notes for the reader: volumes of the lungs, and gas beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from CovidSeverityLib.types import NoteSeverity, QualityNote, Side

from .config import LungNoteConfig


def volume_notes(sides_ml: Mapping[Side, float], config: LungNoteConfig = LungNoteConfig()) -> Iterator[QualityNote]:
    """Notes on lungs that are too small, too large or too different from each other.

    Parameters
    ----------
    sides_ml : mapping of float
        Volume of each lung, ml; empty where the CT does not show whole lungs.
    config : LungNoteConfig
        Which volumes are usual.

    Yields
    ------
    QualityNote
    """
    if not sides_ml:
        return
    right, left = sides_ml[Side.RIGHT], sides_ml[Side.LEFT]
    if right + left < config.small_lungs_ml:
        yield QualityNote(
            "lungs_small",
            NoteSeverity.WARNING,
            f"The lungs hold {right + left:.0f} ml, less than {config.small_lungs_ml:.0f} ml: expiration, collapse, or "
            "lung that was not found; look at the outlines.",
        )
    if right + left > config.large_lungs_ml:
        yield QualityNote(
            "lungs_large",
            NoteSeverity.WARNING,
            f"The lungs hold {(right + left) / 1000:.1f} litres, more than {config.large_lungs_ml / 1000:.0f}, the "
            "most that lungs hold: other air was taken for lung, or the voxel spacing is wrong; volumes, infected "
            "shares and the score are spoiled.",
        )
    smallest, largest = config.right_to_left
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
    gas_ml : mapping of float
        From :func:`~.segmentation.lungs.pleural_gas.pleural_gas`.

    Returns
    -------
    tuple of QualityNote
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
