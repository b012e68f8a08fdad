"""Are these Hounsfield units? Repair what is clear, refuse what is not.

The evidence is where the peaks of the histogram stand. A chest CT has air and lung, fat, and muscle with blood, each at
its own density; between lung and fat there is little, and bone is a tail without a peak. The histogram is one of means
over blocks of about 6 mm, in which noise is averaged away. Every way in which people and programs change Hounsfield
units (``HounsfieldConfig.changes``) is undone for a try: the peaks then stand in their places, or they do not.

* Values that are Hounsfield units already, by what can be seen of them, are left alone.
* Otherwise they are changed back where air or lung, and fat and muscle, all agree on one of the changes.
* Otherwise they are refused, and the peaks are named.

The check needs the values before anything is clipped: the readers give it those of the file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.io.stored_numbers import PADDING, refuse_other_types, to_int16
from CovidSeverityLib.types import AIR_HU, HounsfieldChange, NoteSeverity, QualityNote

from .block_peaks import Blocks, describe, take_blocks
from .chest_peaks import ChestPeaks
from .config import HounsfieldConfig

NEEDED = "a chest CT in Hounsfield units is needed, with air near -1000, fat near -100 and muscle near 50"


IDENTITY = HounsfieldChange()
"""Values that are Hounsfield units already."""


def settle_hounsfield(
    values: NDArray, *, own: bool = False, config: HounsfieldConfig = HounsfieldConfig()
) -> tuple[NDArray[np.int16], tuple[QualityNote, ...], HounsfieldChange]:
    """Return Hounsfield units no lower than -1024, what was repaired, and the change that was undone for it.

    Parameters
    ----------
    values : (K, J, I) ndarray
        Values of any real type as decoded, before any clipping. :data:`PADDING` in integers, and what is not finite in
        floats, was never measured.
    own : bool
        True allows that ``values`` are written to, and returned.
    config : HounsfieldConfig
        How values are recognised, and which changes are undone.

    Raises
    ------
    NoLungsError
        The volume holds nothing but air.
    InputError
        The volume is constant, or its values are neither Hounsfield units nor a clear change of them.
    """
    refuse_other_types(values)
    blocks = take_blocks(values, config.blocks)
    change = _change_of(blocks, values, config)
    if own and values.dtype == np.int16 and change == IDENTITY:
        hu, notes = values, ()
    else:
        hu, notes = to_int16(values, change.scale, change.offset)
    np.maximum(hu, np.int16(AIR_HU), out=hu)
    if change != IDENTITY:
        notes = (*notes, _change_note(change))
    if blocks.background is not None and change.undone(np.float64(blocks.background)) > config.peaks.air_zone_hu[1]:
        notes = (*notes, _clear_background(values, blocks.background, hu))
    return hu, notes, change


def _change_of(blocks: Blocks, values: NDArray, config: HounsfieldConfig) -> HounsfieldChange:
    if not blocks.measured.size:
        _refuse_empty(blocks, values, config.peaks.gas_hu[1])
    peaks = _peaks(blocks, IDENTITY, config)
    if peaks.may_be_hounsfield():
        if peaks.dense_share < config.min_tissue:
            _refuse_gas(peaks, config)
        return IDENTITY
    changes = config.changes
    found = sorted((fit, n) for n, change in enumerate(changes) if (fit := _fit(blocks, change, config)) is not None)
    if not found or (len(found) > 1 and found[1][0] < config.clearly * found[0][0]):
        raise InputError(f"{describe(blocks, values)}; {NEEDED}")
    return changes[found[0][1]]


def _fit(blocks: Blocks, change: HounsfieldChange, config: HounsfieldConfig) -> float | None:
    """How far air, fat and muscle are from their places once ``change`` is undone, HU; None where it is not clear."""
    if blocks.whole_numbers and abs(change.scale) * config.max_step_hu < 1.0:
        return None
    peaks = _peaks(blocks, change, config)
    if not peaks.is_clear(change.scale):
        return None
    distances = peaks.distances()
    return float(np.sqrt(np.mean(distances**2))) if abs(distances.mean()) <= config.max_offset_hu else None


def _peaks(blocks: Blocks, change: HounsfieldChange, config: HounsfieldConfig) -> ChestPeaks:
    background = None if blocks.background is None else float(change.undone(np.float64(blocks.background)))
    top = float(change.undone(np.float64(blocks.top)))
    return ChestPeaks(blocks, change.undone(blocks.measured), top, background, config.peaks)


def _refuse_gas(peaks: ChestPeaks, config: HounsfieldConfig) -> None:
    if peaks.lung_share < config.peaks.min_lung:
        raise NoLungsError("the volume holds nothing but air: there are no lungs in it")
    raise InputError(
        f"nearly all values are below {config.peaks.gas_hu[1]:g} HU, air and aerated lung without vessels or a chest "
        "around it; the CT of a whole chest is needed"
    )


def _refuse_empty(blocks: Blocks, values: NDArray, gas_top_hu: float) -> None:
    if values.dtype.kind == "f" and blocks.background is None:
        raise InputError("no voxel holds a finite number; Hounsfield units are needed")
    value = PADDING if blocks.background is None else blocks.background
    every = "every" if (values == value).all() else "nearly every"
    if PADDING < value <= gas_top_hu:
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
