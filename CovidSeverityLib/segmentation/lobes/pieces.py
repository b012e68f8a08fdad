"""Every lobe in one piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import boxes_of, component_sizes
from CovidSeverityLib.morphology.grid import bounding_box


def in_one_piece(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The lobes of a lung, each of them connected: a smaller piece belongs to the lobe that most of its faces touch.

    Parameters
    ----------
    labels : (K, J, I) ndarray of uint8
        Labels of the lobes of one lung, 0 outside it.

    Returns
    -------
    (K, J, I) ndarray of uint8
        The same voxels. A lobe has more than one piece only where the lung itself has.

    Examples
    --------
    >>> import numpy as np
    >>> in_one_piece(np.array([[[1, 1, 1, 1], [1, 2, 1, 2], [1, 1, 2, 2]]], dtype=np.uint8)).tolist()
    [[[1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 2, 2]]]
    """
    whole, loose = _parted(labels)
    while loose:
        rest = [piece for piece in loose if not _joined(whole, *piece)]
        if len(rest) == len(loose):
            break
        loose = rest
    return np.where(whole > 0, whole, labels)


Piece = tuple[tuple[slice, ...], NDArray[np.bool_]]
"""A box with a margin of one voxel where there is room, and the piece in it."""


def _parted(labels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[Piece]]:
    """The largest piece of every lobe, and all others, the large ones first."""
    whole = labels.copy()
    loose: list[Piece] = []
    for lobe in range(1, int(labels.max()) + 1):
        mask = labels == lobe
        box = bounding_box(mask, margin=(1, 1, 1))
        pieces, count = ndimage.label(mask[box])
        if count < 2:
            continue
        largest = int(component_sizes(pieces).argmax())
        whole[box][(pieces > 0) & (pieces != largest)] = 0
        for n, found in enumerate(boxes_of(pieces), start=1):
            if n != largest:
                inner = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in found)
                outer = tuple(
                    slice(b.start + s.start, min(b.start + s.stop, b.stop)) for b, s in zip(box, inner, strict=True)
                )
                loose.append((outer, pieces[inner] == n))
    return whole, sorted(loose, key=lambda piece: -int(piece[1].sum()))


def _joined(whole: NDArray[np.uint8], box: tuple[slice, ...], piece: NDArray[np.bool_]) -> bool:
    """Give a piece to the lobe that most of its faces touch; False where it touches none."""
    part = whole[box]
    faces = np.zeros(256, dtype=np.int64)
    for axis in range(3):
        for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            index = [slice(None)] * 3
            index[axis] = here
            beside = [slice(None)] * 3
            beside[axis] = there
            faces += np.bincount(part[tuple(beside)][piece[tuple(index)]], minlength=256)
    faces[0] = 0
    if not faces.any():
        return False
    part[piece] = faces.argmax()
    return True
