"""Frames of a Segmentation as bytes, and the file that they are in."""

from __future__ import annotations

import zlib
from importlib.util import find_spec

import pytest
from pydicom import dcmread

pytestmark = pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed")

META_LENGTH_AT = 140
"""Where the length of the file meta information stands: preamble, DICM, head of the element (PS3.10, 7.1)."""


def data_set(path) -> bytes:
    """The data set of a deflated file."""
    content = path.read_bytes()
    start = META_LENGTH_AT + 4 + int.from_bytes(content[META_LENGTH_AT : META_LENGTH_AT + 4], "little")
    return zlib.decompress(content[start:], -zlib.MAX_WBITS)


@pytest.fixture(scope="module")
def decoded(written):
    """The Segmentation, every frame decoded by pydicom."""
    return dcmread(written / "segmentation.dcm")


def test_the_file_has_the_data_set_that_pydicom_writes(written, decoded, tmp_path):
    for frame in decoded.PerFrameFunctionalGroupsSequence:
        assert frame.DerivationImageSequence
    decoded.save_as(tmp_path / "again.dcm", enforce_file_format=True)
    assert data_set(tmp_path / "again.dcm") == data_set(written / "segmentation.dcm")


def test_what_python_gets_can_be_saved_by_pydicom(objects, written, tmp_path):
    objects["dicom/segmentation.dcm"].save_as(tmp_path / "saved.dcm", enforce_file_format=True)
    assert data_set(tmp_path / "saved.dcm") == data_set(written / "segmentation.dcm")


def test_frames_are_sorted_and_numbered_by_segment_and_place(decoded):
    frames = decoded.PerFrameFunctionalGroupsSequence
    indices = [tuple(frame.FrameContentSequence[0].DimensionIndexValues) for frame in frames]
    assert indices == sorted(set(indices))
    assert [index[0] for index in indices] == [
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in frames
    ]
    positions = {
        (index[1], tuple(frame.PlanePositionSequence[0].ImagePositionPatient))
        for index, frame in zip(indices, frames, strict=True)
    }
    assert len(positions) == len({index[1] for index in indices}) == len({position for _, position in positions})
    assert len(frames) == decoded.NumberOfFrames
