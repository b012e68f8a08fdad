"""Frames in the numbers of the volume."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from CovidSeverityLib.io.dicom.decoding import _decode_frame, _SaturatedError

HEADER = SimpleNamespace(path=Path("a.dcm"), frame=0, rescale=(1.0, 0.0), padding_hu=None)
LARGEST = np.iinfo(np.int16).max


def decoded(frame):
    target = np.empty(frame.shape, dtype=np.int16)
    _decode_frame(frame[None], (1.0, 0.0), HEADER, target)
    return target


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float64])
def test_values_up_to_the_largest_are_kept(dtype):
    frame = np.full((20, 20), LARGEST, dtype=dtype)
    np.testing.assert_array_equal(decoded(frame), LARGEST)


def test_frame_with_more_than_a_few_larger_values_does_not_fit():
    frame = np.zeros((100, 100), dtype=np.uint16)
    frame[0, :10] = LARGEST + 1  # one in a thousand
    assert decoded(frame)[0, :11].tolist() == [LARGEST] * 10 + [0]
    frame[0, 10] = LARGEST + 1
    with pytest.raises(_SaturatedError):
        decoded(frame)
