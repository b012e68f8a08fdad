"""What the reader is told about voxels too large for the method, and about lungs of unlikely size."""

import pytest

from CovidSeverityLib.features.quality import resolution_notes
from CovidSeverityLib.segmentation.lungs.notes import volume_notes
from CovidSeverityLib.types import Geometry, Side

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


@pytest.mark.parametrize(
    ("right_ml", "left_ml", "codes", "said"),
    [
        (4600.0, 4300.0, [], ""),
        (4800.0, 4400.0, ["lungs_large"], "hold 9.2 litres, more than 9"),
        (700.0, 600.0, ["lungs_small"], "1300 ml"),
        (6100.0, 3300.0, ["lungs_large", "lungs_asymmetric"], "volumes, infected shares and the score are spoiled"),
    ],
)
def test_lungs_of_unlikely_size_are_told(right_ml, left_ml, codes, said):
    notes = list(volume_notes({Side.RIGHT: right_ml, Side.LEFT: left_ml}))
    assert [note.code for note in notes] == codes
    assert said in "".join(note.message for note in notes)
