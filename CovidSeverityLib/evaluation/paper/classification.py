"""Diagnoses compared with the truth: tables 5 and 6 of the paper, one row per patient."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.classification.diagnosis import ExplainingClassifier, diagnose
from CovidSeverityLib.evaluation.cases import Case
from CovidSeverityLib.evaluation.estimates import Estimate, bootstrap, mean_estimate
from CovidSeverityLib.evaluation.extras import require
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.outputs import finite_or_none
from CovidSeverityLib.features.classification_image import ClassificationImageConfig
from CovidSeverityLib.io import read_ct
from CovidSeverityLib.preprocessing.orientation import check_orientation
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.types import Diagnosis

MEASURES = ("precision", "sensitivity", "f1", "auc")
"""Measures of one class against the others, in the order of the table."""


@dataclass(frozen=True)
class ClassifiedCases:
    """Truth and prediction of the same cases, in the same order.

    ``scores`` are (N, 3) in the order of :class:`Diagnosis`; None if a case has only a label.
    """

    cases: tuple[str, ...]
    truth: tuple[Diagnosis, ...]
    predicted: tuple[Diagnosis, ...]
    scores: NDArray[np.float64] | None


@dataclass(frozen=True)
class ClassSummary:
    """One class against the others; ``roc`` has false and true positive rates, None without a curve."""

    cases: int
    measures: Mapping[str, Estimate]
    roc: tuple[NDArray[np.float64], NDArray[np.float64]] | None


@dataclass(frozen=True)
class ClassificationSummary:
    """``confusion`` is (3, 3): rows are the truth, columns the prediction, in the order of :class:`Diagnosis`."""

    confusion: NDArray[np.int64]
    accuracy: Estimate
    classes: Mapping[Diagnosis, ClassSummary]


def evaluate_classification(case: Case, classifier: ExplainingClassifier, config: ClassificationImageConfig) -> Record:
    """Classify a CT with images of ``config``.

    Raises
    ------
    InputError
        Errors of reading, of the lungs, and of :func:`~.diagnosis.diagnose`.
    """
    began = time.perf_counter()
    volume = read_ct(case.image)
    check_orientation(volume)
    size_px = classifier.description.size_px
    lung = segment_lungs(volume).labels > 0
    found = diagnose(volume.hu, lung, classifier, config, size_px=size_px, acquired=volume.acquired)
    return {
        "label": int(found.label),
        "scores": [round(float(score), 6) for score in found.scores],
        "slices": len(found.slices),
        "seconds": round(time.perf_counter() - began, 3),
    }


def classified_cases(
    truth: Mapping[str, Diagnosis],
    labels: Mapping[str, Diagnosis],
    scores: Mapping[str, Sequence[float] | None],
) -> ClassifiedCases:
    """Predictions by case with the truth, in the order of ``labels``."""
    names = tuple(labels)
    rows = [scores.get(name) for name in names]
    return ClassifiedCases(
        cases=names,
        truth=tuple(truth[name] for name in names),
        predicted=tuple(labels[name] for name in names),
        scores=None
        if any(row is None for row in rows)
        else np.array(rows, dtype=np.float64).reshape(-1, len(Diagnosis)),
    )


def summarise_classification(cases: ClassifiedCases) -> ClassificationSummary:
    """Confusion matrix, accuracy, and every class against the others.

    Raises
    ------
    InputError
        If a library of the extra ``evaluate`` is missing.
    """
    require("scipy", "sklearn")
    from sklearn.metrics import confusion_matrix

    truth, predicted = np.array(cases.truth, dtype=int), np.array(cases.predicted, dtype=int)
    classes = {n: _class_summary(n, truth, predicted, cases.scores) for n in Diagnosis}
    return ClassificationSummary(
        confusion=confusion_matrix(truth, predicted, labels=list(map(int, Diagnosis))),
        accuracy=mean_estimate((truth == predicted).astype(float).tolist()),
        classes=MappingProxyType(classes),
    )


def _class_summary(
    which: Diagnosis, truth: NDArray[np.int64], predicted: NDArray[np.int64], scores: NDArray[np.float64] | None
) -> ClassSummary:
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score, roc_curve

    is_class, found = truth == which, predicted == which
    undefined: Any = np.nan  # scikit-learn has no types: pyright takes the default "warn" for the only one
    values: Any = precision_recall_fscore_support(is_class, found, average="binary", zero_division=undefined)
    measures = {
        name: replace(bootstrap([is_class, found], statistic), value=finite_or_none(float(value)))
        for (name, statistic), value in zip(_RATIOS.items(), values, strict=False)
    }
    if scores is None or not is_class.any() or is_class.all():
        measures["auc"] = Estimate(None, None, None, len(truth))
        return ClassSummary(int(is_class.sum()), MappingProxyType(measures), None)
    area = bootstrap([is_class, scores[:, which]], roc_areas)
    measures["auc"] = replace(area, value=float(roc_auc_score(is_class, scores[:, which])))
    false_rate, true_rate, _ = roc_curve(is_class, scores[:, which])
    return ClassSummary(int(is_class.sum()), MappingProxyType(measures), (false_rate, true_rate))


# The following functions are for many resamples at once. scikit-learn gives the values, but for one sample at a time.


def roc_areas(is_class: NDArray[np.bool_], score: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Areas under ROC curves, from ranks (Hanley 1982, doi 10.1148/radiology.143.1.7063747)."""
    from scipy import stats

    inside = np.sum(is_class, axis=axis)
    outside = is_class.shape[axis] - inside
    ranks = np.sum(stats.rankdata(score, axis=axis) * is_class, axis=axis)
    return (ranks - inside * (inside + 1) / 2) / (inside * outside)


def _precision(is_class: NDArray, found: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return np.sum(is_class & found, axis=axis) / np.sum(found, axis=axis)


def _sensitivity(is_class: NDArray, found: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return np.sum(is_class & found, axis=axis) / np.sum(is_class, axis=axis)


def _f1(is_class: NDArray, found: NDArray, axis: int = -1) -> NDArray[np.float64]:
    return 2 * np.sum(is_class & found, axis=axis) / (np.sum(is_class, axis=axis) + np.sum(found, axis=axis))


_RATIOS = {"precision": _precision, "sensitivity": _sensitivity, "f1": _f1}
"""In the order of scikit-learn's ``precision_recall_fscore_support``."""
