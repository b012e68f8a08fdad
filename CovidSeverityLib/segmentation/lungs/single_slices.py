"""The lungs of slices without neighbours: a single slice, or a stack of slices of different patients.

A slice is repeated to a stack of the height of a chest, and the lungs are looked for in that: what lies above and below
then says neither yes nor no. The method is that of whole chests, but for one step: a stack of copies has not the shape
of a chest, and no airless lung is looked for by it. What aerated lung does not surround stays outside.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import NoLungsError
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.preprocessing.window import window_note, window_top, with_bone
from CovidSeverityLib.types import CtVolume, NoteSeverity, QualityNote

from .lung_segmentation import LungSegmentation, lung_labels

COPIES = 16
COPY_MM = 10.0
"""A slice is repeated so often and at this distance: 160 mm, about the height at which both lungs are seen."""


def segment_slice_lungs(volume: CtVolume) -> LungSegmentation:
    """Find the lungs of every slice on its own.

    Parameters
    ----------
    volume : axial slices in Hounsfield units that need not belong together.

    Returns
    -------
    LungSegmentation
        Slices without lungs are empty, and a note counts them.

    Raises
    ------
    NoLungsError
        If no slice shows lungs.
    """
    top = window_top(volume.hu)
    voxels = with_bone(volume.hu, top)
    found = map_in_order(lambda k: _of_slice(volume, voxels[k]), range(len(voxels)), "lungs", None)
    empty = [n for n, labels in enumerate(found) if labels is None]
    if len(empty) == len(found):
        what = "the slice shows" if len(found) == 1 else f"none of the {len(found)} slices shows"
        raise NoLungsError(f"no lungs found in {volume.name or 'the volume'}: {what} enough of them")
    labels = np.zeros(volume.hu.shape, dtype=np.uint8)
    for k, slice_labels in enumerate(found):
        if slice_labels is not None:
            labels[k] = slice_labels
    notes = [] if top is None else [window_note(top)]
    notes += _without_lungs(empty, len(found))
    return LungSegmentation(labels, "classical, slice by slice", tuple(notes))


def _of_slice(volume: CtVolume, pixels_hu: NDArray[np.int16]) -> NDArray[np.uint8] | None:
    """(J, I) labels of one slice; None where it shows no lungs."""
    stack = np.broadcast_to(pixels_hu, (COPIES, *pixels_hu.shape))
    columns, rows, _ = volume.geometry.size
    geometry = replace(
        volume.geometry, size=(columns, rows, COPIES), spacing_mm=(*volume.geometry.spacing_mm[:2], COPY_MM)
    )
    try:
        labels, _ = lung_labels(np.ascontiguousarray(stack), geometry, whole_chest=False)
    except NoLungsError:
        return None
    return labels[COPIES // 2]


def _without_lungs(empty: list[int], count: int) -> list[QualityNote]:
    if not empty:
        return []
    message = f"{len(empty)} of {count} slices show no lungs; nothing is measured in them."
    return [QualityNote("slices_without_lungs", NoteSeverity.WARNING, message)]
