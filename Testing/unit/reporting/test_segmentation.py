"""``segmentation.seg.nrrd`` as slicerio reads it back."""

from __future__ import annotations

import dataclasses
import gzip
import io
import time
import warnings

import numpy as np
import pytest
import slicerio

from CovidSeverityLib.reporting.segmentation import _reference_geometry, describe_segments, write_segmentation
from CovidSeverityLib.types import Lobe, StorageOrder

WAYS = ("as it is", "superior first", "flipped", "permuted", "oblique", "oblique and flipped")
SECONDS_FOR_A_WHOLE_CHEST = 6.0
"""Measured: 0.3 s on one core; the limit only catches a return to slicerio's slow defaults."""


def written(analysis) -> bytes:
    file = io.BytesIO()
    write_segmentation(analysis, file)
    return file.getvalue()


def read_back(analysis, folder):
    path = folder / "segmentation.seg.nrrd"
    path.write_bytes(written(analysis))
    return slicerio.read_segmentation(str(path))


@pytest.mark.parametrize("way", WAYS)
def test_masks_come_back_in_the_geometry_of_the_input(factory, tmp_path, way):
    analysis = factory.make_stored(way)
    segmentation = read_back(analysis, tmp_path)
    stored = analysis.volume.stored_geometry
    assert segmentation["voxels"].shape == (3, *stored.size)
    np.testing.assert_allclose(segmentation["ijkToLPS"], stored.ijk_to_lps, atol=1e-9)
    for segment_id, mask in factory.segment_masks(analysis).items():
        ijk = np.argwhere(slicerio.segment_mask(segmentation, segment_id))
        seen = factory.points_mm(ijk, segmentation["ijkToLPS"])
        np.testing.assert_allclose(seen, factory.mask_points_mm(mask, analysis.volume.geometry), atol=0.02)


@pytest.mark.parametrize("way", WAYS)
def test_file_is_the_one_that_slicerio_writes_of_the_whole(factory, way):
    analysis = factory.make_stored(way)
    volume, whole = analysis.volume, io.BytesIO()
    layers = [volume.storage.to_stored(layer) for layer in (analysis.lungs, analysis.lobes, analysis.infection)]
    content = {
        "ijkToLPS": volume.stored_geometry.ijk_to_lps,
        "containedRepresentationNames": ["Binary labelmap"],
        "conversionParameters": [_reference_geometry(volume.stored_geometry)],
        "segments": list(describe_segments(volume.stored_geometry.size)),
        "voxels": np.stack(layers, axis=-1),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        slicerio.write_segmentation(whole, content, compression_level=1, index_order="C")
    (header, voxels), (expected, stack) = (c.split(b"\n\n", 1) for c in (written(analysis), whole.getvalue()))
    lines = expected.splitlines()
    assert lines[2].startswith(b"# on ")
    assert header.splitlines() == lines[:2] + lines[3:]
    assert gzip.decompress(voxels) == gzip.decompress(stack)


def test_lungs_lobes_and_infection_are_three_layers(factory, tmp_path):
    segments = read_back(factory.make_analysis(), tmp_path)["segments"]
    assert [(s["id"], s["layer"], s["labelValue"]) for s in segments] == [
        ("right_lung", 0, 1),
        ("left_lung", 0, 2),
        *((lobe.name, 1, int(lobe)) for lobe in Lobe),
        ("ground_glass_opacity", 2, 1),
        ("consolidation", 2, 2),
    ]


def test_every_segment_has_a_name_a_colour_of_its_own_and_a_code(factory, tmp_path):
    segments = read_back(factory.make_analysis(), tmp_path)["segments"]
    colours = [tuple(s["color"]) for s in segments[1:]]  # both lungs share Slicer's colour
    assert len(set(colours)) == len(colours)
    assert len({s["name"] for s in segments}) == len(segments)
    codes = {s["id"]: s["terminology"]["type"][:2] for s in segments}
    sides = {s["id"]: s["terminology"].get("typeModifier", ["", "", ""])[2] for s in segments}
    assert codes["right_lung"] == codes["left_lung"] == ["SCT", "39607008"]
    assert codes["RML"] == ["SCT", "72481006"]
    assert codes["RLL"] == codes["LLL"] == ["SCT", "90572001"]
    assert (sides["RUL"], sides["RML"], sides["LUL"]) == ("Right", "", "Left")


def test_no_infection_is_written_as_empty_segments(factory, tmp_path):
    segmentation = read_back(factory.make_analysis(factory.make_chest(infected=False)), tmp_path)
    assert len(segmentation["segments"]) == 9
    assert not slicerio.segment_mask(segmentation, "consolidation").any()


def test_same_analysis_gives_the_same_bytes(factory):
    analysis = factory.make_analysis()
    first = written(analysis)
    assert first == written(analysis)
    assert first.startswith(b"NRRD0005\n")


@pytest.mark.slow
def test_a_whole_chest_is_written_in_seconds(factory):
    small = factory.make_chest((40, 128, 128))
    whole = {name: array.repeat(4, 0).repeat(4, 1).repeat(4, 2) for name, array in vars(small).items()}
    volume = factory.make_volume(whole.pop("hu"), storage=StorageOrder(flipped=(True, False, False)))
    analysis = dataclasses.replace(factory.make_analysis(small), volume=volume, **whole)
    start = time.perf_counter()
    assert len(written(analysis)) < 20e6
    assert time.perf_counter() - start < SECONDS_FOR_A_WHOLE_CHEST
