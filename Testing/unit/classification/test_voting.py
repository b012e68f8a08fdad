"""The weighted vote of a patient's slices, against a plain reading of the published rule in exact fractions."""

from dataclasses import FrozenInstanceError
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from CovidSeverityLib.classification.voting import slice_tenths, weighted_vote
from CovidSeverityLib.types import Diagnosis

NORMAL, CAP, COVID19 = Diagnosis


def plain_vote(labels):
    """The rule in words, slice by slice."""
    sums = {diagnosis: Fraction(0) for diagnosis in Diagnosis}
    third = len(labels) // 3
    for n, label in enumerate(labels):
        if third <= n < third + third:
            sums[label] += 1
        else:
            sums[label] += Fraction(1, 2) if label == NORMAL else Fraction(7, 10)
    if sums[COVID19] >= sums[NORMAL] and sums[COVID19] >= sums[CAP]:
        return COVID19, sums
    if sums[CAP] > sums[COVID19] and sums[CAP] > sums[NORMAL]:
        return CAP, sums
    if sums[COVID19] + sums[CAP] >= Fraction(3, 4) * sums[NORMAL]:
        return (COVID19 if sums[COVID19] >= sums[CAP] else CAP), sums
    return NORMAL, sums


@pytest.mark.parametrize("number", range(1, 9))
def test_every_vote_of_few_slices_follows_the_rule(number):
    for labels in product(Diagnosis, repeat=number):
        label, sums = plain_vote(labels)
        vote = weighted_vote(labels)
        assert vote.label == label, labels
        assert vote.weights == tuple(float(sums[d]) for d in Diagnosis), labels


def runs(number):
    """Every number of labels of each kind; first of one, then of the next."""
    for a in range(number + 1):
        for b in range(number + 1 - a):
            yield [NORMAL] * a + [CAP] * b + [COVID19] * (number - a - b)


@pytest.mark.parametrize("number", [15, 21])
def test_every_pair_of_counts_inside_and_outside_the_middle_follows_the_rule(number):
    third = number // 3
    ties = {"covid normal": 0, "covid cap": 0, "cap normal": 0, "three quarters": 0}
    for middle, outer in product(runs(third), runs(2 * third)):
        labels = outer[:third] + middle + outer[third:]
        label, sums = plain_vote(labels)
        assert weighted_vote(labels).label == label, labels
        ties["covid normal"] += sums[COVID19] == sums[NORMAL] > sums[CAP]
        ties["covid cap"] += sums[COVID19] == sums[CAP] > sums[NORMAL]
        ties["cap normal"] += sums[CAP] == sums[NORMAL] > sums[COVID19]
        ties["three quarters"] += 4 * (sums[COVID19] + sums[CAP]) == 3 * sums[NORMAL]
    assert min(ties["covid normal"], ties["covid cap"], ties["cap normal"]) > 3
    assert (ties["three quarters"] > 3) == (number == 21)


def test_tie_that_floating_point_would_break_is_a_tie():
    """Ten outer slices for CAP weigh as much as seven middle ones for COVID-19; 0.7 added ten times is more than 7."""
    total = 0.0
    for _ in range(10):
        total += 0.7
    assert total > 7
    vote = weighted_vote([CAP] * 7 + [COVID19] * 7 + [CAP] * 3 + [NORMAL] * 4)
    assert vote.weights == (2.0, 7.0, 7.0)
    assert vote.label == COVID19


@pytest.mark.parametrize(
    ("labels", "label"),
    [
        ([COVID19], COVID19),
        ([CAP, CAP, CAP], CAP),
        ([NORMAL] * 9, NORMAL),
        ([CAP, NORMAL, COVID19], COVID19),  # 0.7, 1, 0.7: together at least three quarters of normal, a tie
        ([CAP, NORMAL, CAP], CAP),  # 1.4 against 1
        ([NORMAL, NORMAL, CAP], NORMAL),  # 0.7 against 1.5
        ([COVID19, CAP, NORMAL], CAP),  # 0.7, 1, 0.5
    ],
)
def test_examples(labels, label):
    assert weighted_vote(labels).label == label


def test_thirds_round_down_and_the_last_takes_the_rest():
    covid = slice_tenths(8)[:, COVID19]
    assert covid.tolist() == [7, 7, 10, 10, 7, 7, 7, 7]
    assert slice_tenths(8)[:, NORMAL].tolist() == [5, 5, 10, 10, 5, 5, 5, 5]
    np.testing.assert_array_equal(slice_tenths(8)[:, CAP], covid)
    assert slice_tenths(2).tolist() == [[5, 7, 7]] * 2


def test_weights_are_in_the_order_of_the_classes():
    assert weighted_vote([CAP, NORMAL, COVID19]).weights == (1.0, 0.7, 0.7)


def test_vote_is_a_value_that_does_not_change():
    vote = weighted_vote([CAP, NORMAL, COVID19])
    assert vote == weighted_vote([CAP, NORMAL, COVID19])
    with pytest.raises(FrozenInstanceError):
        vote.label = NORMAL


def test_vote_of_no_slices_is_refused():
    with pytest.raises(ValueError, match="no slices to vote"):
        weighted_vote([])
