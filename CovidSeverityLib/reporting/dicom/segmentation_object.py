"""The masks as a DICOM Segmentation that refers to the source images.

highdicom describes the frames; the pixels are packed here. It is given a miniature of one pixel a slice and segment,
which tells where a segment is: for whole masks its checks take 2 s and 350 MB.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import DeflatedExplicitVRLittleEndian

from CovidSeverityLib.findings import Findings

from .frames import encoded_frame, set_frames
from .identity import EQUIPMENT, SEGMENTATION, Identity
from .segments import Segment, all_segments

FAMILY = Code("123101", "DCM", "Neighborhood Analysis")
"""Algorithm family (DICOM PS3.16, CID 7162): filters, morphology and regions, without a network."""

MINIATURE = (1, 8)
"""Rows and columns of the miniature: 8 bits are one byte."""

BYTE = 8
"""Pixels in a byte."""


@dataclass(frozen=True, eq=False)
class PackedMasks:
    """The masks of an analysis, one bit a voxel.

    Parameters
    ----------
    segments : tuple of S Segment
        Segments that have a voxel.
    present : (N, S) ndarray of bool
        Whether a segment has voxels in a stored slice.
    planes : mapping of (int, int) to ndarray of uint8
        Pixels of every frame that is not empty, by index of its segment and of its slice: packed, 8 pixels a byte.
        Where a frame is no multiple of 8 pixels, one pixel an entry.
    """

    segments: tuple[Segment, ...]
    present: NDArray[np.bool_]
    planes: Mapping[tuple[int, int], NDArray[np.uint8]]
    packed: bool

    @property
    def frames(self) -> Iterator[bytes]:
        """Every frame, by segment and by slice."""
        return (plane.tobytes() for plane in self.planes.values())

    def pixel_data(self, order: Iterable[tuple[int, int]]) -> bytes:
        """The pixel data of the frames in an order of segments and slices.

        Frames follow each other bit by bit, whatever their size, and the length is even (DICOM PS3.5, 8.1.1).
        """
        pixels = np.concatenate([self.planes[place] for place in order])
        data = (pixels if self.packed else _packed(pixels)).tobytes()
        return data + b"\0" * (len(data) % 2)


def pack_masks(analysis: Findings) -> PackedMasks:
    """Pack the masks of an analysis, in the order in which the input is stored."""
    _, rows, columns = analysis.volume.storage.to_stored(analysis.lungs).shape
    packed = rows * columns % BYTE == 0
    segments: list[Segment] = []
    present: list[list[bool]] = []
    planes: dict[tuple[int, int], NDArray[np.uint8]] = {}
    for segment in all_segments():
        there = []
        for n, plane in enumerate(segment.planes(analysis)):
            there.append(bool(plane.any()))
            if there[-1]:
                planes[len(segments), n] = _packed(plane) if packed else plane.ravel().view(np.uint8)
        if any(there):
            segments.append(segment)
            present.append(there)
    return PackedMasks(tuple(segments), np.array(present, dtype=bool).T, planes, packed)


def build_segmentation(analysis: Findings, identity: Identity, masks: PackedMasks) -> Dataset:
    """The Segmentation of an analysis, in deflated explicit little endian.

    Parameters
    ----------
    analysis : Findings
        The result.
    identity : Identity
        Identifiers and source images.
    masks : PackedMasks
        Of ``analysis``.
    """
    miniature = np.zeros((len(identity.images), *MINIATURE, len(masks.segments)), dtype=np.uint8)
    miniature[:, 0, 0, :] = _described(masks.present)
    found = hd.seg.Segmentation(
        source_images=list(_miniatures(identity)),
        pixel_array=miniature,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=list(_descriptions(analysis, identity, masks.segments)),
        content_label="COVIDSEVERITY",
        content_description="Lungs, lobes and opacities (research use only)",
        **identity.series(SEGMENTATION),
    )
    (shared,) = found.SharedFunctionalGroupsSequence
    shared.PixelMeasuresSequence = _measures(analysis, identity)  # highdicom would take those of the headers
    found.Rows, found.Columns = identity.first.Rows, identity.first.Columns
    found.ContentCreatorName = ""  # of type 2 in DICOM PS3.3, Table 10-12; highdicom leaves it out
    found.SegmentsOverlap = hd.seg.SegmentsOverlapValues.YES.value
    slices = _slices(found, identity)
    order = [(segment, n) for segment in range(len(masks.segments)) for n in slices if masks.present[n, segment]]
    set_frames(found, slices, order)
    found.add_new("PixelData", "OB", masks.pixel_data(order))
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    for kind in (found.DimensionOrganizationSequence, found.DimensionIndexSequence):
        for item in kind:
            item.DimensionOrganizationUID = identity.uid("dimensions")
    return found


def tracking_of(identity: Identity, segment: Segment) -> tuple[str, str]:
    """Tracking identifier and UID of a segment, the same in Segmentation and report."""
    return segment.name, identity.uid(f"tracking {segment.name}")


def _packed(pixels: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.packbits(pixels, axis=None, bitorder="little")


def _described(present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The frames that highdicom describes: of the first segment wherever there is one, of the others a single one."""
    described = np.zeros_like(present)
    described[present.argmax(axis=0), np.arange(present.shape[1])] = True
    described[:, 0] = present.any(axis=1)
    return described


def _slices(found: Dataset, identity: Identity) -> dict[int, bytes]:
    """The described frame of every slice, by the index of its slice, as highdicom ordered them."""
    places = {str(image.SOPInstanceUID): n for n, image in enumerate(identity.images)}
    slices: dict[int, bytes] = {}
    for frame in found.PerFrameFunctionalGroupsSequence:
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1:
            reference = frame.DerivationImageSequence[0].SourceImageSequence[0]
            slices[places[reference.ReferencedSOPInstanceUID]] = encoded_frame(frame)
    return slices


def _miniatures(identity: Identity) -> Iterator[Dataset]:
    """The source images with the matrix of the miniature; only the first one has patient and study."""
    first = copy.deepcopy(identity.first)  # a shallow copy shares its elements
    first.Rows, first.Columns = MINIATURE
    first.SliceThickness = first.get("SliceThickness") or None  # highdicom asks for it
    yield first
    shared = [first[keyword] for keyword in SHARED if keyword in first]
    for image in identity.images[1:]:
        small = Dataset()
        for element in (*shared, *(image[keyword] for keyword in OF_SLICE)):
            small.add(element)
        yield small


SHARED = (
    *("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "SliceThickness"),
    *("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"),
)
"""What the images of a series have in common (:mod:`~CovidSeverityLib.io.dicom.source` sees to it)."""

OF_SLICE = ("SOPInstanceUID", "ImagePositionPatient")


def _measures(analysis: Findings, identity: Identity) -> hd.PixelMeasuresSequence:
    """Pixel spacing as in the images; thickness where they tell it, otherwise the distance of the slices."""
    step = analysis.volume.stored_geometry.spacing_mm[2]
    return hd.PixelMeasuresSequence(
        pixel_spacing=[float(mm) for mm in identity.first.PixelSpacing],
        slice_thickness=float(identity.first.get("SliceThickness") or step),
        spacing_between_slices=round(step, 6) if len(identity.images) > 1 else None,
    )


def _descriptions(
    analysis: Findings, identity: Identity, segments: Sequence[Segment]
) -> Iterator[hd.seg.SegmentDescription]:
    algorithm = hd.AlgorithmIdentificationSequence(
        name=EQUIPMENT,
        family=FAMILY,
        version=identity.version,
        source=EQUIPMENT,
        parameters={"profile": analysis.provenance.profile},
    )
    for number, segment in enumerate(segments, start=1):
        tracking_id, tracking_uid = tracking_of(identity, segment)
        red, green, blue = (round(255 * part) for part in segment.colour)
        description = hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment.name,
            segmented_property_category=segment.category,
            segmented_property_type=segment.kind,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_id=tracking_id,
            tracking_uid=tracking_uid,
            anatomic_regions=None if segment.region is None else [segment.region],
            display_color=hd.color.CIELabColor.from_rgb(red, green, blue),
        )
        if segment.laterality is not None:
            kind = description.SegmentedPropertyTypeCodeSequence[0]
            kind.SegmentedPropertyTypeModifierCodeSequence = [hd.sr.CodedConcept.from_code(segment.laterality)]
        yield description
