"""Which slices of a folder make the volume: one CT series, one orientation, one matrix."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .dicom_headers import CT, PROJECTION, SliceHeader

ORIENTATION_TOLERANCE = 1e-3
"""Slices of one stack: largest difference of their direction cosines (0.06 degrees)."""

PIXEL_SPACING_TOLERANCE = 1e-3
"""Slices of one stack: largest relative difference of their pixel spacing (half a millimetre over a body)."""


def choose_series(
    headers: Sequence[SliceHeader], series_uid: str | None = None
) -> tuple[list[SliceHeader], tuple[QualityNote, ...]]:
    """Return the slices of one stack of the series ``series_uid``, or of the series with most slices.

    Of equally long series the one with the smallest UID is taken, so that the choice never depends on file names.

    Raises
    ------
    InputError
        There is no CT among ``headers``, no series ``series_uid``, no two slices that fit each other, or a header lacks
        what a volume needs.
    """
    series = defaultdict(list)
    for header in headers:
        if header.kind == CT:
            series[header.series_uid].append(header)
    if not series:
        raise InputError(_no_ct(headers))
    if series_uid is not None and series_uid not in series:
        raise InputError(f"no CT series {series_uid}; there is {_listing(series)}")
    chosen = series_uid if series_uid is not None else min(series, key=lambda uid: (-len(series[uid]), uid))
    notes = []
    if series_uid is None and len(series) > 1:
        # no free text of the header here: notes go into reports
        message = (
            f"{len(series)} CT series; the one with most slices was taken: {chosen} ({len(series[chosen])} slices)"
        )
        notes.append(QualityNote("series_chosen", NoteSeverity.INFO, message))
    for header in series[chosen]:
        _check_header(header)
    stack = _largest_stack(series[chosen])
    dropped = len(series[chosen]) - len(stack)
    if dropped:
        message = f"{dropped} of {len(series[chosen])} slices of the series have another orientation, size or pixel "
        notes.append(QualityNote("slices_dropped", NoteSeverity.WARNING, message + "spacing and were left out"))
    if len(stack) == 1 and dropped:
        raise InputError("no two slices of the CT series have one orientation and size; slices that fit are needed")
    return stack, tuple(notes)


def _no_ct(headers: Sequence[SliceHeader]) -> str:
    if not headers:
        return "there is no DICOM image; a chest CT is needed"
    kind = Counter(h.kind for h in headers).most_common(1)[0][0]
    if kind == PROJECTION:
        return "the DICOM image is a projection (a localizer or a radiograph); a chest CT with slices is needed"
    return f"the DICOM image is {kind}; a chest CT is needed"


def _describe(slices: Sequence[SliceHeader]) -> str:
    first = min(slices, key=lambda h: h.tie_key)
    return f"{first.series_uid} ({first.description or 'no description'}, {len(slices)} slices)"


def _listing(series: dict[str, list[SliceHeader]]) -> str:
    return "; ".join(_describe(series[uid]) for uid in sorted(series, key=lambda uid: (-len(series[uid]), uid)))


def _check_header(header: SliceHeader) -> None:
    """Raise InputError, with the name of the file, for a slice that cannot be part of a volume."""
    name = header.path.name
    for keyword, value in (
        ("ImagePositionPatient", header.position),
        ("ImageOrientationPatient", header.orientation),
        ("PixelSpacing", header.pixel_spacing),
    ):
        if value is None or not np.isfinite(value).all():
            raise InputError(f"{name} has no usable {keyword}; a CT slice with its place in the patient is needed")
    if min(header.pixel_spacing) <= 0:
        raise InputError(f"{name} has a PixelSpacing of {header.pixel_spacing} mm; positive numbers are needed")
    row, column = np.reshape(header.orientation, (2, 3))
    if np.linalg.norm(np.cross(row, column)) < 0.99:  # perpendicular unit vectors, up to the digits of a header
        raise InputError(f"{name} has an ImageOrientationPatient that is no pair of perpendicular unit vectors")
    if header.samples != 1 or header.photometric != "MONOCHROME2":
        raise InputError(
            f"{name} is {header.photometric} with {header.samples} samples a pixel; a CT slice is MONOCHROME2 with one"
        )


def _largest_stack(slices: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Return the largest group of slices with one orientation, matrix and pixel spacing (of equals, the first)."""
    groups: list[list[SliceHeader]] = []
    for header in sorted(slices, key=lambda h: h.tie_key):
        group = next((g for g in groups if _same_stack(g[0], header)), None)
        if group is None:
            groups.append([header])
        else:
            group.append(header)
    return max(groups, key=len)


def _same_stack(a: SliceHeader, b: SliceHeader) -> bool:
    return (
        (a.rows, a.columns) == (b.rows, b.columns)
        and np.allclose(a.orientation, b.orientation, rtol=0, atol=ORIENTATION_TOLERANCE)
        and np.allclose(a.pixel_spacing, b.pixel_spacing, rtol=PIXEL_SPACING_TOLERANCE, atol=0)
    )
