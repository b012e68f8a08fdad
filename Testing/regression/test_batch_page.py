"""Thumbnails of real CTs: small files, with opacity in colour where there is some."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from CovidSeverityLib.batch.page.thumbnail import THUMBNAIL_SIZE, write_thumbnail

MOST_BYTES = 20_000


@pytest.mark.parametrize("patient", ["P001", "cap001", "normal001"])
def test_thumbnail_of_a_real_ct_is_small_and_shows_its_opacity(analysed, tmp_path, patient):
    analysis = analysed(patient)
    path = tmp_path / "thumbnail.jpg"
    write_thumbnail(analysis, path)
    assert path.stat().st_size < MOST_BYTES
    with Image.open(path) as picture:
        assert picture.size == THUMBNAIL_SIZE
        pixels = np.asarray(picture).astype(int)
    coloured = (pixels[..., 0] - pixels[..., 2] > 60).mean()
    assert (coloured > 0.005) == (analysis.ctss > 0)
