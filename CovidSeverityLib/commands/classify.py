"""``covid-severity classify``: the diagnosis of a CT, without its severity."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from CovidSeverityLib.analysis_request import naming_other_series
from CovidSeverityLib.api import ClassifiedCt, InputError, classify
from CovidSeverityLib.reporting import (
    CLASSIFICATION_OUTPUT_NAMES,
    build_classification,
    check_holds_no_analysis,
    check_output_folder,
    classification_text,
    write_classified,
)

from .classifiers import add_classifier_option, choose_classifier
from .ct_input import add_input, add_lungs, add_printing, add_reading, mask_path, reading_request
from .engines import add_lung_engine, lung_engine
from .pacs import chosen_input
from .paths import given_path
from .progress import progress_for, progress_kind


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Classify the slices of a chest CT with a network. The slices vote on COVID-19, community-acquired "
        "pneumonia or normal. This needs a file of weights and TensorFlow: "
        'pip install "covid-severity[classify]".'
    )
    add_input(parser)
    add_classifier_option(parser, optional=False)
    add_lungs(parser)
    add_lung_engine(parser)
    add_reading(parser)
    names = ", ".join(CLASSIFICATION_OUTPUT_NAMES)
    parser.add_argument("-o", "--output", metavar="OUT", help=f"folder for {names} (default: no files)")
    add_printing(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raise :class:`~CovidSeverityLib.errors.InputError` for errors that the user can correct."""
    source, lungs = chosen_input(arguments), mask_path(arguments.lungs, "lung mask")
    request = reading_request(arguments, source, lungs, lung_engine(arguments))
    wanted = None if arguments.output is None else given_path(arguments.output, "output folder")
    if wanted is not None:
        check_holds_no_analysis(wanted)
    chosen = choose_classifier(arguments.classifier)
    if chosen.classifier is None:
        raise InputError(f"there is nothing to classify with: {chosen.reason[0].lower()}{chosen.reason[1:-1]}")
    folder = None if wanted is None else check_output_folder(wanted, CLASSIFICATION_OUTPUT_NAMES)
    kind = progress_kind(arguments)
    try:
        with progress_for(kind, sys.stderr if arguments.json else sys.stdout) as progress:
            volume, _ = request.read(progress)
            with naming_other_series(volume):
                lungs = request.lungs_of(volume)
                found = classify(volume, chosen.classifier, progress, lungs=lungs, force=request.force)
            if folder is not None:
                write_classified(found, folder.path, progress)
    except BaseException:
        if folder is not None:
            folder.discard_if_empty()
        raise
    _say(arguments, found, None if folder is None else folder.path)


def _say(arguments: argparse.Namespace, found: ClassifiedCt, folder: Path | None) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(build_classification(found), indent=2, allow_nan=False) + "\n")
    if arguments.quiet:
        return
    if arguments.json or arguments.progress == "json":
        text = "\n".join(f"{note.severity.value}: {note.message}" for note in found.quality)
        sys.stderr.write(text + "\n" if text else "")
    else:
        where = "" if folder is None else f"Results are in {folder}\n"
        sys.stdout.write(f"{classification_text(found)}\n{where}")
