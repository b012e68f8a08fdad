"""Equality of the classification image with the authors' own program: ``../shared/golden``, ``c_class.npz``.

Theirs is the form with a binarised lung mask, which their training uses.
"""

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.features.classification_image import PUBLISHED_CLASSIFICATION_IMAGE, classification_images
from CovidSeverityLib.features.lung_outline import prewitt_edges, roberts_edges
from CovidSeverityLib.segmentation.opacity.published.windows import masked_slice, slice_mixtures

SLICES = range(13)
NO_OUTLINE = replace(PUBLISHED_CLASSIFICATION_IMAGE, outline=False)


@pytest.fixture(scope="session")
def chest(golden):
    """HU and lung mask of the slices that theirs are stored for."""
    return golden["inputs"]["hu"][: len(SLICES)], golden["inputs"]["lung"][: len(SLICES)] > 0


@pytest.fixture(scope="session")
def theirs(golden):
    return golden["c_class"]


def images(chest, config, slices=None):
    return classification_images(*chest, config, slices)


def differing(ours, stored):
    return [np.count_nonzero(a != b) for a, b in zip(ours, stored, strict=True)]


@pytest.mark.parametrize(("name", "edges"), [("prewitt_bin", prewitt_edges), ("roberts_bin", roberts_edges)])
def test_edge_maps_have_no_differing_pixel(chest, theirs, name, edges):
    ours = [edges(lung) for lung in chest[1]]
    assert differing(ours, theirs[name] > 0) == [0] * len(SLICES)
    assert sum(map(np.count_nonzero, ours)) > 10_000


@pytest.fixture(scope="session")
def their_starts(theirs, from_their_start):
    """Configurations that begin where theirs did, one for each slice."""
    infection = PUBLISHED_CLASSIFICATION_IMAGE.infection
    return [
        replace(PUBLISHED_CLASSIFICATION_IMAGE, infection=from_their_start(infection, theirs["gmbin_mu0"][s]))
        for s in SLICES
    ]


def test_images_from_the_same_start_have_no_differing_pixel(chest, theirs, their_starts):
    ours = [images(chest, config, [s])[0] for s, config in enumerate(their_starts)]
    assert differing(ours, theirs["image_bin"]) == [0] * len(SLICES)
    assert ours[0].dtype == theirs["image_bin"].dtype
    assert max(len(np.unique(image)) for image in ours) > 100


def test_lit_pixels_without_the_outline_are_their_filled_mask(chest, theirs, their_starts):
    ours = [images(chest, replace(config, outline=False), [s])[0] > 0 for s, config in enumerate(their_starts)]
    assert differing(ours, theirs["filled_bin"] > 0) == [0] * len(SLICES)


@pytest.fixture(scope="session")
def better_by(chest, theirs):
    """How much more likely the mixture of our own start is than theirs, slice by slice."""
    infection = PUBLISHED_CLASSIFICATION_IMAGE.infection
    masked = np.stack([masked_slice(hu, lung, infection) for hu, lung in zip(*chest, strict=True)])
    return np.array([fit.log_likelihood for fit in slice_mixtures(masked, infection)]) + theirs["gmbin_nll"]


def test_own_start_is_at_least_as_likely(better_by, theirs):
    assert (better_by >= -1e-12 * theirs["gmbin_nll"]).all()


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_lit_area_from_our_own_start_is_nearly_theirs(chest, theirs):
    for image, stored in zip(images(chest, PUBLISHED_CLASSIFICATION_IMAGE), theirs["image_bin"], strict=True):
        assert dice(image > 0, stored > 0) >= 0.95


def test_lit_area_inside_the_outline_is_nearly_theirs_where_their_mixture_is_as_good(chest, theirs, better_by):
    """In one slice their draw of the start ends in another optimum, hundreds less likely in log-likelihood."""
    same_optimum = better_by < 100
    assert np.count_nonzero(~same_optimum) == 1
    for s in np.flatnonzero(same_optimum):
        assert dice(images(chest, NO_OUTLINE, [s])[0] > 0, theirs["filled_bin"][s] > 0) >= 0.95, s
