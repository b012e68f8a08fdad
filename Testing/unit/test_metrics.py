"""Agreement of masks: against scikit-learn, and where a denominator is 0."""

from math import isnan

import numpy as np
import pytest
from sklearn import metrics as oracle

from CovidSeverityLib.metrics import MaskAgreement

EMPTY, FULL = np.zeros((4, 5), dtype=bool), np.ones((4, 5), dtype=bool)
CORNER = np.zeros((4, 5), dtype=bool)
CORNER[:2, :2] = True


@pytest.mark.parametrize("seed", range(8))
def test_measures_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    truth, found = random.random((2, 12, 11)) < random.uniform(0.1, 0.9, (2, 1, 1))
    agreement = MaskAgreement.of(found, truth)
    flat = truth.ravel(), found.ravel()
    assert agreement.dice == pytest.approx(oracle.f1_score(*flat))
    assert agreement.jaccard == pytest.approx(oracle.jaccard_score(*flat))
    assert agreement.sensitivity == pytest.approx(oracle.recall_score(*flat))
    assert agreement.specificity == pytest.approx(oracle.recall_score(~flat[0], ~flat[1]))
    assert agreement.precision == pytest.approx(oracle.precision_score(*flat))
    assert agreement.accuracy == pytest.approx(oracle.accuracy_score(*flat))
    assert agreement.mcc == pytest.approx(oracle.matthews_corrcoef(*flat))
    assert agreement.mae == pytest.approx(oracle.mean_absolute_error(*flat))


def test_counts_tell_a_false_find_from_a_miss():
    shifted = np.roll(CORNER, 1, axis=1)
    assert MaskAgreement.of(found=shifted, truth=CORNER).counts == (2, 2, 2, 14)
    assert MaskAgreement.of(found=FULL, truth=CORNER).counts == (4, 16, 0, 0)
    assert MaskAgreement.of(found=EMPTY, truth=CORNER).counts == (0, 0, 4, 16)


def test_two_empty_masks_agree():
    agreement = MaskAgreement.of(EMPTY, EMPTY)
    assert (agreement.dice, agreement.jaccard, agreement.mcc, agreement.accuracy, agreement.mae) == (1, 1, 1, 1, 0)
    assert isnan(agreement.sensitivity)
    assert isnan(agreement.precision)


def test_empty_prediction_on_infected_slice_scores_zero_dice():
    agreement = MaskAgreement.of(found=EMPTY, truth=CORNER)
    assert (agreement.dice, agreement.jaccard, agreement.sensitivity, agreement.mcc) == (0, 0, 0, 0)
    assert isnan(agreement.precision)


def test_find_in_a_healthy_slice_scores_zero_dice():
    agreement = MaskAgreement.of(found=CORNER, truth=EMPTY)
    assert (agreement.dice, agreement.precision, agreement.mcc) == (0, 0, 0)
    assert isnan(agreement.sensitivity)
    assert agreement.specificity == 16 / 20


def test_masks_that_fill_the_slice_agree():
    agreement = MaskAgreement.of(FULL, FULL)
    assert (agreement.dice, agreement.mcc, agreement.accuracy) == (1, 1, 1)
    assert isnan(agreement.specificity)


def test_matthews_coefficient_of_a_volume_does_not_overflow():
    size = 10**9
    assert MaskAgreement(size, size, size, size).mcc == 0
    assert MaskAgreement(size, 0, 0, size).mcc == 1


def test_pooled_slices_are_the_volume():
    random = np.random.default_rng(3)
    truth, found = random.random((2, 5, 9, 9)) < 0.4
    slices = [MaskAgreement.of(f, t) for f, t in zip(found, truth, strict=True)]
    assert MaskAgreement.pooled(slices) == MaskAgreement.of(found, truth)
    assert MaskAgreement.pooled([]) == MaskAgreement(0, 0, 0, 0)


def test_masks_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"found mask \(4, 5\) does not match true mask \(5, 4\)"):
        MaskAgreement.of(EMPTY, EMPTY.T)
