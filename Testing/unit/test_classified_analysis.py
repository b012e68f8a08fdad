"""An analysis with a classifier, on a coarse synthetic chest; the classifier is a few lines of the test."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from CovidSeverityLib import InputError, analyze
from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.pipeline import NO_CLASSIFIER, STAGES, classify
from CovidSeverityLib.reporting import build_report
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.segmentation.lungs.lung_segmentation import LungSegmentation
from CovidSeverityLib.types import Diagnosis

SIZE = 48


class LitPart:
    """CAP as likely as much of the image is lit; says that it looked where it is."""

    name, sha256 = "lit part", "12" * 32
    description = NetworkDescription(backbone="EfficientNetB0", size_px=SIZE)

    def __call__(self, images):
        lit = np.clip((images > 40).mean(axis=(1, 2)) * 30, 0.01, 0.98)
        return np.stack([1 - lit, lit, np.full(len(images), 0.01)], axis=1).astype(np.float32)

    def explain(self, images, diagnoses):
        return (images[:, ::8, ::8] / 255).astype(np.float32)


class Silent(LitPart):
    def __call__(self, images):
        return np.full((len(images), 3), np.nan, np.float32)


@pytest.fixture(scope="module")
def lungs(coarse_analysis):
    return LungSegmentation(coarse_analysis.lungs, coarse_analysis.provenance.lungs_from)


@pytest.fixture(scope="module")
def told(coarse_phantom, lungs):
    """``(analysis, calls)`` with a classifier and every call of the progress function."""
    calls = []
    result = analyze(
        coarse_phantom.volume, progress=lambda *call: calls.append(call), lungs=lungs, classifier=LitPart()
    )
    return result, calls


def test_diagnosis_changes_no_number_of_the_severity(told, coarse_analysis):
    with_diagnosis, without = (json.loads(json.dumps(build_report(a))) for a in (told[0], coarse_analysis))
    for report in (with_diagnosis, without):
        for field in ("classification", "classification_reason", "quality"):
            del report[field]
        report["provenance"] = {"configuration": report["provenance"]["configuration"]}
    assert with_diagnosis == without
    np.testing.assert_array_equal(told[0].infection, coarse_analysis.infection)
    mine = {note.code for note in told[0].quality} - {note.code for note in coarse_analysis.quality}
    assert mine == {"classifier_unknown", "probabilities_uncalibrated"}


def test_diagnosis_is_of_the_slices_around_the_middle_with_its_evidence(told, coarse_analysis):
    analysis, _ = told
    diagnosis = analysis.classification
    assert analysis.classification_reason == ""
    assert (diagnosis.classifier.name, diagnosis.label) == ("lit part", Diagnosis.CAP)
    assert len(diagnosis.slices) == 51
    assert all((coarse_analysis.lungs[k] > 0).any() for k in diagnosis.slices)
    assert 1 <= len(diagnosis.evidence) <= 4
    assert {seen.attention.shape for seen in diagnosis.evidence} == {(6, 6)}
    with pytest.raises(ValueError, match="read-only"):
        diagnosis.evidence[0].attention[0, 0] = 0


def test_stages_of_the_diagnosis_come_before_the_scores(told):
    analysis, calls = told
    stages = [stage for stage, _ in itertools.groupby(calls, key=lambda call: call[0])]
    assert stages == [*STAGES[:-1], "classification", "explanation", "scores"]
    slices = [call[1:] for call in calls if call[0] == "classification"]
    assert slices == [(n, 51) for n in (0, 8, 16, 24, 32, 40, 48, 51)]
    assert set(analysis.provenance.seconds) == set(stages)


def test_diagnosis_alone_is_that_of_the_analysis(told, coarse_phantom, lungs):
    found = classify(coarse_phantom.volume, LitPart(), lungs=lungs)
    np.testing.assert_array_equal(found.diagnosis.probabilities, told[0].classification.probabilities)
    assert found.diagnosis.slices == told[0].classification.slices
    for alone, beside in zip(found.diagnosis.evidence, told[0].classification.evidence, strict=True):
        assert alone.index == beside.index
        np.testing.assert_array_equal(alone.attention, beside.attention)
    assert found.lungs_from == lungs.source
    assert set(found.seconds) == {"lungs", "classification", "explanation"}
    assert {note.code for note in found.quality} >= {"pixels_coarse", "probabilities_uncalibrated"}


def test_without_a_classifier_the_reason_says_how_to_get_one(coarse_analysis):
    assert coarse_analysis.classification_reason == NO_CLASSIFIER
    for said in ("covid-severity models add FILE --as NAME", "--classifier NAME"):
        assert said in NO_CLASSIFIER
    assert len(NO_CLASSIFIER) <= 100


def test_scan_whose_middle_shows_no_lung_keeps_its_severity_and_says_why_it_has_no_diagnosis(factory):
    """All slices with lung were interpolated."""
    chest = factory.make_chest()
    acquired = tuple(not plane.any() for plane in chest.lungs)
    volume = factory.make_volume(chest.hu, acquired=acquired)
    masks = {"lungs": LungSegmentation(chest.lungs, "given"), "lobes": LobeSegmentation(chest.lobes, "given", False)}
    result = analyze(volume, **masks, classifier=LitPart())
    assert result.classification is None
    assert result.classification_reason.startswith("None of the slices around the middle of this scan (20 slices)")
    assert result.ctss > 0
    with pytest.raises(InputError, match="none of the slices around the middle"):
        classify(volume, LitPart(), lungs=masks["lungs"])


class Constant(LitPart):
    """The same diagnosis for every slice."""

    def __init__(self, label):
        self.label = label

    def __call__(self, images):
        answer = np.full((len(images), 3), 0.05, np.float32)
        answer[:, self.label] = 0.9
        return answer


@pytest.mark.parametrize("infected", [True, False])
@pytest.mark.parametrize("label", list(Diagnosis))
def test_diagnosis_is_held_against_what_is_marked(factory, infected, label):
    chest = factory.make_chest(infected=infected)
    masks = {"lungs": LungSegmentation(chest.lungs, "given"), "lobes": LobeSegmentation(chest.lobes, "given", False)}
    result = analyze(factory.make_volume(chest.hu), **masks, classifier=Constant(label))
    assert result.infection_percent > 2 if infected else result.infection_percent < 0.1
    contradicted = any(note.code == "diagnosis_contradicts_infection" for note in result.quality)
    assert contradicted == (infected == (label == Diagnosis.NORMAL))


@pytest.mark.slow
def test_classifier_without_an_answer_is_no_result(coarse_phantom, lungs):
    with pytest.raises(InputError, match="the classifier lit part answered values that are no probabilities"):
        classify(coarse_phantom.volume, Silent(), lungs=lungs)


@pytest.mark.slow
def test_nothing_imports_tensorflow_before_a_classifier_is_loaded():
    code = (
        "import sys, CovidSeverityLib.__main__, CovidSeverityLib.pipeline, CovidSeverityLib.reporting;"
        "from CovidSeverityLib.commands.classifiers import choose_classifier;"
        "assert choose_classifier(None).classifier is None and choose_classifier('none').classifier is None;"
        "sys.exit(sum(m in sys.modules for m in ('tensorflow', 'keras', 'h5py', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
