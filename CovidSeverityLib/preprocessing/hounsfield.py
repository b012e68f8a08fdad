"""Are these Hounsfield units? Repair what is clear, refuse what is not.

The evidence is the histogram of integer values. A chest CT has gas (air around and inside the patient, lung) and soft
tissue, with little between them; where those two stand tells whether the values are Hounsfield units, raw values that
are 1024 too high (the rescale intercept was never applied) or 1024 too low (it was applied twice).

The check needs the values before anything is clipped at -1024, so the readers call :func:`settle_hounsfield` on what
they decoded; :func:`check_hounsfield` is for volumes that were made in another way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.types import AIR_HU, CtVolume, NoteSeverity, QualityNote

PADDING = int(np.iinfo(np.int16).min)
"""Readers mark voxels that were never measured with this value; it is no evidence for anything, and ends as air."""

INTERCEPT_HU = 1024
"""The usual distance of stored CT values from Hounsfield units (DICOM rescale intercept -1024)."""

GAS_HU = (-1100, -500)
"""Air and aerated lung, with room for noise. What lies below, in a given reading of the values, is padding."""

SOFT_TISSUE_HU = (-150, 200)
"""Fat (-150..-50), muscle and blood (0..100), with contrast."""

BETWEEN_HU = (-500, -200)
"""Neither: only the partial volume of the lungs' surface, and diseased lung."""

MIN_GAS = 0.005
"""Least part of the voxels near air or lung in Hounsfield units: a chest has air around it or inside it."""

MIN_SHIFTED = 0.05
"""Least part of the voxels in gas, and in soft tissue, for the evidence of a shift to be clear."""

MAX_UNSHIFTED = 0.001
"""Largest part between gas and fat (-1100..-200 HU) in values that would be shifted down: unshifted CT has plenty."""

MAX_UNSHIFTED_SOFT = 0.02
"""Largest part in -200..200 of values that would be shifted up: there, only bone may lie (above 824 HU: < 1 %)."""

MIN_SOFT_SHARE = 0.6
"""Least part of all that is denser than lung that is soft tissue (0.85-0.95 in whole chests; an MR spreads wider)."""

MAX_VALLEY = 0.5
"""Largest density of values between gas and soft tissue, relative to soft tissue (about 0.1 in a CT)."""

MIN_TISSUE = 0.0005
"""Least part of the voxels above -500 HU; with fewer, the volume is only air."""


def settle_hounsfield(values: NDArray[np.int16]) -> tuple[QualityNote, ...]:
    """Turn ``values`` into Hounsfield units no lower than -1024, in place; say what was repaired.

    Parameters
    ----------
    values : (K, J, I) int16 ndarray, writable: values as decoded, before any clipping; :data:`PADDING` where nothing
        was measured.

    Raises
    ------
    NoLungsError
        The volume holds nothing but air.
    InputError
        The volume is constant, or its values are neither Hounsfield units nor a clear shift of them.
    """
    shift = _measured_shift(_histogram(values))
    if shift:
        _shift(values, shift)
    np.maximum(values, np.int16(AIR_HU), out=values)
    return (_repair_note(shift),) if shift else ()


def check_hounsfield(volume: CtVolume) -> CtVolume:
    """Return ``volume``, or a copy of it whose values were brought to Hounsfield units, with a note.

    A volume is clipped at -1024 HU, so a rescale intercept that was applied twice can no longer be repaired here.

    Raises
    ------
    InputError, NoLungsError
        As :func:`settle_hounsfield`.
    """
    shift = _measured_shift(_histogram(volume.hu))
    if not shift:
        return volume
    values = volume.hu.copy()
    _shift(values, shift)
    np.maximum(values, np.int16(AIR_HU), out=values)
    return replace(volume, hu=values, notes=(*volume.notes, _repair_note(shift)))


def _measured_shift(histogram: NDArray[np.int64]) -> int:
    """Return what has to be added to the values: 0, -1024 or 1024 HU. ``histogram[n]`` counts ``n + PADDING``."""
    low, high = _range(histogram)
    _refuse_constant(low, high)
    if _is_too_high(histogram):
        return -INTERCEPT_HU
    if _is_too_low(histogram):
        return INTERCEPT_HU
    measured = _count(histogram, GAS_HU[0], None)
    if _count(histogram, *GAS_HU) < max(MIN_GAS * measured, 1):
        raise InputError(
            f"the values run from {low} to {high} and none of them looks like air or lung (-1000 to -500); "
            "a chest CT in Hounsfield units is needed"
        )
    if _count(histogram, GAS_HU[1], None) < MIN_TISSUE * measured:
        raise NoLungsError("the volume holds nothing but air: there are no lungs in it")
    return 0


def _refuse_constant(low: int, high: int) -> None:
    if low != high:
        return
    if PADDING < low <= GAS_HU[1]:
        raise NoLungsError(f"every voxel is {low}: the volume holds nothing but air, there are no lungs in it")
    raise InputError(f"every voxel is {low}: the volume holds no image; a chest CT in Hounsfield units is needed")


def _is_too_high(histogram: NDArray[np.int64]) -> bool:
    """Whether the values are clearly Hounsfield units + 1024."""
    measured = _count(histogram, GAS_HU[0], None)
    unshifted = _count(histogram, GAS_HU[0], BETWEEN_HU[1])
    return unshifted <= MAX_UNSHIFTED * measured and _looks_like_chest(histogram, INTERCEPT_HU)


def _is_too_low(histogram: NDArray[np.int64]) -> bool:
    """Whether the values are clearly Hounsfield units - 1024."""
    unshifted = _count(histogram, BETWEEN_HU[1], SOFT_TISSUE_HU[1])
    if unshifted > MAX_UNSHIFTED_SOFT * _count(histogram, GAS_HU[0], None):
        return False
    return _looks_like_chest(histogram, -INTERCEPT_HU)


def _looks_like_chest(histogram: NDArray[np.int64], offset: int) -> bool:
    """Whether ``values - offset`` has the gas and the soft tissue of a chest CT, with a valley between them."""
    measured = _count(histogram, GAS_HU[0] + offset, None)
    gas = _count(histogram, GAS_HU[0] + offset, GAS_HU[1] + offset) - _spike(histogram, offset)
    soft = _count(histogram, SOFT_TISSUE_HU[0] + offset, SOFT_TISSUE_HU[1] + offset)
    between = _count(histogram, BETWEEN_HU[0] + offset, BETWEEN_HU[1] + offset)
    dense = _count(histogram, GAS_HU[1] + offset, None)
    valley = (between / np.ptp(BETWEEN_HU)) / max(soft / np.ptp(SOFT_TISSUE_HU), 1e-9)
    populated = min(gas, soft) >= MIN_SHIFTED * measured and soft > 0
    return bool(populated and soft >= MIN_SOFT_SHARE * dense and valley <= MAX_VALLEY)


def _spike(histogram: NDArray[np.int64], offset: int) -> int:
    """Count of the commonest gas value below -1024: padding (-2000, -2048) when it is read as shifted gas."""
    first, last = GAS_HU[0] + offset - PADDING, min(GAS_HU[1] + offset, AIR_HU) - PADDING
    return int(histogram[first:last].max()) if last > first else 0


def _shift(values: NDArray[np.int16], shift: int) -> None:
    """Add ``shift`` to ``values`` in place, saturating at the ends of int16."""
    info = np.iinfo(np.int16)
    np.clip(values, max(info.min, info.min - shift), min(info.max, info.max - shift), out=values)
    np.add(values, np.int16(shift), out=values)


def _repair_note(shift: int) -> QualityNote:
    too = "high" if shift < 0 else "low"
    message = (
        f"the values of the input are {abs(shift)} too {too} for Hounsfield units "
        f"(rescale intercept {'not applied' if shift < 0 else 'applied twice'}) and were corrected"
    )
    return QualityNote("hu_offset_repaired", NoteSeverity.WARNING, message)


def _histogram(values: NDArray[np.int16]) -> NDArray[np.int64]:
    """(65536,) counts of ``PADDING`` .. 32767; one slice at a time, since bincount widens its argument."""
    counts = np.zeros(1 << 16, dtype=np.int64)
    for plane in values:
        counts += np.bincount(np.ascontiguousarray(plane).ravel().view(np.uint16), minlength=1 << 16)
    return np.roll(counts, -PADDING)


def _range(histogram: NDArray[np.int64]) -> tuple[int, int]:
    """Lowest and highest value, padding aside where there is anything else."""
    present = np.flatnonzero(histogram[1:]) + 1
    return (int(present[0]) + PADDING, int(present[-1]) + PADDING) if present.size else (PADDING, PADDING)


def _count(histogram: NDArray[np.int64], first: int, stop: int | None) -> int:
    """Voxels with ``first <= value < stop``."""
    return int(histogram[max(first - PADDING, 1) : None if stop is None else stop - PADDING].sum())
