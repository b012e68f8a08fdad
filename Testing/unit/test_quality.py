"""What the reader is told about voxels too large for the method."""

import pytest

from CovidSeverityLib.quality import resolution_notes
from CovidSeverityLib.types import Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("spacing_mm", "codes", "number"),
    [
        ((0.7, 0.7, 1.0), [], ""),
        ((2.0, 2.0, 5.0), [], ""),
        ((2.99, 2.99, 2.0), ["pixels_coarse"], "3.0 mm wide"),
        ((0.7, 0.7, 8.0), ["slices_thick"], "8.0 mm apart"),
        ((1.0, 2.4, 10.0), ["pixels_coarse", "slices_thick"], "2.4 mm wide"),
    ],
)
def test_large_voxels_are_told(spacing_mm, codes, number):
    notes = resolution_notes(Geometry((9, 9, 9), spacing_mm, (0.0, 0.0, 0.0), IDENTITY))
    assert [note.code for note in notes] == codes
    assert number in "".join(note.message for note in notes)
