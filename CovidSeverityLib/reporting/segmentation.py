"""Masks as a ``.seg.nrrd`` file that 3D Slicer loads as one segmentation.

Lungs, lobes and opacities overlap. They are therefore three layers of one file, as Slicer writes overlapping segments.
The voxels have the order and the geometry of the stored input.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from CovidSeverityLib.findings import Findings
from CovidSeverityLib.types import LOBE_NAMES, OPACITY_NAMES, Geometry, Lobe, Opacity, Side

from .palette import LOBE_COLOURS, LUNG_COLOUR, OPACITY_COLOURS, Rgb

COMPRESSION_LEVEL = 1
"""zlib level: masks consist of long runs, and level 9 (slicerio's default) is many times slower for little gain."""

GZIP = zlib.MAX_WBITS | 16
"""zlib's setting for gzip."""

Code = tuple[str, str, str]
"""Coding scheme, value and meaning."""

# Category, type and modifier are spelled as in Slicer's "3D Slicer General Anatomy list"
# (Modules/Loadable/Terminologies/Resources/SegmentationCategoryTypeModifier-SlicerGeneralAnatomy.json).
ANATOMY_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
OPACITY_CONTEXT = "Segmentation category and type - CovidSeverity"
"""Slicer's lists contain neither kind of opacity; this is the name of the list in the module."""

ANATOMICAL_STRUCTURE: Code = ("SCT", "123037004", "Anatomical Structure")
ALTERED_STRUCTURE: Code = ("SCT", "49755003", "Morphologically Altered Structure")
LUNG: Code = ("SCT", "39607008", "Lung")
UPPER_LOBE: Code = ("SCT", "45653009", "Upper lobe of lung")
MIDDLE_LOBE: Code = ("SCT", "72481006", "Middle lobe of right lung")
LOWER_LOBE: Code = ("SCT", "90572001", "Lower lobe of lung")
LATERALITY: dict[Side, Code] = {Side.RIGHT: ("SCT", "24028007", "Right"), Side.LEFT: ("SCT", "7771000", "Left")}

LOBE_TYPES: dict[Lobe, Code] = {
    Lobe.RUL: UPPER_LOBE,
    Lobe.RML: MIDDLE_LOBE,
    Lobe.RLL: LOWER_LOBE,
    Lobe.LUL: UPPER_LOBE,
    Lobe.LLL: LOWER_LOBE,
}
OPACITY_TYPES: dict[Opacity, Code] = {
    Opacity.GROUND_GLASS: ("SCT", "1217294009", "Ground glass lung opacity"),
    Opacity.CONSOLIDATION: ("SCT", "95436008", "Lung consolidation"),
}
SIDE_NAMES = {Side.RIGHT: "right lung", Side.LEFT: "left lung"}

LAYERS = 3
_LUNG_LAYER, _LOBE_LAYER, _OPACITY_LAYER = range(LAYERS)


def write_segmentation(analysis: Findings, file: BinaryIO, header: bytes | None = None) -> None:
    """Write the masks of ``analysis`` to an open binary ``file`` in Slicer's ``.seg.nrrd`` format.

    The same analysis gives the same bytes. ``header`` is that of :func:`segmentation_header`; None makes it here.
    """
    volume = analysis.volume
    file.write(segmentation_header(volume.stored_geometry) if header is None else header)
    stream = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, GZIP)
    layers = (volume.storage.to_stored(layer) for layer in (analysis.lungs, analysis.lobes, analysis.infection))
    for planes in zip(*layers, strict=True):  # slice by slice: a copy of the whole would take three times its memory
        voxels = np.ascontiguousarray(np.stack(planes, axis=-1))  # the layer is the fastest axis, as in Slicer
        file.write(stream.compress(voxels.data))
    file.write(stream.flush())


def segmentation_header(
    geometry: Geometry, segments: Iterable[dict[str, Any]] | None = None, layers: int = LAYERS
) -> bytes:
    """The header as slicerio writes it, for no slices, with their number put in and without the time of day.

    It changes the process's filters of warnings for a moment: not while another thread does so.

    Parameters
    ----------
    geometry : Geometry
        Of the stored voxels.
    segments : iterable of dict, optional
        As :func:`describe_segments` yields them; None for those of an analysis.
    layers : int
        Number of layers; the voxels of one layer are 3-D.
    """
    import slicerio

    i, j, k = geometry.size
    several = (layers,) if layers > 1 else ()
    buffer = io.BytesIO()
    content = {
        "ijkToLPS": geometry.ijk_to_lps,
        "containedRepresentationNames": ["Binary labelmap"],
        "conversionParameters": [_reference_geometry(geometry)],
        "segments": list(describe_segments(geometry.size) if segments is None else segments),
        "voxels": np.empty((0, j, i, *several), dtype=np.uint8),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pynrrd calls datetime.utcnow
        slicerio.write_segmentation(buffer, content, index_order="C")
    header, end, _ = buffer.getvalue().partition(b"\n\n")
    sizes = " ".join(["sizes:", *map(str, several), str(i), str(j)])
    header = header.replace(f"\n{sizes} 0\n".encode(), f"\n{sizes} {k}\n".encode())
    return re.sub(rb"^# on [^\n]*\n", b"", header, count=1, flags=re.MULTILINE) + end


def describe_segments(size: tuple[int, int, int]) -> Iterator[dict[str, Any]]:
    """Every segment in file order: its identifier, name, colour, terminology, layer and label.

    Parameters
    ----------
    size : (int, int, int)
        Number of voxels along the stored axes. Each segment has the full extent, because older Slicer versions crop all
        segments of a layer to the extent of the first one.
    """
    extent = [0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1]
    for side, name in SIDE_NAMES.items():
        terminology = terminology_of(ANATOMY_CONTEXT, ANATOMICAL_STRUCTURE, LUNG, typeModifier=LATERALITY[side])
        yield segment_fields(name.replace(" ", "_"), name, LUNG_COLOUR, terminology, _LUNG_LAYER, side, extent)
    for lobe, name in LOBE_NAMES.items():
        modifier = {} if lobe == Lobe.RML else {"typeModifier": LATERALITY[lobe.side]}
        terminology = terminology_of(ANATOMY_CONTEXT, ANATOMICAL_STRUCTURE, LOBE_TYPES[lobe], **modifier)
        yield segment_fields(lobe.name, name, LOBE_COLOURS[lobe], terminology, _LOBE_LAYER, lobe, extent)
    for opacity, name in OPACITY_NAMES.items():
        terminology = terminology_of(OPACITY_CONTEXT, ALTERED_STRUCTURE, OPACITY_TYPES[opacity], anatomicRegion=LUNG)
        identifier = re.sub(r"[ -]", "_", name)
        yield segment_fields(identifier, name, OPACITY_COLOURS[opacity], terminology, _OPACITY_LAYER, opacity, extent)


def segment_fields(
    identifier: str, name: str, colour: Rgb, terminology: dict[str, Any], layer: int, label: int, extent: list[int]
) -> dict[str, Any]:
    """One segment, by slicerio's keys."""
    return {
        "id": identifier,
        "name": name,
        "nameAutoGenerated": False,
        "color": list(colour),
        "colorAutoGenerated": False,
        "extent": extent,
        "labelValue": int(label),
        "layer": layer,
        "terminology": terminology,
    }


def terminology_of(context: str, category: Code, kind: Code, **details: Code) -> dict[str, Any]:
    """What a segment is, by slicerio's keys."""
    entry = {"contextName": context, "category": list(category), "type": list(kind)}
    entry["anatomicContextName"] = REGION_CONTEXT
    return entry | {key: list(code) for key, code in details.items()}


def _reference_geometry(geometry: Geometry) -> dict[str, str]:
    """Slicer's description of the grid: IJK to RAS, row by row, and the extent (DICOM SEG export needs it)."""
    ijk_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ geometry.ijk_to_lps
    extent = [bound for size in geometry.size for bound in (0, size - 1)]
    numbers = [repr(float(value) + 0.0) for value in ijk_to_ras.ravel()] + [str(bound) for bound in extent]
    return {
        "name": "Reference image geometry",
        "value": "".join(f"{number};" for number in numbers),
        "description": "Image geometry description string determining the geometry of the labelmap that is created in "
        "course of conversion. Can be copied from a volume, using the button.&",  # Slicer drops an entry without "&"
    }
