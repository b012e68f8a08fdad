"""Density by lung, lobe and opacity, against NumPy on the voxels of each part."""

from __future__ import annotations

import numpy as np
import pytest

from CovidSeverityLib.features.attenuation import attenuation
from CovidSeverityLib.types import Lobe, Opacity, Side


@pytest.fixture(scope="module")
def chest(factory):
    return factory.make_chest()


@pytest.fixture(scope="module")
def found(chest):
    return attenuation(chest.hu, chest.lungs, chest.lobes, chest.infection)


def parts(chest, found):
    yield found.total, chest.lungs > 0
    for side in Side:
        yield found.side(side), chest.lungs == side
    for lobe in Lobe:
        yield found.lobe(lobe), chest.lobes == lobe
    for kind in Opacity:
        yield found.opacity(kind), chest.infection == kind


def test_each_part_has_the_mean_and_deviation_of_its_voxels(chest, found):
    for part, mask in parts(chest, found):
        values = chest.hu[mask].astype(float)
        assert values.size > 50
        assert part.voxels == values.size
        assert part.mean_hu == pytest.approx(values.mean(), abs=1e-6)
        assert part.sd_hu == pytest.approx(values.std(), abs=1e-6)


def test_opacities_are_counted_in_each_part(chest, found):
    for part, mask in parts(chest, found):
        assert part.infected_voxels == np.count_nonzero(chest.infection[mask])
        assert part.infected_percent == pytest.approx(100 * part.infected_voxels / part.voxels)


def test_an_absent_part_has_no_density(factory):
    chest = factory.make_chest(infected=False, sides=(Side.LEFT,))
    found = attenuation(chest.hu, chest.lungs, chest.lobes, chest.infection)
    for part in (found.side(Side.RIGHT), found.lobe(Lobe.RML), found.opacity(Opacity.CONSOLIDATION)):
        assert (part.voxels, part.mean_hu, part.sd_hu, part.infected_percent) == (0, None, None, 0.0)
    assert found.total == found.side(Side.LEFT)


def test_what_lies_outside_the_lungs_is_not_counted(chest, found):
    elsewhere = chest.infection.copy()
    elsewhere[0, 0, :] = Opacity.CONSOLIDATION
    again = attenuation(chest.hu, chest.lungs, chest.lobes, elsewhere)
    assert again.opacity(Opacity.CONSOLIDATION) == found.opacity(Opacity.CONSOLIDATION)


def test_a_mask_of_another_shape_is_refused(chest):
    with pytest.raises(ValueError, match="lobes"):
        attenuation(chest.hu, chest.lungs, chest.lobes[1:], chest.infection)
