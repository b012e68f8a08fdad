"""What is said against a diagnosis."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.notes import classification_notes, contradiction_notes
from CovidSeverityLib.classification.voting import even_label, slice_weights, weighted_vote
from CovidSeverityLib.types import Diagnosis, NoteSeverity

NORMAL, CAP, COVID19 = Diagnosis
SURE = {NORMAL: (0.9, 0.06, 0.04), CAP: (0.1, 0.85, 0.05), COVID19: (0.05, 0.05, 0.9)}
ALWAYS = "probabilities_uncalibrated"


def codes(notes):
    return {note.code: note for note in notes}


def voters(factory, *labels):
    return factory.make_diagnosis([SURE[label] for label in labels])


def test_clear_diagnosis_has_the_note_that_every_diagnosis_has(factory):
    for label in Diagnosis:
        notes = codes(classification_notes(voters(factory, *[label] * 30)))
        assert set(notes) == {ALWAYS}
        assert notes[ALWAYS].severity == NoteSeverity.INFO
        assert "not calibrated" in notes[ALWAYS].message


def test_close_vote_says_how_close(factory):
    """30 slices, 10 in the middle third. CAP 5.0 of the middle and 7.0, COVID-19 5.0 and 7.0: a slice would decide."""
    labels = [CAP, COVID19] * 15
    note = codes(classification_notes(voters(factory, *labels)))["vote_close"]
    vote = weighted_vote(labels)
    assert (vote.label, vote.weights) == (COVID19, (0.0, 12.0, 12.0))
    assert vote.smallest_change == pytest.approx(0.1 / 24.0)
    assert "with 0.4 % of its weight elsewhere the diagnosis would not be COVID-19" in note.message


@pytest.mark.parametrize(("covid", "close"), [(17, True), (18, False)])
def test_vote_is_close_up_to_a_tenth_of_its_weight(factory, covid, close):
    """COVID-19 weighs 13.7 or 14.4 of 24: 1.8 or 2.5 have to go to CAP until that is heavier."""
    spread = [COVID19] * covid + [CAP] * (30 - covid)
    order = spread[0::3] + spread[1::3] + spread[2::3]
    diagnosis = voters(factory, *order)
    assert (diagnosis.vote.smallest_change <= 0.1) == close
    assert ("vote_close" in codes(classification_notes(diagnosis))) == close


@pytest.mark.parametrize(
    "labels",
    [(NORMAL,) * 3, (COVID19,) * 3, (CAP,) * 3, (COVID19, CAP, NORMAL), (NORMAL, CAP, CAP, NORMAL, NORMAL, NORMAL)],
)
def test_smallest_change_is_that_of_the_rule(labels):
    """Against a search over every way to move tenths between two diagnoses."""
    vote = weighted_vote(labels)
    tenths = [round(10 * w) for w in vote.weights]

    def label_of(normal, cap, covid):
        if covid >= cap and covid >= normal:
            return COVID19
        if cap > covid and cap > normal:
            return CAP
        if covid + cap >= 0.75 * normal:
            return CAP if cap > covid else COVID19
        return NORMAL

    least = None
    for source in range(3):
        for target in {0, 1, 2} - {source}:
            for moved in range(1, tenths[source] + 1):
                changed = list(tenths)
                changed[source] -= moved
                changed[target] += moved
                if label_of(*changed) != vote.label:
                    least = min(moved, least or moved)
                    break
    assert vote.smallest_change == pytest.approx(least / sum(tenths))


def test_rule_that_leans_to_infection_is_named_where_it_decided(factory):
    """Of ten slices in each third six are normal: 12.0 against 9.6, which is more than three quarters."""
    labels = ([NORMAL] * 6 + [COVID19] * 4) * 3
    diagnosis = voters(factory, *labels)
    assert (diagnosis.label, even_label(labels)) == (COVID19, NORMAL)
    note = codes(classification_notes(diagnosis))["vote_leans"]
    assert note.severity == NoteSeverity.WARNING
    assert "it would be normal" in note.message
    for label, of_ten in ((NORMAL, 8), (COVID19, 4)):
        agreed = ([NORMAL] * of_ten + [COVID19] * (10 - of_ten)) * 3
        assert voters(factory, *agreed).label == even_label(agreed) == label
        assert "vote_leans" not in codes(classification_notes(voters(factory, *agreed)))


def test_vote_without_a_lean_takes_infection_on_a_tie():
    assert even_label([NORMAL, COVID19, NORMAL, COVID19, NORMAL, COVID19][::-1]) == COVID19
    assert even_label([CAP, NORMAL]) == CAP
    assert even_label([NORMAL, COVID19, NORMAL]) == NORMAL  # 1.4 against 1.0
    assert even_label([NORMAL, NORMAL, COVID19]) == NORMAL


def test_weights_of_slices_add_up_to_the_vote():
    labels = [NORMAL, CAP, COVID19, COVID19, NORMAL, NORMAL, CAP]
    weights = slice_weights(labels)
    assert weights.tolist() == [0.5, 0.7, 1.0, 1.0, 0.5, 0.5, 0.7]
    assert weighted_vote(labels).total == pytest.approx(weights.sum())


@pytest.mark.parametrize(("count", "said"), [(19, True), (20, False)])
def test_few_slices_are_warned_of(factory, count, said):
    notes = codes(classification_notes(voters(factory, *[NORMAL] * count)))
    assert ("slices_few" in notes) == said
    one = codes(classification_notes(voters(factory, NORMAL)))["slices_few"]
    assert one.message.startswith("Only 1 slice voted")


def test_label_that_is_not_the_most_probable_is_told_with_the_one_that_is(factory):
    rows = [(0.1, 0.4, 0.5)] * 16 + [(0.0, 1.0, 0.0)] * 14
    diagnosis = factory.make_diagnosis([rows[n] for n in np.random.default_rng(1).permutation(30)])
    assert (diagnosis.label, diagnosis.mean_probabilities.argmax()) == (COVID19, CAP)
    note = codes(classification_notes(diagnosis))["diagnosis_not_most_probable"]
    assert f"largest mean probability is that of CAP ({diagnosis.mean_probabilities[CAP]:.2f})" in note.message


@pytest.mark.parametrize(("probability", "said"), [(0.36, True), (0.49, True), (0.51, False)])
def test_unanimous_vote_of_an_undecided_network_is_warned_of(factory, probability, said):
    rest = (1 - probability) / 2
    notes = codes(classification_notes(factory.make_diagnosis([(rest, rest, probability)] * 30)))
    assert ("network_undecided" in notes) == said
    if said:
        assert f"its probability of COVID-19 is {probability:.2f} on average" in notes["network_undecided"].message


@pytest.mark.parametrize(
    ("source", "licence", "severity", "said"),
    [
        (None, None, NoteSeverity.WARNING, "Source and licence of the classifier's weights (net) are not known"),
        (None, "MIT", NoteSeverity.WARNING, "Source of the classifier's weights (net) is not known"),
        ("a paper", None, NoteSeverity.INFO, "Licence of the classifier's weights (net) is not known"),
    ],
)
def test_weights_that_nothing_is_known_of_are_named(factory, source, licence, severity, said):
    diagnosis = voters(factory, *[NORMAL] * 30)
    unknown = dataclasses.replace(diagnosis.classifier, source=source, licence=licence)
    note = codes(classification_notes(dataclasses.replace(diagnosis, classifier=unknown)))["classifier_unknown"]
    assert note.severity == severity
    assert note.message.startswith(said)


def test_other_images_than_the_published_are_told(factory):
    diagnosis = voters(factory, *[NORMAL] * 30)
    other = dataclasses.replace(diagnosis.classifier, description=NetworkDescription(image="without-boundary"))
    notes = codes(classification_notes(dataclasses.replace(diagnosis, classifier=other)))
    assert notes["classifier_image"].message.endswith(": without boundary.")


@pytest.mark.parametrize(
    ("label", "percent", "published", "said"),
    [
        (COVID19, 0.0, False, "COVID-19, and nothing of the lungs is marked"),
        (CAP, 0.49, False, "CAP, and only 0.49 % of the lungs is marked"),
        (CAP, 0.5, False, None),
        (COVID19, 60.0, False, None),
        (NORMAL, 0.0, False, None),
        (NORMAL, 1.0, False, None),
        (NORMAL, 1.1, False, "normal, and 1.1 % of the lungs is marked"),
        (NORMAL, 4.1, True, None),
        (NORMAL, 5.1, True, "normal, and 5.1 % of the lungs is marked"),
    ],
)
def test_diagnosis_and_infection_that_contradict_each_other_are_warned_of(factory, label, percent, published, said):
    notes = contradiction_notes(voters(factory, *[label] * 30), percent, published)
    assert [note.code for note in notes] == ([] if said is None else ["diagnosis_contradicts_infection"])
    assert all(said in note.message and note.severity == NoteSeverity.WARNING for note in notes)
