"""Equality with the authors' own program, stage by stage: ``../shared/golden`` and its ``README.md``."""

import numpy as np
import pytest
from scipy import ndimage

from CovidSeverityLib.ctss import score_for_percent
from CovidSeverityLib.features.published_score import published_score
from CovidSeverityLib.features.quantification import count_voxels
from CovidSeverityLib.segmentation.lobes.published import published_regions
from CovidSeverityLib.segmentation.opacity.published.config import PUBLISHED_CTSS, PUBLISHED_SEGMENTATION
from CovidSeverityLib.segmentation.opacity.published.opacities import (
    candidate_mask,
    open_area,
    segment_published_opacities,
    vessel_image,
)
from CovidSeverityLib.segmentation.opacity.published.vesselness import vessel_mask
from CovidSeverityLib.segmentation.opacity.published.windows import masked_slice, window_mask, windows
from CovidSeverityLib.types import Lobe

SLICES = range(13)
VARIANTS = {"segmentation": ("a_infection", PUBLISHED_SEGMENTATION), "score": ("b_ctss", PUBLISHED_CTSS)}
LOBE_ORDER = (Lobe.LLL, Lobe.LUL, Lobe.RLL, Lobe.RUL, Lobe.RML)
"""Columns of the stored scores."""


def run(golden, config, slices):
    """Our mask and mixture of some slices, each for itself."""
    hu, lung = golden["inputs"]["hu"][slices], golden["inputs"]["lung"][slices] > 0
    return segment_published_opacities(hu, lung, config)


@pytest.fixture(scope="session", params=VARIANTS)
def theirs_and_ours(request, golden, from_their_start):
    """Stored arrays, configuration and our slices from the same start, of either variant."""
    file, config = VARIANTS[request.param]
    stored = golden[file]
    configs = [from_their_start(config, stored["gm_mu0"][s]) for s in SLICES]
    return stored, configs, [run(golden, c, slice(s, s + 1)) for s, c in zip(SLICES, configs, strict=True)]


def test_masks_from_the_same_start_have_no_differing_pixel(theirs_and_ours):
    stored, _, ours = theirs_and_ours
    differing = [np.count_nonzero((stored["mask"][s] > 0) != ours[s].mask[0]) for s in SLICES]
    assert differing == [0] * len(SLICES)
    assert sum(result.mask.sum() for result in ours) > 5000


def test_mixtures_from_the_same_start_agree_to_a_millionth_hu(theirs_and_ours):
    stored, _, ours = theirs_and_ours
    for s in SLICES:
        (mixture,) = ours[s].mixtures
        order = np.argsort(stored["gm_mu"][s])
        np.testing.assert_allclose(mixture.means_hu, stored["gm_mu"][s][order], rtol=0, atol=1e-6)
        np.testing.assert_allclose(mixture.sds_hu, np.sqrt(stored["gm_var"][s][order]), rtol=0, atol=1e-6)
        np.testing.assert_allclose(mixture.weights, stored["gm_weight"][s][order], rtol=0, atol=1e-9)
        assert mixture.iterations == stored["gm_iters"][s]


def test_windows_from_the_same_start_agree(theirs_and_ours):
    """Theirs are stored before the limits: DESIGN.md, step 2."""
    stored, configs, ours = theirs_and_ours
    for s in SLICES:
        (mixture,) = ours[s].mixtures
        ceiling, caps = configs[s].window_ceiling_hu, configs[s].window_caps_hu
        for (low, high), (their_low, their_high), cap in zip(
            windows(mixture, configs[s]), stored["thresholds"][s].reshape(2, 2), caps, strict=True
        ):
            assert low == pytest.approx(max(their_low, -650.0), abs=1e-5)
            assert high == pytest.approx(their_high if their_high <= ceiling else cap, abs=1e-5)


def stage_window(masked, mixture, config):
    return window_mask(masked, mixture, config)


def stage_vessels(masked, _, config):
    return vessel_mask(vessel_image(masked, config), config.vesselness)


def stage_filled(masked, mixture, config):
    candidates = candidate_mask(masked, mixture, config)
    opened = open_area(candidates[None], config.smallest_px)
    return ndimage.binary_fill_holes(opened[0])


def stage_before_dilation(masked, mixture, config):
    return stage_filled(masked, mixture, config) & (masked != 0)


STAGES = {
    "gmm_mask": (stage_window, 0.5),
    "vesselness": (stage_vessels, 0.65),
    "filled": (stage_filled, 0.5),
    "predilate": (stage_before_dilation, 0.5),
}
"""Our stage and the value from which theirs is set, by the name of theirs."""


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_stage_from_the_same_start_has_no_differing_pixel(golden, theirs_and_ours, stage):
    stored, configs, ours = theirs_and_ours
    compute, threshold = STAGES[stage]
    differing, marked = [], 0
    for s in SLICES:
        masked = masked_slice(golden["inputs"]["hu"][s], golden["inputs"]["lung"][s] > 0, configs[s])
        found = compute(masked, ours[s].mixtures[0], configs[s])
        differing.append(np.count_nonzero((stored[stage][s] >= threshold) != found))
        marked += np.count_nonzero(found)
    assert differing == [0] * len(SLICES)
    assert marked > 5000


@pytest.fixture(scope="session", params=VARIANTS)
def theirs_and_our_own(request, golden):
    """Stored arrays and our slices from our own start, run to convergence."""
    file, config = VARIANTS[request.param]
    return golden[file], run(golden, config, slice(0, len(SLICES)))


def test_own_start_is_at_least_as_likely(theirs_and_our_own):
    stored, ours = theirs_and_our_own
    for s in SLICES:
        assert ours.mixtures[s].log_likelihood >= -stored["gm_nll"][s] * (1 + 1e-12), s


def test_masks_from_our_own_start_are_nearly_theirs(theirs_and_our_own):
    stored, ours = theirs_and_our_own
    for s in SLICES:
        a, b = stored["mask"][s] > 0, ours.mask[s]
        both = np.count_nonzero(a) + np.count_nonzero(b)
        assert both == 0 or 2 * np.count_nonzero(a & b) / both >= 0.95, s


def slice_scores(lungs, infected):
    """Score of every slice's regions, columns as in :data:`LOBE_ORDER`."""
    counts = count_voxels(lungs, published_regions(lungs).labels, infected)
    share = np.ceil(100 * counts.infected / np.maximum(counts.lung, 1))
    return np.array([[score_for_percent(row[lobe]) for lobe in LOBE_ORDER] for row in share])


def test_scores_of_every_slices_regions_agree(golden):
    """Slice 0 is a CT of its own; the other rows are cut between the ends of the whole synthetic volume."""
    lungs, stored = golden["inputs"]["lung"], golden["b_ctss"]
    infected = np.zeros(lungs.shape, dtype=bool)
    infected[: len(SLICES)] = stored["mask"] > 0
    real = slice_scores(lungs[:1], infected[:1])
    synthetic = slice_scores(lungs[1:], infected[1:])[: len(SLICES) - 1]
    np.testing.assert_array_equal(np.concatenate([real, synthetic]), stored["lobe_scores"])


def test_score_of_the_synthetic_ct_is_theirs_end_to_end(golden):
    lungs = golden["inputs"]["lung"][1:]
    found = run(golden, PUBLISHED_CTSS, slice(1, None))
    counts = count_voxels(lungs, published_regions(lungs).labels, found.mask)
    score = published_score(counts, lungs.shape[1] * lungs.shape[2])
    assert score.slices == len(golden["b_ctss"]["e2e_A"])
    assert sum(score.mean.values()) == 7
    assert sum(score.maximum.values()) == 13


def test_score_of_a_region_is_theirs_for_every_share(golden):
    stored = golden["b_ctss"]
    for fraction, score in zip(stored["lobe_fraction"], stored["lobe_score"], strict=True):
        involved = np.ceil(100 * np.nan_to_num(fraction))  # 0 of 0 pixels is stored as not a number
        assert score_for_percent(involved) == score, fraction
