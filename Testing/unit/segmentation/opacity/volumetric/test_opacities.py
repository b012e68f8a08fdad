"""Opacities of the default profile, in a synthetic chest: found to their edges, told from vessels, airways, borders."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from CovidSeverityLib import parallel
from CovidSeverityLib.evaluation.accuracy.variations import Variation, vary
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.segmentation.opacity.volumetric.config import OpacityConfig
from CovidSeverityLib.segmentation.opacity.volumetric.opacities import segment_opacities
from CovidSeverityLib.segmentation.opacity.volumetric.single_slices import segment_slice_opacities
from CovidSeverityLib.types import Side

pytestmark = pytest.mark.slow  # each finds the opacities of a chest at full size

SEED = 3
"""The classifier was fitted to chests of other seeds."""

BLUR_MM = 0.9
MARGIN_VOXELS = (10, 10, 10)
HEALTHY_PERCENT = 0.15


class Chest:
    """A healthy synthetic chest, or one of its lungs, that lesions are laid into."""

    def __init__(self, volume, lungs):
        self.volume, self.lungs = volume, lungs
        self.geometry = self.volume.geometry
        self.axes = np.ogrid[tuple(slice(0, n) for n in self.lungs.shape)]

    def ball(self, centre, ml):
        radius_mm = (750 * ml / np.pi) ** (1 / 3)
        parts = ((axis - c) * mm for axis, c, mm in zip(self.axes, centre, self.geometry.spacing_kji, strict=True))
        return (sum(part**2 for part in parts) < radius_mm**2) & (self.lungs > 0)

    def with_lesion(self, mask, hu):
        """The chest with ``mask`` brought to ``hu``; vessels stay, and the edge is blurred as a scanner does."""
        sigma = [BLUR_MM / mm for mm in self.geometry.spacing_kji]
        weight = gaussian_filter(mask.astype(np.float32), sigma) * (self.lungs > 0)
        old = self.volume.hu.astype(np.float32)
        return replace(self.volume, hu=np.rint(old + weight * np.maximum(hu - old, 0)).astype(np.int16))

    def place(self, *, deep):
        """A voxel in the right lung's lower half: in its middle, or at the chest wall behind."""
        k = int(np.flatnonzero(self.lungs.any(axis=(1, 2))).mean())
        rows, columns = np.nonzero(self.lungs[k] == 1)
        column = int(np.median(columns))
        inside = rows[columns == column]
        return (k, int(inside.mean()) if deep else int(inside.max()) - 4, column)


@pytest.fixture(scope="module")
def both(phantom_of):
    """The chest with both lungs."""
    made = phantom_of(SEED, healthy=True)
    return Chest(made.volume, made.lungs)


@pytest.fixture(scope="module")
def chest(both):
    """The right lung, which the lesions are laid into, and what lies around it."""
    right = both.lungs * (both.lungs == Side.RIGHT)
    box = bounding_box(right, MARGIN_VOXELS)
    hu = np.ascontiguousarray(both.volume.hu[box])
    geometry = replace(both.geometry, size=hu.shape[::-1])
    return Chest(CtVolume(hu, geometry, geometry, name="right lung"), np.ascontiguousarray(right[box]))


@pytest.fixture(scope="module")
def lesion_and_mask(chest):
    """The chest with a faint lesion deep in the lung, and what is found of it."""
    volume = chest.with_lesion(chest.ball(chest.place(deep=True), 12), -620)
    return volume, found(volume, chest.lungs)


def found(volume, lungs, config=OpacityConfig(), **options):
    return segment_opacities(volume.hu, lungs > 0, volume.geometry, config, **options).mask


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def scanned(volume, lungs, slice_mm):
    """The chest and its lungs in slices of another thickness."""
    change = Variation("slices", slice_mm=slice_mm)
    parts = [vary(replace(volume, hu=hu), change) for hu in (volume.hu, np.int16(1000) * (lungs > 0))]
    return parts[0], parts[1].hu >= 500


def two_lesions(chest, ml, hu):
    """What is found of a lesion deep in the lung and of one behind it at the chest wall, each with its truth."""
    deep, wall = (chest.place(deep=deep) for deep in (True, False))
    truths = chest.ball(deep, ml), chest.ball(wall, ml)
    mask = found(chest.with_lesion(truths[0] | truths[1], hu), chest.lungs)
    assert not mask[chest.lungs == 0].any()
    behind = chest.axes[1] > (deep[1] + wall[1]) / 2
    return (mask & ~behind, truths[0]), (mask & behind, truths[1])


@pytest.mark.parametrize("hu", [-650, -500, -100, 40])
def test_lesion_of_any_density_is_found_to_its_edge(chest, hu):
    for mask, truth in two_lesions(chest, 12, hu):
        assert dice(mask, truth) > 0.85


@pytest.mark.parametrize("ml", [1.4, 7.5, 9.8])
def test_solid_lesions_are_kept_though_vessels_are_as_thick(chest, ml):
    for mask, truth in two_lesions(chest, ml, 20):
        assert np.count_nonzero(mask & truth) > 0.7 * np.count_nonzero(truth)


@pytest.mark.parametrize("slice_mm", [1.0, None, 5.0, 6.0, 8.0])
def test_healthy_lungs_are_left_alone_hila_bronchi_and_domes_included(both, slice_mm):
    volume, lung = (both.volume, both.lungs > 0) if slice_mm is None else scanned(both.volume, both.lungs, slice_mm)
    assert 100 * np.count_nonzero(found(volume, lung)) < HEALTHY_PERCENT * np.count_nonzero(lung)


@pytest.mark.parametrize("shift_hu", [-30, 30])
def test_density_of_the_whole_lung_does_not_matter(chest, shift_hu):
    truth = chest.ball(chest.place(deep=True), 12)
    made = chest.with_lesion(truth, -550)
    mask = found(made, chest.lungs)
    moved = found(replace(made, hu=made.hu + np.int16(shift_hu)), chest.lungs)
    assert dice(mask, moved) > 0.95


@pytest.mark.parametrize("slice_mm", [1.0, 5.0, 8.0])
def test_volume_hardly_depends_on_the_slices(chest, slice_mm):
    truth = chest.ball(chest.place(deep=True), 25)
    volume, lung = scanned(chest.with_lesion(truth, -500), chest.lungs, slice_mm)
    ml = np.count_nonzero(found(volume, lung)) * volume.geometry.voxel_ml
    assert ml == pytest.approx(25, rel=0.2)


def test_noise_is_no_opacity_and_hides_none(chest):
    truth = chest.ball(chest.place(deep=True), 12)
    noisy = vary(chest.with_lesion(truth, -550), Variation("noise", noise_hu=40.0))
    mask = found(noisy, chest.lungs)
    assert dice(mask, truth) > 0.8


def test_range_of_masks_is_nested_and_holds_the_one_that_is_marked(chest, lesion_and_mask):
    volume, mask = lesion_and_mask
    marked = segment_opacities(volume.hu, chest.lungs > 0, volume.geometry)
    np.testing.assert_array_equal(marked.mask, mask)
    sizes = [np.count_nonzero(mask) for mask in (marked.stricter, marked.mask, marked.more_lenient)]
    assert 0 < sizes[0] < sizes[1] < sizes[2]
    assert not (marked.stricter & ~marked.mask).any()
    assert not (marked.mask & ~marked.more_lenient).any()


def test_threads_do_not_change_the_bits(chest, monkeypatch):
    volume = chest.with_lesion(chest.ball(chest.place(deep=False), 8), -500)
    masks = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(parallel, "thread_count", lambda n=threads: n)
        masks.append(found(volume, chest.lungs))
    assert masks[0].any()
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


def test_steps_can_be_left_out(chest, lesion_and_mask):
    volume, mask = lesion_and_mask
    assert (found(volume, chest.lungs, OpacityConfig(smoothing_mm=0)) != mask).any()
    assert np.count_nonzero(found(volume, chest.lungs, OpacityConfig(smallest_ml=0))) > np.count_nonzero(mask)
    assert not found(volume, chest.lungs, OpacityConfig(smallest_ml=100)).any()


def test_progress_runs_to_its_end(chest):
    calls = []
    found(chest.volume, chest.lungs, progress=lambda *call: calls.append(call))
    assert calls[0] == ("infection", 0, 3)
    assert calls[-1] == ("infection", 3, 3)


def slices_of(volume, chosen):
    """A stack of some slices, 5 mm apart."""
    hu = np.ascontiguousarray(volume.hu[chosen])
    geometry = replace(volume.geometry, size=hu.shape[::-1], spacing_mm=(*volume.geometry.spacing_mm[:2], 5.0))
    return CtVolume(hu, geometry, geometry, name="slices")


def test_order_of_unrelated_slices_does_not_matter(chest):
    centre = chest.place(deep=True)
    volume = chest.with_lesion(chest.ball(centre, 25), -550)
    chosen = np.array([centre[0] + n for n in (-30, -15, 0, 12, 24, 40)])
    order = np.array([3, 0, 5, 2, 4, 1])
    straight, mixed = (
        segment_slice_opacities(ct.hu, chest.lungs[which] > 0, ct.geometry).mask
        for ct, which in ((slices_of(volume, which), which) for which in (chosen, chosen[order]))
    )
    np.testing.assert_array_equal(straight[order], mixed)
    assert straight[2].any()


@pytest.mark.parametrize("hu", [-620, -500, 0])
def test_single_slice_shows_its_lesion(chest, hu):
    centre = chest.place(deep=True)
    truth = chest.ball(centre, 25)
    only = np.array([centre[0]])
    mask = found(slices_of(chest.with_lesion(truth, hu), only), chest.lungs[only])
    assert dice(mask[0], truth[centre[0]]) > 0.8
    assert 100 * np.count_nonzero(found(slices_of(chest.volume, only), chest.lungs[only])) < np.count_nonzero(mask)


@pytest.mark.parametrize(
    "wrong",
    [{"probability": 0.2}, {"stricter": 1.0}, {"more_lenient": 0.0}, {"smoothing_mm": -1.0}, {"smallest_ml": -0.1}],
)
def test_configuration_checks_itself(wrong):
    with pytest.raises(ValueError, match="expected"):
        OpacityConfig(**wrong)
