"""The analysis as a whole, on a coarse synthetic chest."""

import dataclasses
import itertools
import json
import socket

import numpy as np
import pytest

from CovidSeverityLib import AnalysisConfig, InputError, analyze, parallel
from CovidSeverityLib.analysis import Analysis
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.pipeline import STAGES
from CovidSeverityLib.segmentation.opacity.published.config import PUBLISHED_CTSS, PublishedOpacityConfig
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig
from CovidSeverityLib.segmentation.opacity.volumetric.consolidation import opacity_regions
from CovidSeverityLib.segmentation.opacity.volumetric.opacities import OpacityConfig
from CovidSeverityLib.types import Lobe, Side

MASKS = ("lungs", "lobes", "infection")
NUMBERS = ("lobe_scores", "slices", "severity", "ctss", "total_severity_score", "infection_percent", "quality")
NUMBERS += ("high_opacity_percent", "well_aerated_percent", "lung_ml", "side_voxels", "opacity_voxels")


def assert_same(first: Analysis, second: Analysis):
    for mask in MASKS:
        np.testing.assert_array_equal(getattr(first, mask), getattr(second, mask))
    for number in NUMBERS:
        assert getattr(first, number) == getattr(second, number), number
    np.testing.assert_array_equal(first.densitometry.histogram, second.densitometry.histogram)


def stored_otherwise(volume, axes, flips):
    """The same chest with its array axes permuted and flipped and its geometry to match."""
    array = np.transpose(volume.hu, axes)
    matrix = volume.geometry.ijk_to_lps
    columns = [2 - axis for axis in reversed(axes)]  # of (I, J, K), as the array's axes are of (K, J, I)
    origin, direction = matrix[:3, 3].copy(), np.empty((3, 3))
    spacing = [volume.geometry.spacing_mm[c] for c in columns]
    for new, old in enumerate(columns):
        direction[:, new] = np.reshape(volume.geometry.direction, (3, 3))[:, old]
        if flips[2 - new]:
            origin += direction[:, new] * spacing[new] * (volume.geometry.size[old] - 1)
            direction[:, new] *= -1
    return volume_from_array(np.flip(array, np.flatnonzero(flips)), spacing, origin, direction, name=volume.name)


@pytest.mark.parametrize(
    ("axes", "flips"),
    [
        pytest.param((0, 1, 2), (1, 0, 0), marks=pytest.mark.slow, id="superior first"),
        pytest.param((0, 1, 2), (0, 1, 1), marks=pytest.mark.slow, id="left and back first"),
        pytest.param((1, 2, 0), (0, 0, 1), marks=pytest.mark.slow, id="coronal"),
        pytest.param((2, 0, 1), (1, 1, 1), marks=pytest.mark.slow, id="sagittal and flipped"),
    ],
)
def test_storage_order_changes_neither_masks_nor_numbers(coarse_phantom, coarse_analysis, axes, flips):
    volume = stored_otherwise(coarse_phantom.volume, axes, flips)
    assert volume.storage.axes != (0, 1, 2) or any(volume.storage.flipped)
    np.testing.assert_array_equal(volume.hu, coarse_phantom.volume.hu)
    assert_same(analyze(volume), coarse_analysis)


def test_every_storage_order_gives_the_same_volume(coarse_phantom):
    """What the analysis sees is the same in all 48; it is run on a few of them only."""
    thin = dataclasses.replace(coarse_phantom.volume.geometry, size=(32, 32, 18))
    volume = dataclasses.replace(
        coarse_phantom.volume,
        hu=coarse_phantom.volume.hu[::4, ::4, ::4],
        geometry=thin,
        stored_geometry=thin,
        acquired=(),
    )
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((0, 1), repeat=3):
            other = stored_otherwise(volume, axes, flips)
            np.testing.assert_array_equal(other.hu, volume.hu)
            np.testing.assert_array_equal(
                other.storage.to_stored(other.hu).shape, np.array(volume.hu.shape)[list(axes)]
            )
            assert other.geometry == volume.geometry


def test_masks_go_back_to_where_their_voxels_are_stored(coarse_phantom, coarse_analysis):
    axes, flips = (2, 0, 1), (1, 0, 1)
    volume = stored_otherwise(coarse_phantom.volume, axes, flips)
    stored = volume.storage.to_stored(coarse_analysis.lungs)
    np.testing.assert_array_equal(stored, np.flip(np.transpose(coarse_analysis.lungs, axes), np.flatnonzero(flips)))
    np.testing.assert_array_equal(volume.storage.to_canonical(stored), coarse_analysis.lungs)


def test_coarse_phantom_is_found_as_it_is(coarse_phantom, coarse_analysis):
    """Right is right, lobes are on their sides, the most infected lobe is the true one."""
    for side in Side:
        both = np.count_nonzero((coarse_analysis.lungs == side) & (coarse_phantom.lungs == side))
        assert both > 0.95 * np.count_nonzero(coarse_phantom.lungs == side)
    shares = {s.lobe: s.involvement_percent for s in coarse_analysis.lobe_scores}
    true = {lobe: coarse_phantom.lobe_infected_voxels[lobe] / coarse_phantom.lobe_voxels[lobe] for lobe in Lobe}
    assert max(shares, key=shares.get).side == max(true, key=true.get).side


def test_coarse_pixels_of_the_ct_are_told(coarse_phantom, coarse_analysis):
    pixel_mm = coarse_phantom.volume.geometry.spacing_mm[0]
    (note,) = (note for note in coarse_analysis.quality if note.code == "pixels_coarse")
    assert f"{pixel_mm:.1f} mm wide" in note.message


def test_numbers_are_those_of_the_masks(coarse_analysis):
    a = coarse_analysis
    assert a.lung_voxels == np.count_nonzero(a.lungs)
    assert {side: np.count_nonzero(a.lungs == side) for side in Side} == a.side_voxels
    for score in a.lobe_scores:
        assert score.voxels == np.count_nonzero(a.lobes == score.lobe)
        assert score.infected_voxels == np.count_nonzero((a.lobes == score.lobe) & (a.infection > 0))
    for row in a.slices:
        assert row.lung_voxels == np.count_nonzero(a.lungs[row.index])
        assert row.infected_voxels == np.count_nonzero(a.infection[row.index])
    np.testing.assert_array_equal(a.infection, opacity_regions(a.volume.hu, a.infection > 0, a.volume.geometry))
    assert not a.infection[a.lungs == 0].any()


def test_second_run_in_one_thread_gives_the_same_bits_prints_nothing_and_tells_its_progress(
    coarse_phantom, coarse_analysis, monkeypatch, capfd
):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(parallel, "thread_count", lambda: 1)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    calls = []
    again = analyze(coarse_phantom.volume, progress=lambda *call: calls.append(call))
    assert capfd.readouterr() == ("", "")
    assert_same(again, coarse_analysis)
    assert_every_stage_is_told(calls)


def test_result_cannot_be_changed(coarse_analysis):
    for mask in MASKS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(coarse_analysis, mask)[0, 0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        coarse_analysis.lobe_scores = ()
    with pytest.raises(TypeError):
        coarse_analysis.side_voxels[Side.RIGHT] = 1
    with pytest.raises(TypeError):
        coarse_analysis.provenance.seconds["lungs"] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        coarse_analysis.volume.hu[0, 0, 0] = 1


def assert_every_stage_is_told(calls):
    """In order, each from 0 to its end."""
    assert [stage for stage, _ in itertools.groupby(calls, key=lambda call: call[0])] == list(STAGES)
    for stage in STAGES:
        of_stage = [(done, total) for name, done, total in calls if name == stage]
        assert of_stage[0][0] == 0
        assert of_stage[-1][0] == of_stage[-1][1]
        assert all(0 <= done <= total for done, total in of_stage)
    assert len([call for call in calls if call[0] == "infection"]) >= 4


class StopError(Exception):
    """What a caller raises to cancel."""


@pytest.mark.parametrize("when", [("lungs", 0), ("infection", 0), ("infection", 3), ("scores", 1)])
def test_progress_that_raises_ends_the_analysis(coarse_phantom, coarse_masks, when):
    def stop(stage, done, _total):
        if (stage, done) == when:
            raise StopError

    with pytest.raises(StopError):
        analyze(coarse_phantom.volume, progress=stop, **({} if when[0] == "lungs" else coarse_masks))


# Configuration


def test_reference_profile_scores_slices_and_has_a_max_variant(reference_analysis, coarse_analysis):
    reference = reference_analysis
    assert reference.provenance.profile == "reference"
    assert reference.ctss_max_variant >= reference.ctss
    assert reference.ctss_definition != coarse_analysis.ctss_definition
    assert "published" in reference.provenance.lobes_from
    np.testing.assert_array_equal(reference.lungs, coarse_analysis.lungs)
    assert coarse_analysis.ctss_max_variant is None


@pytest.mark.parametrize("option", ["lobes", "compared_lobes"])
def test_lobes_from_elsewhere_are_refused_by_a_profile_with_regions_of_its_own(coarse_phantom, coarse_masks, option):
    with pytest.raises(InputError, match="lobes cannot be used with the profile reference"):
        analyze(coarse_phantom.volume, AnalysisConfig.for_profile("reference"), **{option: coarse_masks["lobes"]})


def test_profiles_are_values_of_the_configuration():
    default, reference = (AnalysisConfig.for_profile(profile) for profile in ("default", "reference"))
    assert default == AnalysisConfig()
    assert (default.lesions, default.infection) == (OpacityConfig(), None)
    assert (reference.lesions, reference.infection) == (None, PUBLISHED_CTSS)


@pytest.mark.parametrize(
    ("marks", "said"),
    [({"infection": PUBLISHED_CTSS}, "both are given"), ({"lesions": None}, "neither is given")],
)
def test_infection_is_marked_in_one_way(marks, said):
    with pytest.raises(ValueError, match=said):
        AnalysisConfig(**marks)


def test_mixture_of_the_report_decides_no_mask(coarse_phantom, coarse_masks, coarse_analysis):
    config = AnalysisConfig(mixture=MixtureConfig(start_means_hu=(-900.0, -300.0)))
    other = analyze(coarse_phantom.volume, config, **coarse_masks)
    assert len(other.densitometry.mixture.means_hu) == 2
    assert len(coarse_analysis.densitometry.mixture.means_hu) == 3
    np.testing.assert_array_equal(other.infection, coarse_analysis.infection)


def test_unknown_profile_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="no profile 'fast'; there are default and reference"):
        AnalysisConfig.for_profile("fast")


def rebuilt(template, value):
    """A configuration, or a value of one, from plain values; ``template`` says what each of them was."""
    if dataclasses.is_dataclass(template):
        names = [field.name for field in dataclasses.fields(template)]
        return type(template)(**{name: rebuilt(getattr(template, name), value[name]) for name in names})
    if isinstance(template, tuple) and value is not None:
        return tuple(rebuilt(*pair) for pair in zip(template, value, strict=True))
    if callable(template):
        assert value == template.__name__
        return template
    return value if template is None or value is None else type(template)(value)


def test_configuration_survives_the_way_through_a_report(coarse_analysis):
    plain = json.loads(json.dumps(dict(coarse_analysis.provenance.configuration)))
    assert rebuilt(AnalysisConfig(), plain) == AnalysisConfig()
    reference = AnalysisConfig.for_profile("reference")
    plain = json.loads(json.dumps(reference.as_dict()))
    assert rebuilt(PublishedOpacityConfig(), plain["infection"]) == reference.infection
    assert plain["slice_scores"] == {"smallest_lung_share": 0.06, "skip_first": 6, "skip_last": 5}


def test_configuration_is_used(coarse_phantom, coarse_masks, coarse_analysis):
    config = AnalysisConfig(lesions=OpacityConfig(smallest_ml=1e6))
    analysis = analyze(coarse_phantom.volume, config, **coarse_masks)
    assert analysis.infection_percent == 0
    assert analysis.ctss == 0
    assert coarse_analysis.ctss > 0


def test_every_stage_has_its_seconds(coarse_analysis):
    assert set(coarse_analysis.provenance.seconds) >= set(STAGES)


def test_diagnosis_is_open_with_its_reason(coarse_analysis):
    assert coarse_analysis.classification is None
    assert coarse_analysis.classification_reason


@pytest.mark.parametrize(("factor", "said"), [(3, "wider than 0.7 m"), (0.2, "narrower than 0.1 m")])
def test_body_of_impossible_width_is_refused_with_its_spacing(coarse_phantom, factor, said):
    geometry = coarse_phantom.volume.geometry
    scaled = dataclasses.replace(geometry, spacing_mm=tuple(factor * mm for mm in geometry.spacing_mm))
    with pytest.raises(InputError, match=said):
        analyze(dataclasses.replace(coarse_phantom.volume, geometry=scaled, stored_geometry=scaled))
