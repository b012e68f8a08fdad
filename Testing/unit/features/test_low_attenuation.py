"""Low attenuation: the share of emphysema without the noise, by lobe and lung, and what the reader is told of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.evaluation.synthetic.lesions.scan_noise import ScanNoise, noise_plane
from CovidSeverityLib.features.air_noise import AirNoiseConfig, _dark_between, airway_noise
from CovidSeverityLib.features.low_attenuation import (
    BIN_HU,
    LowAttenuationConfig,
    LowDensity,
    low_attenuation,
    noise_kernel,
    without_noise,
)
from CovidSeverityLib.features.quality import SHARP_KERNELS, low_attenuation_notes
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.reporting.corrected import corrected_low_attenuation
from CovidSeverityLib.reporting.report import build_report
from CovidSeverityLib.types import AIR_HU, Geometry, Lobe, Side

HOLE_HU = -985
HOLE_MM = 2.0
"""Standard deviation of the Gaussian that shapes holes: they are some 5 mm wide."""


@pytest.fixture(scope="module")
def quiet_chest(phantom_of):
    """A healthy chest without noise."""
    return phantom_of(3, shape=(80, 256, 256), spacing_mm=(1.4, 1.4, 2.4), noise_sd_hu=0.0, healthy=True)


def with_holes(phantom, percent: float) -> np.ndarray:
    """HU of the chest with holes in ``percent`` of its lungs, all of them in the upper lobes."""
    hu = phantom.volume.hu.copy()
    upper = np.isin(phantom.lobes, (Lobe.RUL, Lobe.LUL))
    sigma = [HOLE_MM / mm for mm in phantom.volume.geometry.spacing_kji]
    field = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal(hu.shape), sigma)
    count = round(percent / 100 * np.count_nonzero(phantom.lungs))
    limit = np.sort(field[upper])[-count] if count else np.inf
    hu[upper & (field >= limit)] = HOLE_HU
    return hu


def noisy(hu: np.ndarray, sd_hu: float, grain_px: float = 0.7) -> np.ndarray:
    rng = np.random.default_rng(7)
    planes = [plane + noise_plane(ScanNoise(sd_hu, grain_px), plane.shape, rng) for plane in hu.astype(np.float32)]
    return np.maximum(np.rint(planes), AIR_HU).astype(np.int16)


def under(hu, where, threshold_hu=-950) -> float:
    return 100.0 * float((hu[where] < threshold_hu).mean())


def test_without_holes_and_noise_nothing_is_of_low_attenuation_but_bronchi(quiet_chest):
    found = low_attenuation(quiet_chest.volume, quiet_chest.lungs, quiet_chest.lobes)
    assert found.noise_sd_hu < 5  # walls in part
    assert found.total.measured_percent == under(quiet_chest.volume.hu, quiet_chest.lungs > 0)
    assert found.total.percent == pytest.approx(found.total.measured_percent, abs=0.02)
    assert found.total.percent < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("percent", [0.0, 3.0, 10.0])
@pytest.mark.parametrize("sd_hu", [10.0, 20.0, 40.0])
def test_share_of_holes_is_found_whatever_the_noise(quiet_chest, percent, sd_hu):
    clean = with_holes(quiet_chest, percent)
    hu = noisy(clean, sd_hu)
    found = low_attenuation(replace(quiet_chest.volume, hu=hu), quiet_chest.lungs, quiet_chest.lobes)
    true = under(clean, quiet_chest.lungs > 0)
    assert found.noise_sd_hu == pytest.approx(sd_hu, rel=0.15)
    assert found.total.measured_percent == pytest.approx(under(hu, quiet_chest.lungs > 0))
    assert found.total.percent == pytest.approx(true, abs=0.25, rel=0.05)
    for lobe in Lobe:
        where = quiet_chest.lobes == lobe
        assert found.lobe(lobe).percent == pytest.approx(under(clean, where), abs=0.5, rel=0.08)
        percentile = np.percentile(clean[where], 15)
        if percentile > HOLE_HU + 50:  # not in the gap between holes and lung, where any density is as good
            assert found.lobe(lobe).percentile_hu == pytest.approx(percentile, abs=max(3.0, 0.2 * sd_hu))


def test_noise_of_40_hu_looks_like_emphysema_and_is_told_apart(quiet_chest):
    hu = noisy(quiet_chest.volume.hu, 40.0)
    found = low_attenuation(replace(quiet_chest.volume, hu=hu), quiet_chest.lungs, quiet_chest.lobes)
    assert found.total.measured_percent > 2.0 > 0.5 > found.total.percent
    assert found.total.noise_percent == pytest.approx(found.total.measured_percent, rel=0.15)


def test_totals_are_the_sum_of_the_lobes(quiet_chest):
    volume = replace(quiet_chest.volume, hu=noisy(with_holes(quiet_chest, 5.0), 20.0))
    found = low_attenuation(volume, quiet_chest.lungs, quiet_chest.lobes)
    for name in ("voxels", "measured_voxels", "low_voxels", "noise_voxels"):
        total = getattr(found.total, name)
        assert sum(getattr(found.lobe(lobe), name) for lobe in Lobe) == pytest.approx(total)
        assert sum(getattr(found.side(side), name) for side in Side) == pytest.approx(total)
    assert found.total.voxels == np.count_nonzero(quiet_chest.lungs)


def test_opacities_belong_to_the_lung_that_is_divided_by():
    lungs = np.ones((4, 8, 8), dtype=np.uint8)
    hu = np.full(lungs.shape, -850, dtype=np.int16)
    hu[:2], hu[2, :4] = 0, -980
    found = low_attenuation(volume_of(hu), lungs, lungs)
    assert found.noise_sd_hu is None
    assert found.total == found.side(Side.RIGHT) == found.lobe(Lobe.RUL)
    assert found.total.percent == found.total.measured_percent == 12.5
    assert found.lobe(Lobe.LLL) == LowDensity(0, 0, 0.0, 0.0, None)
    assert found.lobe(Lobe.LLL).percent == 0


def test_percentile_of_a_consolidated_lung_is_not_known():
    lungs = np.ones((4, 8, 8), dtype=np.uint8)
    found = low_attenuation(volume_of(np.zeros(lungs.shape, dtype=np.int16)), lungs, lungs)
    assert found.total.percentile_hu is None


@pytest.mark.parametrize(("slice_mm", "threshold_hu"), [(2.5, -950), (2.6, -910)])
def test_thick_slices_have_the_higher_threshold(slice_mm, threshold_hu):
    lungs = np.ones((2, 10, 10), dtype=np.uint8)
    hu = np.full(lungs.shape, -911, dtype=np.int16)
    hu[:, :5] = -910
    found = low_attenuation(volume_of(hu, slice_mm), lungs, lungs)
    assert found.threshold_hu == threshold_hu
    assert found.total.measured_percent == (50 if threshold_hu == -910 else 0)


@pytest.mark.parametrize("sd_hu", [3.0, 20.0, 40.0])
def test_voxels_are_neither_made_nor_lost(sd_hu):
    measured = np.random.default_rng(0).integers(0, 1000, (2, 3, 312))
    measured[0, 1] = 0
    found = without_noise(measured, sd_hu, 50)
    assert (found >= 0).all()
    assert found.sum(axis=-1) == pytest.approx(measured.sum(axis=-1))


def test_noise_kernel_has_the_spread_of_the_noise():
    kernel = noise_kernel(25.0)
    offsets = BIN_HU * (np.arange(kernel.size) - kernel.size // 2)
    assert kernel.sum() == pytest.approx(1)
    assert np.sqrt((kernel * offsets**2).sum()) == pytest.approx(25.0, rel=0.01)


@pytest.mark.parametrize("grain_px", [0.0, 0.7, 1.2])
def test_noise_of_air_is_measured_though_its_darker_half_is_cut_off(quiet_chest, grain_px):
    hu = noisy(quiet_chest.volume.hu, 40.0, grain_px)
    assert (hu == AIR_HU).any()
    found = airway_noise(hu, quiet_chest.lungs, quiet_chest.volume.geometry.spacing_kji)
    assert found == pytest.approx(40.0, rel=0.15)


def test_noise_is_not_known_without_air_between_the_lungs(quiet_chest):
    only_right = np.where(quiet_chest.lungs == Side.RIGHT, quiet_chest.lungs, np.uint8(0))
    spacing = quiet_chest.volume.geometry.spacing_kji
    assert airway_noise(quiet_chest.volume.hu, only_right, spacing) is None
    assert airway_noise(quiet_chest.volume.hu, np.zeros_like(only_right), spacing) is None
    assert AirNoiseConfig().fewest_pixels > 0


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"thin_threshold_hu": -951}, "thin_threshold_hu is -951"),
        ({"thick_threshold_hu": -1100}, "thick_threshold_hu is -1100"),
        ({"thick_slice_mm": 0.0}, "thick_slice_mm is 0.0"),
        ({"percentile": 100.0}, "percentile is 100.0"),
        ({"iterations": 0}, "iterations is 0"),
    ],
)
def test_configuration_that_makes_no_sense_is_refused(changes, part):
    with pytest.raises(ValueError, match=part):
        LowAttenuationConfig(**changes)


def test_masks_of_another_shape_are_refused(quiet_chest):
    with pytest.raises(ValueError, match=r"lobes \(79, 256, 256\) do not match the CT \(80, 256, 256\)"):
        low_attenuation(quiet_chest.volume, quiet_chest.lungs, quiet_chest.lobes[1:])


def codes_of(notes) -> list[str]:
    return [note.code for note in notes]


def test_reader_is_warned_where_noise_explains_most_of_it(quiet_chest):
    lungs, lobes = quiet_chest.lungs, quiet_chest.lobes
    noise = low_attenuation(replace(quiet_chest.volume, hu=noisy(quiet_chest.volume.hu, 40.0)), lungs, lobes)
    (note,) = low_attenuation_notes(noise, "B30f")
    assert note.code == "low_attenuation_noise"
    assert f"{noise.total.measured_percent:.1f} % of the lungs measure under -950 HU" in note.message
    holes = low_attenuation(replace(quiet_chest.volume, hu=noisy(with_holes(quiet_chest, 10.0), 20.0)), lungs, lobes)
    assert low_attenuation_notes(holes, "") == ()
    assert codes_of(low_attenuation_notes(holes, "B70f")) == ["low_attenuation_kernel"]
    unknown = replace(holes, noise_sd_hu=None)
    assert codes_of(low_attenuation_notes(unknown, "")) == ["low_attenuation_noise_unknown"]


def test_nothing_is_said_of_lungs_without_low_attenuation(quiet_chest):
    found = low_attenuation(quiet_chest.volume, quiet_chest.lungs, quiet_chest.lobes)
    assert low_attenuation_notes(replace(found, noise_sd_hu=None), "B70f") == ()


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [(name, True) for name in ("B46f", "B70f", "Br64d", "Bl57", "LUNG", "BONEPLUS", "Bone", "FC51", "YC", "L")]
    + [(name, False) for name in ("", "B30f", "Br40d", "D40s", "STANDARD", "SOFT", "FC13", "B", "A", "Lungs of Mr X")],
)
def test_kernels_are_known_by_their_names(kernel, sharp):
    assert bool(SHARP_KERNELS.fullmatch(kernel)) == sharp


def test_corrected_opacities_leave_low_attenuation_as_it_was(factory):
    report = build_report(factory.make_analysis())
    automatic = report["low_attenuation"]
    assert corrected_low_attenuation(report, (), False) == automatic
    lobes = corrected_low_attenuation(report, {Lobe.RML}, False)
    assert lobes["lobes"] == {**automatic["lobes"], "RML": None}
    assert lobes["total"] == automatic["total"]
    assert corrected_low_attenuation(report, {Lobe.RML}, True) is None
    del report["low_attenuation"]
    assert corrected_low_attenuation(report, (), False) is None


def test_report_tells_shares_densities_and_sources(factory):
    analysis = factory.make_analysis()
    told = json.loads(json.dumps(build_report(analysis)["low_attenuation"]))
    total = analysis.low_attenuation.total
    assert (told["threshold_hu"], told["percentile"], told["noise_sd_hu"]) == (-910, 15.0, None)
    assert told["total"]["percent"] == round(total.percent, 3)
    assert told["total"]["density_percentile_g_per_l"] == pytest.approx(told["total"]["density_percentile_hu"] + 1000)
    assert set(told["lobes"]) == {lobe.name for lobe in Lobe}
    for doi in ("10.1164/ajrccm.154.1.8680679", "10.1378/chest.94.4.782", "10.1136/thx.2005.054890"):
        assert doi in told["source"]


def volume_of(hu, slice_mm=2.0) -> CtVolume:
    identity = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry(hu.shape[::-1], (0.7, 0.7, slice_mm), (0.0, 0.0, 0.0), identity)
    return CtVolume(hu, geometry, geometry)


@pytest.mark.parametrize("seed", range(12))
def test_air_between_the_lungs_has_lung_somewhere_on_both_sides_of_its_row(seed):
    """Pixel by pixel; the mean over 3 x 3 pixels is that of the whole slice, but mirrored beside the dark columns."""
    random = np.random.default_rng(seed)
    lungs = random.choice([0, 0, 0, 0, 0, 0, 1, 2], (14, 18)).astype(np.uint8)
    lungs[random.integers(0, 14, 4)] = 0
    plane = np.where(random.random(lungs.shape) < 0.8, -950, -500).astype(np.int16)

    def between(j, i):
        return lungs[j, i] == 0 and Side.RIGHT in lungs[j, :i] and Side.LEFT in lungs[j, i + 1 :]

    air = np.array([[between(j, i) for i in range(18)] for j in range(14)])
    columns = np.flatnonzero((air & (plane < -800)).any(axis=0))
    part = plane[:, columns[0] : columns[-1] + 1].astype(float)
    around = np.pad(part, 1, mode="symmetric")
    mean = np.mean([around[j : j + 14, i : i + part.shape[1]] for j in range(3) for i in range(3)], axis=0)
    expected = np.zeros_like(air)
    expected[:, columns[0] : columns[-1] + 1] = air[:, columns[0] : columns[-1] + 1] & (mean < -800.0 - 1e-3)
    found = _dark_between(plane, lungs, -800.0)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


def test_slice_without_a_lung_has_no_air_between_lungs():
    plane, lungs = np.full((6, 9), -1000, np.int16), np.zeros((6, 9), np.uint8)
    lungs[2, 1] = Side.RIGHT
    lungs[4, 7] = Side.LEFT
    assert not _dark_between(plane, lungs, -800.0).any()


def test_empty_histograms_stay_empty_and_do_not_touch_others():
    measured = np.zeros((3, 4, 312), dtype=np.int64)
    assert not without_noise(measured, 20.0, 5).any()
    measured[1, 2, 40:60] = np.random.default_rng(0).integers(1, 900, 20)
    found = without_noise(measured, 20.0, 5)
    np.testing.assert_array_equal(found[1, 2], without_noise(measured[1, 2], 20.0, 5))
    assert found.sum() == pytest.approx(measured.sum())
    assert np.count_nonzero(found.any(axis=-1)) == 1
