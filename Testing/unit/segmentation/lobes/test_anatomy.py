"""What anatomy says of lobes holds for every chest: synthetic, tilted, noisy and thick ones, and real ones."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib import read_ct
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.components import largest_component
from CovidSeverityLib.segmentation.lobes.lobe_segmentation import anatomical_lobes
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.types import AIR_HU, Geometry, Lobe, Side

HILUM_SHARE = 0.6
"""The rear wall of the right hilum lies here, as a share of the right lung's length from front to back. 96 % of the
points of the horizontal fissures of 93 CTs lie in front of it."""


def anatomy_faults(labels):
    """What is wrong with five lobes: sentences, none where nothing is."""
    lobes = {lobe: labels == lobe for lobe in Lobe}
    faults = [f"{lobe.name} has {n} pieces" for lobe, mask in lobes.items() if (n := ndimage.label(mask)[1]) != 1]
    return faults + order_faults(lobes) + middle_lobe_faults(labels)


def order_faults(lobes):
    """Upper lobes lie above, the middle lobe in front of the lower one, and every lobe at the border of its lung."""
    at = {lobe: np.argwhere(mask).mean(axis=0) for lobe, mask in lobes.items()}
    above = [(Lobe.RUL, Lobe.RML), (Lobe.RUL, Lobe.RLL), (Lobe.LUL, Lobe.LLL)]
    before = [(Lobe.RML, Lobe.RLL), (Lobe.LUL, Lobe.LLL)]
    faults = [f"{one.name} is not above {other.name}" for one, other in above if at[one][0] <= at[other][0]]
    faults += [f"{one.name} is not in front of {other.name}" for one, other in before if at[one][1] >= at[other][1]]
    lung = np.logical_or.reduce(list(lobes.values()))
    pleura = lung & ~ndimage.binary_erosion(lung)
    return faults + [f"{lobe.name} has no pleura" for lobe, mask in lobes.items() if not (mask & pleura).any()]


def middle_lobe_faults(labels):
    right = np.isin(labels, [Lobe.RUL, Lobe.RML, Lobe.RLL])
    rows = np.flatnonzero(right.any(axis=(0, 2)))
    share = (np.arange(labels.shape[1]) + 0.5 - rows[0]) / (rows[-1] + 1 - rows[0])
    by_row = (labels == Lobe.RML).sum(axis=(0, 2))
    behind_hilum, in_rear_third = (by_row[share > part].sum() / by_row.sum() for part in (HILUM_SHARE, 2 / 3))
    faults = [f"{behind_hilum:.1%} of the middle lobe is behind the hilum"] if behind_hilum > 0.01 else []
    return faults + (["the middle lobe is in the rear third of the lung"] if in_rear_third > 0 else [])


def whole(lungs):
    """Both lungs without the crumbs that turning leaves."""
    return sum(np.where(largest_component(lungs == side), side, 0) for side in Side).astype(np.uint8)


def turned(axes):
    def turn(hu, lungs):
        turned_hu = ndimage.rotate(hu, 12.0, axes, reshape=False, order=1, cval=AIR_HU)
        return turned_hu, ndimage.rotate(lungs, 12.0, axes, reshape=False, order=0)

    return turn


def noisy(hu, lungs):
    return hu + np.random.default_rng(0).normal(0.0, 80.0, hu.shape), lungs


def thick(hu, lungs):
    return hu.reshape(-1, 2, *hu.shape[1:]).mean(axis=1), lungs[::2]


def constant(hu, lungs):
    return np.where(lungs > 0, -860, 40), lungs


def speckled(hu, lungs):
    return np.where(lungs > 0, -860, 40) + np.random.default_rng(0).normal(0.0, 40.0, hu.shape), lungs


CHANGES = {
    "as it is": lambda hu, lungs: (hu, lungs),
    "tilted": turned((0, 1)),
    "leaning": turned((0, 2)),
    "turned": turned((1, 2)),
    "noisy": noisy,
    "slices of 8.8 mm": thick,
    "constant": constant,
    "constant and noisy": speckled,
}


@pytest.fixture(scope="module")
def lobes_of(once, coarse_phantom):
    def found(change):
        hu, lungs = CHANGES[change](coarse_phantom.volume.hu, coarse_phantom.lungs)
        g, times = coarse_phantom.volume.geometry, len(coarse_phantom.lungs) // len(lungs)
        spacing = (*g.spacing_mm[:2], g.spacing_mm[2] * times)
        geometry = Geometry((*g.size[:2], len(hu)), spacing, g.origin_mm, g.direction)
        volume = CtVolume(np.rint(hu).astype(np.int16), geometry, geometry)
        return anatomical_lobes(volume, whole(lungs))

    return lambda change: once(f"lobes-{change}", lambda: found(change))


@pytest.mark.parametrize("change", CHANGES)
def test_lobes_of_a_synthetic_chest_keep_to_anatomy(lobes_of, change):
    assert anatomy_faults(lobes_of(change).labels) == []


@pytest.mark.parametrize("change", ["constant", "constant and noisy"])
def test_no_fissure_is_seen_where_there_is_none(lobes_of, change):
    assert all(fissure.seen_percent < 1.0 for fissure in lobes_of(change).fissures)


@pytest.mark.parametrize("change", ["as it is", "noisy", "slices of 8.8 mm", "constant and noisy"])
def test_confidence_is_not_above_the_truth(lobes_of, coarse_phantom, change):
    """The mean over the lobes of one chest; docs/method.md has it for many."""
    found = lobes_of(change)
    true = coarse_phantom.lobes[:: len(coarse_phantom.lobes) // len(found.labels)]
    dice = {lobe: _dice(found.labels == lobe, true == lobe) for lobe in Lobe}
    assert np.mean([found.confidence[lobe] - dice[lobe] for lobe in Lobe]) < 0.03


def _dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("patient", ["P001", "cap001", "normal001"])
def test_lobes_of_a_real_ct_keep_to_anatomy(analysed, patient):
    assert anatomy_faults(analysed(patient).lobes) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [4])
def test_lobes_of_thick_real_slices_keep_to_anatomy(real_data, number):
    volume = read_ct(real_data("data/medseg") / f"{number}_ct.nii.gz")
    assert anatomy_faults(anatomical_lobes(volume, segment_lungs(volume).labels).labels) == []
