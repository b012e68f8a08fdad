"""Run each ``covid-severity evaluate`` with its options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType

from CovidSeverityLib.classification.loading import open_classifier
from CovidSeverityLib.config import AnalysisConfig, mask_config
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.case_names import match_names
from CovidSeverityLib.evaluation.cases import Case, Failure, cases_named, pair_with
from CovidSeverityLib.evaluation.diagnosis_labels import DiagnosisLabels, read_diagnoses, read_diagnosis_predictions
from CovidSeverityLib.evaluation.extras import require
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.outputs import Outputs
from CovidSeverityLib.evaluation.paper.ablation import evaluate_ablation
from CovidSeverityLib.evaluation.paper.ablation_report import ablation_outputs
from CovidSeverityLib.evaluation.paper.classification import classified_cases, evaluate_classification
from CovidSeverityLib.evaluation.paper.classification_report import classification_outputs
from CovidSeverityLib.evaluation.paper.ctss_tables import match_ctss, read_ctss_predictions, read_ctss_truth
from CovidSeverityLib.evaluation.paper.segmentation import LungsUsed, Protocol, evaluate_segmentation
from CovidSeverityLib.evaluation.paper.segmentation_report import segmentation_outputs
from CovidSeverityLib.evaluation.paper.severity import evaluate_severity, lobe_columns, severity_scores
from CovidSeverityLib.evaluation.paper.severity_report import severity_outputs
from CovidSeverityLib.evaluation.paper.slice_lists import SliceList, parse_slice_list
from CovidSeverityLib.evaluation.reports import RunFacts, counted
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES, PUBLISHED_CLASSIFICATION_IMAGE
from CovidSeverityLib.io.image_search import find_images, find_masks
from CovidSeverityLib.types import Diagnosis

from .evaluation_run import EvaluationPlan, listed, path_mark, run_plan, write_evaluation
from .paths import existing_path, folder_and_pattern

PROTOCOLS = tuple(protocol.value for protocol in Protocol)


def segmentation(arguments: argparse.Namespace) -> None:
    """Run ``evaluate segmentation``."""
    protocol = Protocol(arguments.protocol)
    lungs = None if arguments.in_lungs is None else LungsUsed(arguments.in_lungs)
    if lungs not in (None, LungsUsed.OWN) and arguments.lungs is None:
        raise InputError(f"--in-lungs {lungs.value} needs lung masks: --lungs DIR")
    _run_masked(
        arguments,
        "segmentation",
        partial(evaluate_segmentation, config=mask_config(arguments.profile)),
        lambda records, facts: segmentation_outputs(records, protocol, facts),
        {"lungs": lungs, "independent_slices": arguments.independent_slices},
    )


def ablation(arguments: argparse.Namespace) -> None:
    """Run ``evaluate ablation``."""
    protocol = Protocol(arguments.protocol)
    image = PUBLISHED_CLASSIFICATION_IMAGE
    _run_masked(
        arguments,
        "ablation",
        partial(evaluate_ablation, mask=mask_config(arguments.profile), image=image),
        lambda records, facts: ablation_outputs(records, protocol, facts),
    )


def _run_masked(
    arguments: argparse.Namespace,
    what: str,
    evaluate: partial[Record],
    finish: Callable[[Mapping[str, Record], RunFacts], Outputs],
    options: Mapping[str, str | bool | None] = MappingProxyType({}),
) -> None:
    """Run an evaluation with masks; ``options`` and the configurations of ``evaluate`` determine its records."""
    require("scipy")
    masked = _MaskedCases(arguments)
    configurations = {
        name: config.as_dict() if isinstance(config, AnalysisConfig) else asdict(config)
        for name, config in evaluate.keywords.items()
    }
    used = {f"option {name}": value for name, value in options.items()}
    run_plan(
        EvaluationPlan(
            names=tuple(masked.cases),
            evaluate=lambda name: evaluate(masked.cases[name], slices=masked.slices, labels=masked.labels, **options),
            finish=finish,
            made_with={"evaluation": what, "configuration": configurations, **masked.made_with, **used},
            failures=masked.failures,
            profile=arguments.profile,
            remarks=masked.remarks,
        ),
        arguments,
    )


def ctss(arguments: argparse.Namespace) -> None:
    """Run ``evaluate ctss``."""
    require("scipy", "statsmodels", "pingouin")
    config = AnalysisConfig.for_profile(arguments.profile)
    truth = None if arguments.truth is None else read_ctss_truth(existing_path(arguments.truth, "table of true scores"))
    if arguments.predictions is not None:
        pairs = match_ctss(read_ctss_predictions(existing_path(arguments.predictions, "table of scores")), truth)
        facts = RunFacts(None, len(pairs.cases), len(pairs.failures))
        write_evaluation(severity_outputs(pairs, facts, {}), pairs.failures, arguments)
        return
    if truth is None:
        raise InputError("--images needs the radiologists' scores: --truth CSV")
    cases, failures, remarks = _named_cases(arguments.images, truth)

    def outputs(records: Mapping[str, Record], facts: RunFacts) -> Outputs:
        extra = {
            **lobe_columns(records, tuple(records)),
            **{key: [record[key] for record in records.values()] for key in ("infection_percent", "seconds")},
        }
        return severity_outputs(severity_scores(truth, records), facts, extra)

    run_plan(
        EvaluationPlan(
            names=tuple(cases),
            evaluate=lambda name: evaluate_severity(cases[name], config),
            finish=outputs,
            made_with={
                "evaluation": "ctss",
                "configuration": config.as_dict(),
                "images": path_mark(Path(arguments.images)),
            },
            failures=failures,
            profile=arguments.profile,
            remarks=remarks,
        ),
        arguments,
    )


def classification(arguments: argparse.Namespace) -> None:
    """Run ``evaluate classification``."""
    require("scipy", "sklearn")
    labels = read_diagnoses(existing_path(arguments.labels, "table of labels"))
    if arguments.predictions is not None:
        _classification_of_predictions(labels, arguments)
        return
    if arguments.classifier is None:
        raise InputError("--images needs the weights of a classifier: --classifier NAME or FILE")
    classifier = open_classifier(arguments.classifier)
    cases, failures, remarks = _named_cases(arguments.images, labels.by_case)
    config = CLASSIFICATION_IMAGES[arguments.image or classifier.description.image]

    def outputs(records: Mapping[str, Record], facts: RunFacts) -> Outputs:
        found = {name: Diagnosis(record["label"]) for name, record in records.items()}
        scores = {name: record["scores"] for name, record in records.items()}
        extra = {key: [record[key] for record in records.values()] for key in ("slices", "seconds")}
        return classification_outputs(classified_cases(labels.by_case, found, scores), facts, extra, labels.layout)

    run_plan(
        EvaluationPlan(
            names=tuple(cases),
            evaluate=lambda name: evaluate_classification(cases[name], classifier, config),
            finish=outputs,
            made_with={
                "evaluation": "classification",
                "configuration": asdict(config),
                "images": path_mark(Path(arguments.images)),
                "classifier": classifier.sha256,
            },
            failures=failures,
            remarks=remarks,
        ),
        arguments,
    )


def _classification_of_predictions(labels: DiagnosisLabels, arguments: argparse.Namespace) -> None:
    predicted = read_diagnosis_predictions(existing_path(arguments.predictions, "table of predictions"))
    matches = match_names(labels.by_case, predicted)
    if not matches.pairs:
        raise InputError("the predictions and the labels have no case in common")
    found = {name: predicted[matches.pairs[name]] for name in labels.by_case if name in matches.pairs}
    failures = tuple(
        Failure(name, f"more than one prediction may be meant: {listed(matches.unclear[name])}")
        if name in matches.unclear
        else Failure(name, "no prediction has this name")
        for name in labels.by_case
        if name not in matches.pairs
    )
    cases = classified_cases(
        labels.by_case,
        {name: p.label for name, p in found.items()},
        {name: p.scores for name, p in found.items()},
    )
    facts = RunFacts(None, len(found), len(failures))
    write_evaluation(classification_outputs(cases, facts, {}, labels.layout), failures, arguments)


class _MaskedCases:
    """The cases of an evaluation with masks, and the options that select what is compared."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        folders = {
            name: folder_and_pattern(getattr(arguments, name), f"folder of {name}")
            for name in ("images", "masks", "lungs")
            if getattr(arguments, name) is not None
        }
        self.slices = SliceList() if arguments.slices is None else parse_slice_list(arguments.slices)
        self.labels = _labels(arguments.mask_labels)
        self.made_with = {
            "slices": asdict(self.slices),
            "mask-labels": self.labels,
            **{name: _mark(folders.get(name)) for name in ("images", "masks", "lungs")},
        }
        masks, lungs = find_masks(*folders["masks"]), find_masks(*folders["lungs"]) if "lungs" in folders else {}
        images = _without_lungs(find_images(*folders["images"]), lungs)
        listed_images = {name: path for name, path in images.items() if self.slices.has(name)}
        self.cases, failures = _masked_cases(listed_images, masks, lungs)
        unlisted = tuple(Failure(name, "no image has this name") for name in self.slices.unknown(images))
        self.failures = (*failures, *unlisted)
        self.remarks = _unused_masks(pair_with(images, masks, "mask")[0], masks)


def _mark(place: tuple[Path, str] | None) -> str | None:
    return None if place is None else path_mark(place[0] if place[1] == "*" else place[0] / place[1])


def _masked_cases(
    images: Mapping[str, Path], masks: Mapping[str, Path], lungs: Mapping[str, Path]
) -> tuple[Mapping[str, Case], tuple[Failure, ...]]:
    with_mask, failures = pair_with(images, masks, "mask")
    with_lungs: Mapping[str, Path] = {}
    if lungs:
        with_lungs, without = pair_with({name: images[name] for name in with_mask}, lungs, "lung mask")
        failures = (*failures, *without)
    failed = {failure.case for failure in failures}
    cases = {
        name: Case(name, images[name], mask, with_lungs.get(name))
        for name, mask in with_mask.items()
        if name not in failed
    }
    return cases, failures


def _without_lungs(images: Mapping[str, Path], lungs: Mapping[str, Path]) -> Mapping[str, Path]:
    """``images`` without lung masks whose folder is inside the folder of the images."""
    others = set(lungs.values())
    return {name: path for name, path in images.items() if path not in others} or images


def _unused_masks(used: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[str, ...]:
    unused = tuple(name for name, path in masks.items() if path not in used.values())
    return (f"{counted(len(unused), 'mask')} without an image ({listed(unused)})",) if unused else ()


def _named_cases(
    folder: str, names: Mapping[str, object]
) -> tuple[Mapping[str, Case], tuple[Failure, ...], tuple[str, ...]]:
    """Cases by their name in the table, names without an image, and a remark on images that are not in the table."""
    images = find_images(existing_path(folder, "folder of images"))
    cases, failures, unnamed = cases_named(images, names)
    remarks = (f"the table does not name {counted(len(unnamed), 'image')} ({listed(unnamed)})",) if unnamed else ()
    return {case.name: case for case in cases}, failures, remarks


def _labels(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        labels = tuple(sorted({int(item) for item in text.split(",")}))
    except ValueError:
        labels = ()
    if not labels or labels[0] < 1:
        raise InputError(f"--mask-labels {text!r} is no list of labels; whole numbers from 1 on are needed, as in 1,2")
    return labels
