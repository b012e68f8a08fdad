"""``covid-severity train``: train a classifier on CTs with known diagnoses."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from CovidSeverityLib.classification.description import NETWORK_SIZE_PX
from CovidSeverityLib.classification.keras.architecture import import_keras
from CovidSeverityLib.classification.training.augmentation import AugmentationConfig
from CovidSeverityLib.classification.training.cases import TrainingCase
from CovidSeverityLib.classification.training.config import KERAS_WEIGHTS, NO_WEIGHTS, TrainingConfig
from CovidSeverityLib.classification.training.preparation import PreparedCases, prepare_images
from CovidSeverityLib.classification.training.run import finish, given_up_before, network_for, train
from CovidSeverityLib.classification.training.split import TooFewPatientsError
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.cases import Failure, cases_named
from CovidSeverityLib.evaluation.diagnosis_labels import read_diagnoses, read_patients
from CovidSeverityLib.evaluation.outputs import FAILURES_NAME, csv_writer, failure_table
from CovidSeverityLib.evaluation.reports import counted
from CovidSeverityLib.evaluation.training.report import TRAINING_NAMES, TrainingReport
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES
from CovidSeverityLib.io.image_search import find_images
from CovidSeverityLib.reporting import OutputFolder, check_output_folder, write_together

from .evaluation_run import listed
from .paths import existing_path, given_path
from .progress import progress_for, progress_kind

BACKBONES = ("EfficientNetB5", "EfficientNetB0", "EfficientNetB1", "ResNet50", "ResNet101")
SHORT_BACKBONES = {"B0": "EfficientNetB0", "B1": "EfficientNetB1", "B5": "EfficientNetB5"}

AUGMENTATION_OPTIONS = (
    ("mirror", "share of the images whose left and right are exchanged"),
    ("shift", "largest shift, share of the edge"),
    ("rotation_deg", "largest rotation, degrees"),
    ("gain", "largest change of the grey values, share"),
    ("copies", "versions of each training slice for a frozen backbone, the unchanged one included"),
)
"""Fields of :class:`AugmentationConfig` with their help."""

CACHE_NAME = "cache"
"""Default folder for images, inside the folder of the results."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Train a network to diagnose COVID-19, community-acquired pneumonia or normal, and measure it on "
        "patients that were not used for training. Write weights.hdf5, manifest.json, a model card (README.md), "
        "history.csv, curves.png, split.csv, failures.csv and summary.json. It needs "
        'pip install "covid-severity[classify]".'
    )
    parser.add_argument(
        "--images", metavar="DIR", required=True, help="folder of CTs: image files, DICOM folders or .zip archives"
    )
    parser.add_argument(
        "--labels",
        metavar="CSV",
        required=True,
        help="diagnosis of every CT: columns case and label, and patient if patients have several CTs (default: "
        "every CT is of a different patient); also the layouts of evaluate classification",
    )
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="folder for the results")
    _add_network_options(parser)
    _add_fitting_options(parser)
    _add_augmentation_options(parser)
    _add_run_options(parser)
    parser.set_defaults(run=run)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument(
        "--backbone",
        metavar="NAME",
        type=lambda text: SHORT_BACKBONES.get(text, text),
        choices=BACKBONES,
        default=BACKBONES[0],
        help=f"{', '.join(BACKBONES)}, or {', '.join(SHORT_BACKBONES)} for short (default: %(default)s)",
    )
    group.add_argument(
        "--size",
        metavar="PX",
        type=int,
        default=NETWORK_SIZE_PX,
        help="edge length of the network's image in pixels (default: %(default)s, as published)",
    )
    group.add_argument(
        "--image",
        metavar="NAME",
        choices=tuple(CLASSIFICATION_IMAGES),
        default=next(iter(CLASSIFICATION_IMAGES)),
        help=f"{', '.join(CLASSIFICATION_IMAGES)} (default: %(default)s)",
    )
    group.add_argument(
        "--imagenet",
        metavar="keras|FILE|none",
        help="first weights of the backbone: ImageNet's weights, which Keras downloads once (keras), those of a file "
        "as Keras publishes them (efficientnetb5_notop.h5), or random weights (none; default). Only keras uses the "
        "network",
    )
    group.add_argument(
        "--freeze",
        action="store_true",
        help="train only the dense layers and not the backbone; fast, because the backbone processes each slice once",
    )


def _add_fitting_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    plain = TrainingConfig()
    for name, kind, text in (
        ("epochs", int, "largest number of epochs"),
        ("patience", int, "training stops after so many epochs without a lower validation loss"),
        ("batch_size", int, "slices per step"),
        ("learning_rate", float, "learning rate of Adam (beta 1 is 0.5)"),
        ("validation", float, "share of the patients that decide when training stops"),
        ("test", float, "share of the patients that measure the result"),
        ("seed", int, "seed of the split, the first weights, the order of slices and their changes"),
    ):
        group.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="N" if kind is int else "X",
            type=kind,
            default=getattr(plain, name),
            help=f"{text} (default: %(default)s)",
        )


def _add_augmentation_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("changes of the training images, new in every epoch")
    plain = AugmentationConfig()
    for name, text in AUGMENTATION_OPTIONS:
        default = getattr(plain, name)
        group.add_argument(
            f"--{name.removesuffix('_deg')}",
            dest=name,
            metavar="N" if isinstance(default, int) else "X",
            type=type(default),
            help=f"{text} (default: {default})",
        )
    group.add_argument("--no-augmentation", action="store_true", help="train with the images as they are")


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument("--resume", action="store_true", help="continue an interrupted training")
    group.add_argument(
        "--cache",
        metavar="DIR",
        help=f"folder for the images, which several trainings may share (default: OUT/{CACHE_NAME})",
    )
    group.add_argument(
        "--jobs",
        metavar="N",
        type=int,
        help="number of CTs processed at the same time, 2 GB of memory each (default: by cores and memory)",
    )
    group.add_argument("--json", action="store_true", help="print the summary as JSON on standard output")
    group.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    group.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="bar: on a terminal (default); json: one object per line with stage, done, total and seconds_left",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raise :class:`~CovidSeverityLib.errors.InputError` for errors that the user can correct."""
    config = _config(arguments)
    if arguments.jobs is not None and arguments.jobs < 1:
        raise InputError(f"{arguments.jobs} jobs; a whole number from 1 on is needed")
    cases, failures, layout, remarks = _cases(arguments)
    import_keras()  # before hours of work on images
    folder = check_output_folder(given_path(arguments.output, "output folder"), TRAINING_NAMES)
    try:
        given_up = given_up_before(folder.path, config, arguments.resume)
        cache = _cache(arguments, folder)
        try:
            report = _train(arguments, cases, failures, layout, config, (folder.path, cache.path), given_up)
        finally:
            cache.discard_if_empty()
    except BaseException:
        folder.discard_if_empty()
        raise
    _say(arguments, report, remarks, folder.path)


def _config(arguments: argparse.Namespace) -> TrainingConfig:
    imagenet = NO_WEIGHTS if arguments.imagenet is None else arguments.imagenet
    if arguments.freeze and imagenet == NO_WEIGHTS:
        raise InputError(
            "--freeze keeps the weights that the backbone begins with, and random ones see nothing: --imagenet keras "
            "downloads ImageNet's, --imagenet FILE takes those of a file"
        )
    if imagenet not in (NO_WEIGHTS, KERAS_WEIGHTS):
        existing_path(imagenet, "file of ImageNet's weights")
    names = ("freeze", "epochs", "patience", "batch_size", "learning_rate", "validation", "test", "seed")
    return TrainingConfig(
        network=network_for(arguments.backbone, arguments.size, arguments.image, imagenet),
        imagenet=imagenet,
        augmentation=_augmentation(arguments),
        **{name: getattr(arguments, name) for name in names},
    )


def _augmentation(arguments: argparse.Namespace) -> AugmentationConfig | None:
    given = {name: getattr(arguments, name) for name, _ in AUGMENTATION_OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    if not arguments.no_augmentation:
        return AugmentationConfig(**given)
    if given:
        option = next(iter(given)).removesuffix("_deg")
        raise InputError(f"--no-augmentation leaves the images as they are, so --{option} has no use: leave one out")
    return None


def _cases(
    arguments: argparse.Namespace,
) -> tuple[tuple[TrainingCase, ...], tuple[Failure, ...], str, tuple[str, ...]]:
    """CTs with their truth, cases of the table without an image, the layout of the table, and remarks."""
    table = existing_path(arguments.labels, "table of labels")
    labels, patients = read_diagnoses(table), read_patients(table)
    images = find_images(existing_path(arguments.images, "folder of images"))
    found, failures, unnamed = cases_named(images, labels.by_case)
    cases = tuple(TrainingCase(c.name, c.image, labels.by_case[c.name], patients[c.name]) for c in found)
    remarks = (f"the table does not name {counted(len(unnamed), 'image')} ({listed(unnamed)})",) if unnamed else ()
    return cases, failures, labels.layout, remarks


def _cache(arguments: argparse.Namespace, folder: OutputFolder) -> OutputFolder:
    path = folder.path / CACHE_NAME if arguments.cache is None else given_path(arguments.cache, "folder of the cache")
    return check_output_folder(path)


def _train(
    arguments: argparse.Namespace,
    cases: Sequence[TrainingCase],
    failures: tuple[Failure, ...],
    layout: str,
    config: TrainingConfig,
    folders: tuple[Path, Path],
    given_up: Mapping[str, str],
) -> TrainingReport:
    """Prepare, train and write; ``folders`` are the folder of the results and the folder of the cache."""
    folder, cache = folders
    kind = progress_kind(arguments)
    with progress_for(kind, sys.stderr if arguments.json else sys.stdout, of_cases=True) as progress:
        tried = [case for case in cases if case.name not in given_up]
        image = CLASSIFICATION_IMAGES[config.network.image]
        prepared = prepare_images(tried, image, config.network.size_px, cache, arguments.jobs, progress)
        reasons = {**given_up, **prepared.failures}
        failures = (*failures, *(Failure(c.name, reasons[c.name]) for c in cases if c.name in reasons))
        try:
            trained = train(cases, PreparedCases(prepared.images, reasons), config, cache, folder, progress)
        except TooFewPatientsError as error:
            if not failures:
                raise
            write_together(folder, {FAILURES_NAME: csv_writer(failure_table(failures))})
            raise InputError(f"{error}; {counted(len(failures), 'CT')} failed, {FAILURES_NAME} says why") from error
        report = TrainingReport(trained, failures, layout)
        write_together(folder, report.writers())
    finish(folder)
    return report


def _say(arguments: argparse.Namespace, report: TrainingReport, remarks: Sequence[str], folder: Path) -> None:
    config = report.trained.config
    if config.imagenet == NO_WEIGHTS:
        remarks = (*remarks, "the backbone began at random weights; ImageNet's (--imagenet) need far fewer CTs")
    if config.test == 0:
        remarks = (*remarks, "no patient was kept for a test; the validation chose the epoch, which flatters it")
    for remark in remarks:
        sys.stderr.write(f"note: {remark}\n")
    if report.failures:
        names = listed(tuple(failure.case for failure in report.failures))
        number = counted(len(report.failures), "CT")
        sys.stderr.write(f"warning: {number} failed ({names}): {FAILURES_NAME} says why\n")
    if arguments.json:
        sys.stdout.write(json.dumps(report.summary(), indent=2, allow_nan=False) + "\n")
    elif not arguments.quiet and arguments.progress != "json":
        sys.stdout.write(f"{report.headline()}\nResults are in {folder}\n")
