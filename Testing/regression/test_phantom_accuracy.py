"""The whole analysis against the truth of the synthetic chest CT, at its default size."""

import numpy as np
import pytest

from CovidSeverityLib.features.quantification import count_voxels, lobe_scores
from CovidSeverityLib.types import Lobe, Side

SEEDS = (0, 3)
FINE_ENOUGH = {"shape": (108, 240, 240), "spacing_mm": (1.6, 1.6, 2.94)}
"""The same field of view in fewer voxels."""


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture(scope="session", params=SEEDS)
def truth_and_analysis(request, phantom_of, analysis_of):
    """A phantom and its analysis."""
    return phantom_of(request.param), analysis_of("default", request.param)


def true_scores(phantom):
    counts = count_voxels(phantom.lungs, phantom.lobes, phantom.infection > 0)
    return lobe_scores(counts, phantom.volume.geometry.voxel_ml)


@pytest.mark.parametrize("side", Side)
def test_lung_has_a_dice_of_097(truth_and_analysis, side):
    phantom, analysis = truth_and_analysis
    assert dice(analysis.lungs == side, phantom.lungs == side) >= 0.97


def test_infection_has_a_dice_of_075(truth_and_analysis):
    phantom, analysis = truth_and_analysis
    assert dice(analysis.infection > 0, phantom.infection > 0) >= 0.75


def test_infection_lies_inside_the_lungs(truth_and_analysis):
    _, analysis = truth_and_analysis
    assert not (analysis.infection[analysis.lungs == 0]).any()


def test_score_is_within_two_of_the_true_one(truth_and_analysis):
    phantom, analysis = truth_and_analysis
    assert abs(analysis.ctss - sum(score.score for score in true_scores(phantom))) <= 2


def test_most_of_the_airless_lung_is_lung(truth_and_analysis):
    """An air threshold alone keeps a third; what is still lost lies beside the spine."""
    phantom, analysis = truth_and_analysis
    hidden = (phantom.infection > 0) & (phantom.volume.hu > -300)
    assert np.mean(analysis.lungs[hidden] > 0) > 0.7


def test_lobes_are_mostly_the_true_ones(truth_and_analysis):
    """Flat fissures are approximate; most of every large lobe is right all the same."""
    phantom, analysis = truth_and_analysis
    for lobe in (Lobe.RUL, Lobe.RLL, Lobe.LUL, Lobe.LLL):
        assert dice(analysis.lobes == lobe, phantom.lobes == lobe) > 0.7, lobe


def test_nothing_is_missing_from_the_field_of_view(truth_and_analysis):
    _, analysis = truth_and_analysis
    assert not {note.code for note in analysis.quality} & {"lung_missing", "airway_not_found", "lungs_cut_lower"}


@pytest.mark.slow
def test_healthy_chest_has_next_to_no_infection(analysis_of):
    analysis = analysis_of("default", 0, healthy=True, **FINE_ENOUGH)
    assert analysis.infection_percent < 0.1
