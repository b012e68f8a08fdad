"""Lines around the masks of an image, for every page that shows one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .overview_views import View


def outline(view: View, mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed lines around the parts of a mask.

    Parameters
    ----------
    view : View
        The image that the mask belongs to.
    mask : (rows, columns) ndarray of bool
        Of the same shape.

    Returns
    -------
    list of (N, 2) ndarray of float64
        (x, y) of every point in mm within the plane of the view; the last point is the first one again.
    """
    from contourpy import contour_generator

    hits = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    if not hits[0].size:
        return []
    rows, columns = (slice(hit[0], hit[-1] + 3) for hit in hits)  # in arrays that are one wider at each end
    x, y = _extended(view.columns_mm())[columns], _extended(view.rows_mm())[rows]
    lines: Any = contour_generator(x, y, np.pad(mask, 1)[rows, columns].astype(np.float32)).lines(0.5)
    return lines


def _extended(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """``centres`` with one more at each end, so that outlines close at the edge of a view."""
    step = centres[1] - centres[0] if centres.size > 1 else 1.0
    return np.concatenate([[centres[0] - step], centres, [centres[-1] + step]])
