"""``changes.seg.nrrd``: new, resolved and persistent opacity on the later CT, for 3D Slicer."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from CovidSeverityLib.reporting.palette import Rgb
from CovidSeverityLib.reporting.segmentation import (
    ALTERED_STRUCTURE,
    COMPRESSION_LEVEL,
    GZIP,
    LUNG,
    OPACITY_CONTEXT,
    Code,
    segment_fields,
    segmentation_header,
    terminology_of,
)

from .change import CHANGE_NAMES, OpacityChange
from .compared import Compared

CHANGE_TYPES: dict[OpacityChange, Code] = {
    OpacityChange.NEW: ("99COVSEV", "OPACITY-NEW", "New opacity"),
    OpacityChange.RESOLVED: ("99COVSEV", "OPACITY-RESOLVED", "Resolved opacity"),
    OpacityChange.PERSISTENT: ("99COVSEV", "OPACITY-PERSISTENT", "Persistent opacity"),
}
"""SNOMED CT has no concept for these; the scheme is the private one of the DICOM objects (``docs/followup.md``)."""

CHANGE_COLOURS: dict[OpacityChange, Rgb] = {
    OpacityChange.NEW: (0.835294, 0.368627, 0.0),
    OpacityChange.RESOLVED: (0.337255, 0.705882, 0.913725),
    OpacityChange.PERSISTENT: (0.941176, 0.894118, 0.258824),
}
"""Vermilion, sky blue and yellow of Okabe and Ito, distinct for every common kind of colour blindness."""


def write_changes(comparison: Compared, file: BinaryIO, header: bytes | None = None) -> None:
    """Write the changes to an open binary ``file`` in Slicer's ``.seg.nrrd`` format, in the order of the stored CT.

    The same comparison gives the same bytes. ``header`` is that of :func:`changes_header`; None makes it here.
    """
    file.write(changes_header(comparison) if header is None else header)
    stream = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, GZIP)
    for plane in comparison.after.storage.to_stored(comparison.labels):
        file.write(stream.compress(np.ascontiguousarray(plane).data))
    file.write(stream.flush())


def changes_header(comparison: Compared) -> bytes:
    """The header; like :func:`~CovidSeverityLib.reporting.segmentation.segmentation_header` not while threads run."""
    geometry = comparison.after.stored_geometry
    return segmentation_header(geometry, describe_changes(geometry.size), layers=1)


def describe_changes(size: tuple[int, int, int]) -> Iterator[dict[str, Any]]:
    """Every segment in the order of its label, by slicerio's keys, for stored voxels of this ``size``."""
    extent = [0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1]
    for kind, name in CHANGE_NAMES.items():
        terminology = terminology_of(OPACITY_CONTEXT, ALTERED_STRUCTURE, CHANGE_TYPES[kind], anatomicRegion=LUNG)
        yield segment_fields(name.replace(" ", "_"), name, CHANGE_COLOURS[kind], terminology, 0, kind, extent)
