"""Are these Hounsfield units? Repair what is clear, refuse what is not.

The evidence is where the peaks of the histogram stand. A chest CT has air and lung, fat, and muscle with blood, each at
its own density; between lung and fat there is little, and bone is a tail without a peak. The histogram is one of means
over blocks of about 6 mm, in which noise is averaged away. Every way in which people and programs change Hounsfield
units (:data:`CHANGES`) is undone for a try: the peaks then stand in their places, or they do not.

* Values that are Hounsfield units already, by what can be seen of them, are left alone.
* Otherwise they are changed back where air or lung, and fat and muscle, all agree on one of the changes.
* Otherwise they are refused, and the peaks are named.

The check needs the values before anything is clipped: the readers give it those of the file.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.types import AIR_HU, CtVolume, HounsfieldChange, NoteSeverity, QualityNote

from .block_peaks import Blocks, describe, take_blocks
from .chest_peaks import AIR_HU as AIR_ZONE_HU
from .chest_peaks import GAS_HU, MIN_LUNG, ChestPeaks
from .numbers import PADDING, refuse_other_types, to_int16

OFFSETS = (1000, 1024, 2000, 2048, 4096, 8192, 16384, 31744, 31768, 32768, 33768, 33792)
"""What is added to Hounsfield units, or taken from them: a rescale intercept that was not applied, or twice (-1024 as a
rule; -1000, -8192), half the range of 12 to 16 bits where signed became unsigned, and the two together."""

COMPLEMENTS = (3071, 4095)
"""What inverted values are taken from, as well: the greatest 12-bit number, less an intercept of 1024 or none."""

SCALES = (1e-3, 1e-2, 0.1, 10.0, 100.0, 1e3, 2.0**-15, 2.0**-12, 2.0**-11, 2.0**-10, 0.25, 0.5, 2.0, 4.0, 8.0, 16.0)
"""What Hounsfield units are multiplied by: powers of ten (other units), and of two (bits)."""

MAX_STEP_HU = 10.0
"""Values that are whole numbers and whose unit is more than this have lost what tells ground glass from lung."""

MIN_TISSUE = 0.005
"""Least part above -500 HU; with less, there is only gas (lungs that were cut out: 0.02 to 0.06, their vessels)."""

MAX_OFFSET_HU = 15.0
"""How far air, fat and muscle may stand from their places in the mean, after a change is undone. Seven scans and six
phantoms were within 10; more than half of the 24 HU between offsets of 1000 and 1024 would tell nothing."""

CLEARLY = 1.25
"""How many times farther from their places air, fat and muscle are with the next best change than with the best one."""

NEEDED = "a chest CT in Hounsfield units is needed, with air near -1000, fat near -100 and muscle near 50"


IDENTITY = HounsfieldChange()
CHANGES = (
    *(HounsfieldChange(1.0, sign * offset) for offset in OFFSETS for sign in (1, -1)),
    *(HounsfieldChange(-1.0, offset) for offset in (0, *OFFSETS, *COMPLEMENTS)),
    *(HounsfieldChange(sign * scale) for scale in SCALES for sign in (1, -1)),
)


def settle_hounsfield(
    values: NDArray, *, own: bool = False
) -> tuple[NDArray[np.int16], tuple[QualityNote, ...], HounsfieldChange]:
    """Return Hounsfield units no lower than -1024, what was repaired, and the change that was undone for it.

    Parameters
    ----------
    values : (K, J, I) ndarray of any real type: values as decoded, before any clipping; :data:`PADDING` in integers,
        and what is not finite in floats, was never measured.
    own : ``values`` may be written to, and returned.

    Raises
    ------
    NoLungsError
        The volume holds nothing but air.
    InputError
        The volume is constant, or its values are neither Hounsfield units nor a clear change of them.
    """
    refuse_other_types(values)
    blocks = take_blocks(values)
    change = _change_of(blocks, values)
    if own and values.dtype == np.int16 and change == IDENTITY:
        hu, notes = values, ()
    else:
        hu, notes = to_int16(values, change.scale, change.offset)
    np.maximum(hu, np.int16(AIR_HU), out=hu)
    if change != IDENTITY:
        notes = (*notes, _change_note(change))
    if blocks.background is not None and change.undone(np.float64(blocks.background)) > AIR_ZONE_HU[1]:
        notes = (*notes, _clear_background(values, blocks.background, hu))
    return hu, notes, change


def check_hounsfield(volume: CtVolume) -> CtVolume:
    """Return ``volume``, or a copy of it whose values were brought to Hounsfield units, with a note.

    A volume is clipped at -1024 HU, so a rescale intercept that was applied twice can no longer be repaired here.

    Raises
    ------
    InputError, NoLungsError
        As :func:`settle_hounsfield`.
    """
    hu, notes, change = settle_hounsfield(volume.hu)
    if not notes:
        return volume
    return replace(volume, hu=hu, notes=(*volume.notes, *notes), hounsfield_change=change)


def _change_of(blocks: Blocks, values: NDArray) -> HounsfieldChange:
    if not blocks.measured.size:
        _refuse_empty(blocks, values)
    peaks = _peaks(blocks, IDENTITY)
    if peaks.may_be_hounsfield():
        if peaks.dense_share < MIN_TISSUE:
            _refuse_gas(peaks)
        return IDENTITY
    found = sorted((fit, n) for n, change in enumerate(CHANGES) if (fit := _fit(blocks, change)) is not None)
    if not found or (len(found) > 1 and found[1][0] < CLEARLY * found[0][0]):
        raise InputError(f"{describe(blocks, values)}; {NEEDED}")
    return CHANGES[found[0][1]]


def _fit(blocks: Blocks, change: HounsfieldChange) -> float | None:
    """How far air, fat and muscle are from their places once ``change`` is undone, HU; None where it is not clear."""
    if blocks.whole_numbers and abs(change.scale) * MAX_STEP_HU < 1.0:
        return None
    peaks = _peaks(blocks, change)
    if not peaks.is_clear(change.scale):
        return None
    distances = peaks.distances()
    return float(np.sqrt(np.mean(distances**2))) if abs(distances.mean()) <= MAX_OFFSET_HU else None


def _peaks(blocks: Blocks, change: HounsfieldChange) -> ChestPeaks:
    background = None if blocks.background is None else float(change.undone(np.float64(blocks.background)))
    return ChestPeaks(blocks, change.undone(blocks.measured), float(change.undone(np.float64(blocks.top))), background)


def _refuse_gas(peaks: ChestPeaks) -> None:
    if peaks.lung_share < MIN_LUNG:
        raise NoLungsError("the volume holds nothing but air: there are no lungs in it")
    raise InputError(
        "nearly all values are below -500 HU, air and aerated lung without vessels or a chest around it; the CT of a "
        "whole chest is needed"
    )


def _refuse_empty(blocks: Blocks, values: NDArray) -> None:
    if values.dtype.kind == "f" and blocks.background is None:
        raise InputError("no voxel holds a finite number; Hounsfield units are needed")
    value = PADDING if blocks.background is None else blocks.background
    every = "every" if (values == value).all() else "nearly every"
    if PADDING < value <= GAS_HU[1]:
        raise NoLungsError(f"{every} voxel is {value:.7g}: the volume holds nothing but air, there are no lungs in it")
    raise InputError(
        f"{every} voxel is {value:.7g}: the volume holds no image; a chest CT in Hounsfield units is needed"
    )


def _clear_background(values: NDArray, background: float, hu: NDArray[np.int16]) -> QualityNote:
    """Make air, in ``hu``, of what has the value of the background and is connected with the edge of its slice."""
    for plane, target in zip(values, hu, strict=True):
        labels, _ = ndimage.label(plane == plane.dtype.type(background))
        edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        target[np.isin(labels, edge[edge > 0])] = AIR_HU
    message = f"the surroundings of the body hold the value {background:.7g} throughout and were taken as air"
    return QualityNote("background_set_to_air", NoteSeverity.WARNING, message)


def _change_note(change: HounsfieldChange) -> QualityNote:
    scale, offset = change.scale, change.offset
    if scale == 1.0:
        too, why = ("high", "not applied") if offset > 0 else ("low", "applied twice")
        message = (
            f"the values of the input are {abs(offset):g} too {too} for Hounsfield units (rescale intercept {why}) and "
            "were corrected"
        )
        return QualityNote("hu_offset_repaired", NoteSeverity.WARNING, message)
    formula = f"Hounsfield units x {scale:.6g}"
    if offset:
        formula += f" + {offset:g}"
    inverted = " (inverted)" if scale < 0 else ""
    message = f"the values of the input are {formula}{inverted} and were corrected"
    return QualityNote("hu_scale_repaired", NoteSeverity.WARNING, message)
