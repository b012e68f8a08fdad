"""Five lobes of a synthetic chest, and what is said about them."""

from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from CovidSeverityLib.features.quality import result_notes
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.reporting.report import build_report, report_schema
from CovidSeverityLib.reporting.summary import summary_text
from CovidSeverityLib.segmentation.lobes.config import LobeConfig
from CovidSeverityLib.segmentation.lobes.lobe_segmentation import anatomical_lobes
from CovidSeverityLib.segmentation.lobes.values import FissureFinding, LobeSegmentation
from CovidSeverityLib.types import Geometry, Lobe, Side

SIDES_ML = {Side.RIGHT: 2500.0, Side.LEFT: 2300.0}


@pytest.fixture(scope="module")
def phantom(phantom_of):
    return phantom_of(1, shape=(96, 192, 192), spacing_mm=(2.0, 2.0, 3.3))


@pytest.fixture(scope="module")
def lobes(phantom):
    return anatomical_lobes(phantom.volume, phantom.lungs)


def part_of(volume, labels, slices):
    """Some slices of a volume and of its labels."""
    g = volume.geometry
    hu = volume.hu[slices]
    geometry = Geometry((*g.size[:2], hu.shape[0]), g.spacing_mm, g.origin_mm, g.direction)
    return CtVolume(hu, geometry, geometry), labels[slices]


def centre(mask):
    return np.argwhere(mask).mean(axis=0)


@pytest.mark.slow
def test_lobes_are_the_lungs_exactly(phantom, lobes):
    sides = np.array([0, *(lobe.side for lobe in Lobe)], dtype=np.uint8)
    np.testing.assert_array_equal(sides[lobes.labels], phantom.lungs)


@pytest.mark.slow
def test_lobes_lie_where_lobes_lie(lobes):
    at = {lobe: centre(lobes.labels == lobe) for lobe in Lobe}
    for upper, lower in ((Lobe.RUL, Lobe.RLL), (Lobe.LUL, Lobe.LLL), (Lobe.RUL, Lobe.RML)):
        assert at[upper][0] > at[lower][0]
    for front, back in ((Lobe.RML, Lobe.RLL), (Lobe.LUL, Lobe.LLL)):
        assert at[front][1] < at[back][1]


@pytest.mark.slow
def test_lobes_of_a_phantom_are_mostly_the_true_ones(phantom, lobes):
    for lobe in Lobe:
        found, true = lobes.labels == lobe, phantom.lobes == lobe
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.85


@pytest.mark.slow
def test_without_fissures_in_the_image_the_atlas_decides(phantom, lobes):
    plain = np.where(phantom.lungs > 0, -860, 40).astype(np.int16)
    result = anatomical_lobes(replace(phantom.volume, hu=plain), phantom.lungs)
    assert result.source == "fissure atlas (the image shows no fissures)"
    assert all(fissure.seen_percent < 1 for fissure in result.fissures)
    assert all(result.confidence[lobe] < lobes.confidence[lobe] for lobe in Lobe)


@pytest.mark.slow
def test_source_says_how_much_was_seen(lobes):
    assert lobes.source.startswith("fissure atlas, refined where the image shows the fissures (right oblique ")
    assert [fissure.name for fissure in lobes.fissures] == ["right oblique", "right horizontal", "left oblique"]
    assert lobes.approximate == any(fissure.expected_mm > LobeConfig().well_seen_mm for fissure in lobes.fissures)


@pytest.mark.slow
def test_confidence_is_a_share_for_every_lobe(lobes):
    assert set(lobes.confidence) == set(Lobe)
    assert all(0.5 < sure <= 1 for sure in lobes.confidence.values())


@pytest.mark.slow
@pytest.mark.parametrize("side", Side)
def test_one_lung_has_its_lobes_alone(phantom, lobes, side):
    alone = anatomical_lobes(phantom.volume, np.where(phantom.lungs == side, phantom.lungs, 0).astype(np.uint8))
    assert set(np.unique(alone.labels).tolist()) - {0} == {lobe for lobe in Lobe if lobe.side is side}
    assert set(alone.confidence) == {lobe for lobe in Lobe if lobe.side is side}
    np.testing.assert_array_equal(alone.labels[phantom.lungs == side], lobes.labels[phantom.lungs == side])


@pytest.mark.slow
def test_no_lung_gives_no_lobes(phantom):
    result = anatomical_lobes(phantom.volume, np.zeros_like(phantom.lungs))
    assert not result.labels.any()
    assert result.confidence == {}


@pytest.mark.slow
def test_lungs_must_lie_on_the_grid_of_the_volume(phantom):
    with pytest.raises(ValueError, match="do not match volume"):
        anatomical_lobes(phantom.volume, phantom.lungs[1:])


@pytest.mark.slow
def test_a_lung_cut_by_the_field_of_view_still_has_lobes(phantom, lobes):
    lowest = int(np.flatnonzero(phantom.lungs.any(axis=(1, 2)))[0])
    volume, lungs = part_of(phantom.volume, phantom.lungs, slice(lowest + 15, None))
    cut = anatomical_lobes(volume, lungs)
    inside = lungs > 0
    assert np.mean(cut.labels[inside] == lobes.labels[lowest + 15 :][inside]) > 0.75
    assert all(cut.confidence[lobe] <= lobes.confidence[lobe] for lobe in (Lobe.RLL, Lobe.LLL))


@pytest.mark.slow
def test_empty_slices_about_the_lungs_change_nothing(phantom, lobes):
    k = np.flatnonzero(phantom.lungs.any(axis=(1, 2)))
    part = slice(int(k[0]) - 1, int(k[-1]) + 2)
    volume, lungs = part_of(phantom.volume, phantom.lungs, part)
    assert np.mean(anatomical_lobes(volume, lungs).labels == lobes.labels[part]) > 0.999


@pytest.mark.slow
def test_voxel_size_hardly_moves_the_fissures(phantom, lobes):
    g = phantom.volume.geometry
    thin = Geometry((*g.size[:2], 2 * g.size[2]), (*g.spacing_mm[:2], g.spacing_mm[2] / 2), g.origin_mm, g.direction)
    doubled = CtVolume(np.repeat(phantom.volume.hu, 2, axis=0), thin, thin)
    result = anatomical_lobes(doubled, np.repeat(phantom.lungs, 2, axis=0))
    inside = phantom.lungs > 0
    assert np.mean(result.labels[::2][inside] == lobes.labels[inside]) > 0.95


@pytest.mark.slow
def test_same_input_gives_the_same_bits(phantom, lobes):
    again = anatomical_lobes(phantom.volume, phantom.lungs)
    np.testing.assert_array_equal(again.labels, lobes.labels)
    assert again.confidence == lobes.confidence


def test_report_and_summary_say_how_sure_the_lobes_are(coarse_analysis):
    report = build_report(coarse_analysis)
    jsonschema.validate(report, report_schema())
    assert [fissure["name"] for fissure in report["lobes"]["fissures"]] == [
        "right oblique",
        "right horizontal",
        "left oblique",
    ]
    for score in coarse_analysis.lobe_scores:
        assert report["ctss"]["lobes"][score.lobe.name]["confidence"] == pytest.approx(score.confidence, abs=0.006)
        assert f"confidence {score.confidence:.2f}" in summary_text(coarse_analysis)


@pytest.mark.slow
def test_unsure_lobes_are_warned_of(lobes):
    sure = LobeSegmentation(lobes.labels, "x", approximate=False, confidence=dict.fromkeys(Lobe, 0.9))
    unsure = replace(sure, confidence=dict.fromkeys(Lobe, 0.9) | {Lobe.RML: 0.55})
    assert not result_notes(sure, SIDES_ML, 5.0)
    (note,) = result_notes(unsure, SIDES_ML, 5.0)
    assert note.code == "lobes_unsure"
    assert "right middle lobe 0.55" in note.message


def test_findings_are_values():
    assert FissureFinding("left oblique", 50.0, 3.0) == FissureFinding("left oblique", 50.0, 3.0)
