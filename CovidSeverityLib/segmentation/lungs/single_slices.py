"""The lungs of slices without neighbours: a single slice, or a stack of slices of different patients.

A slice is repeated to a stack of the height of a chest, in which the lungs are found as in a whole chest. One step is
left out: a stack of copies does not have the shape of a chest, so that airless lung against organs is not found.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import NoLungsError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.preprocessing.window import window_note, window_top, with_bone
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .config import LungConfig
from .lung_segmentation import LungSegmentation, lung_labels


def segment_slice_lungs(volume: CtVolume, config: LungConfig = LungConfig()) -> LungSegmentation:
    """Find the lungs of every slice on its own.

    Parameters
    ----------
    volume : CtVolume
        Axial slices in Hounsfield units that need not belong together.
    config : LungConfig
        How the lungs are found.

    Returns
    -------
    LungSegmentation
        Slices without lungs are empty, and a note counts them.

    Raises
    ------
    NoLungsError
        If no slice shows lungs.
    """
    top = window_top(volume.hu, config.window)
    voxels = with_bone(volume.hu, top, config.window)
    found = map_in_order(lambda k: _lungs_of_slice(volume, voxels[k], config), range(len(voxels)), "lungs", None)
    empty = [n for n, labels in enumerate(found) if labels is None]
    if len(empty) == len(found):
        what = "its slice does not show" if len(found) == 1 else f"none of the {len(found)} slices shows"
        raise NoLungsError(f"no lungs found in {volume.name or 'the volume'}: {what} enough of them")
    labels = np.zeros(volume.hu.shape, dtype=np.uint8)
    for k, slice_labels in enumerate(found):
        if slice_labels is not None:
            labels[k] = slice_labels
    notes = [] if top is None else [window_note(top)]
    notes += _empty_slices_note(empty, len(found))
    return LungSegmentation(labels, "classical, slice by slice", tuple(notes))


def _lungs_of_slice(volume: CtVolume, pixels_hu: NDArray[np.int16], config: LungConfig) -> NDArray[np.uint8] | None:
    """(J, I) labels of one slice; None where it shows no lungs."""
    copies, distance_mm = config.single_slices.copies, config.single_slices.distance_mm
    stack = np.broadcast_to(pixels_hu, (copies, *pixels_hu.shape))
    columns, rows, _ = volume.geometry.size
    spacing_mm = (*volume.geometry.spacing_mm[:2], distance_mm)
    geometry = replace(volume.geometry, size=(columns, rows, copies), spacing_mm=spacing_mm)
    try:
        labels, _ = lung_labels(np.ascontiguousarray(stack), geometry, config, whole_chest=False)
    except NoLungsError:
        return None
    return labels[copies // 2]


def _empty_slices_note(empty: list[int], count: int) -> list[QualityNote]:
    if not empty:
        return []
    message = f"{len(empty)} of {count} slices show no lungs; nothing is measured in them."
    return [QualityNote("slices_without_lungs", NoteSeverity.WARNING, message)]
