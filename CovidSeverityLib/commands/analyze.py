"""``covid-severity analyze``: analyse a CT and write a folder of results."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from CovidSeverityLib.api import Analysis, AnalysisConfig, InputError, analyze, lobes_from_labels, read_mask
from CovidSeverityLib.config import PROFILES
from CovidSeverityLib.io.archives import ARCHIVE_ENDING
from CovidSeverityLib.io.dicom.directory import DIRECTORY_NAME
from CovidSeverityLib.io.dicom.files import DICOM_ENDINGS
from CovidSeverityLib.io.images import FORMATS
from CovidSeverityLib.reporting import (
    OUTPUT_NAMES,
    PDF_NAME,
    FileWriter,
    ReportPages,
    build_report,
    check_output_folder,
    report_pdf,
    summary_text,
    write_results,
)
from CovidSeverityLib.reporting.dicom import (
    DICOM_OUTPUT_NAMES,
    PdfDocument,
    dicom_objects,
    dicom_writers,
    has_dicom_extra,
)
from CovidSeverityLib.segmentation.lungs.lungmask_engine import LungmaskEngine
from CovidSeverityLib.types import Progress

from .classifiers import ChosenClassifier, add_classifier_option, choose_classifier
from .ct_input import (
    add_independent_slices,
    add_input,
    add_lungs,
    add_printing,
    add_reading,
    chosen_lungs,
    naming_other_series,
    read_volume_and_source,
)
from .engines import add_engine_options, engine_lobes, lobe_weights, lung_engine, runs_lobe_engine
from .pacs import add_store, chosen_input, store_address, store_objects
from .paths import existing_path, given_path
from .progress import progress_for, progress_kind

if TYPE_CHECKING:
    from CovidSeverityLib.io.dicom.source import DicomSource
    from CovidSeverityLib.io.dicomweb.address import PacsStudy

OUTPUT_SUFFIX = "-covid-severity"
"""The default folder for results is the name of the input followed by this."""

INPUT_ENDINGS = (*FORMATS, *(ending for ending in DICOM_ENDINGS if ending), ARCHIVE_ENDING)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Segment lungs, lobes and opacities in a chest CT and score its severity. Write "
        "segmentation.seg.nrrd, report.json, lobes.csv, slices.csv, histogram.csv, overview.png and report.html. With "
        "a classifier also diagnose COVID-19, community-acquired pneumonia or normal and write classification.png. "
        "From DICOM also write a Segmentation and a structured report to dicom/ (with --pdf also the report), with the "
        "patient's identifiers as the input has them."
    )
    add_input(parser)
    _add_input_options(parser)
    add_engine_options(parser)
    _add_output_options(parser)
    parser.set_defaults(run=run)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="folder for the results; results of an earlier run are replaced "
        f"(default: INPUT{OUTPUT_SUFFIX} in the current folder)",
    )
    parser.add_argument(
        "--no-html", dest="html", action="store_false", help="do not write report.html, the report for browsers"
    )
    parser.add_argument(
        "--pdf", action="store_true", help="write report.pdf too, with the same content (needs the package reportlab)"
    )
    parser.add_argument(
        "--title",
        default="",
        metavar="TEXT",
        help="what report.html and report.pdf call the CT; without it they do not tell whose CT it is",
    )
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="language of report.html and report.pdf, if there is a translation to it (default: en)",
    )
    parser.add_argument(
        "--no-dicom",
        action="store_true",
        help="write no DICOM objects; otherwise they are written if the input is DICOM and highdicom is installed",
    )
    add_store(parser)
    add_printing(parser)


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        default="default",
        metavar="NAME",
        help=f"{' or '.join(PROFILES)}: the method of this program, or the published method as its authors run it",
    )
    add_lungs(parser)
    parser.add_argument(
        "--lobes",
        metavar="FILE",
        help="lobe mask of this CT, with the labels of lungmask's LTRCLobes (1-5) or of TotalSegmentator (10-14)",
    )
    add_classifier_option(parser, optional=True)
    add_independent_slices(parser)
    add_reading(parser)


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raise :class:`~CovidSeverityLib.errors.InputError` for errors that the user can correct."""
    config = _config(arguments)
    source, target = chosen_input(arguments), store_address(arguments)
    for mask, what in ((arguments.lungs, "lung mask"), (arguments.lobes, "lobe mask")):
        if mask is not None:
            existing_path(mask, what)
    engine, weights = lung_engine(arguments), lobe_weights(arguments)
    chosen = choose_classifier(arguments.classifier)
    wanted = default_output(source) if arguments.output is None else given_path(arguments.output, "output folder")
    kind = progress_kind(arguments)
    pages = ReportPages(arguments.html, arguments.pdf, arguments.title, arguments.language)
    folder = check_output_folder(wanted, (*OUTPUT_NAMES, *DICOM_OUTPUT_NAMES))
    try:
        with progress_for(kind, sys.stderr if arguments.json else sys.stdout) as progress:
            result, images = _analyze(arguments, source, config, engine, weights, chosen, progress)
            with _no_garbage_collection():
                extra, lacking = ({}, "") if arguments.no_dicom else _dicom(result, images, pages)
                written = write_results(result, folder.path, progress, pages=pages, extra=extra)
    except BaseException:
        folder.discard_if_empty()
        raise
    _say(arguments, result, folder.path, lacking)
    if target is not None:
        store_objects(arguments, target, written, folder.path, lacking)


def default_output(source: Path | PacsStudy) -> Path:
    """The default folder for the results of ``source``: in the current folder, named after the input.

    A DICOMDIR has the name of its folder.
    """
    if not isinstance(source, Path):
        return Path(source.name + OUTPUT_SUFFIX)
    if source.name.upper() == DIRECTORY_NAME:
        source = source.resolve().parent
    name = (source.resolve() if source.name in ("", "..") else source).name
    ending = next((e for e in sorted(INPUT_ENDINGS, key=len, reverse=True) if name.lower().endswith(e)), "")
    return Path((name[: len(name) - len(ending)] or "ct") + OUTPUT_SUFFIX)


def _config(arguments: argparse.Namespace) -> AnalysisConfig:
    config = AnalysisConfig.for_profile(arguments.profile)
    for option, used in (("--lobes", arguments.lobes is not None), ("--lobe-engine", runs_lobe_engine(arguments))):
        if used and config.scoring.own_regions:
            raise InputError(f"{option} cannot be used with --profile {config.profile}, which cuts its own regions")
    return config


def _analyze(
    arguments: argparse.Namespace,
    source: Path | PacsStudy,
    config: AnalysisConfig,
    engine: LungmaskEngine | None,
    weights: Path | None,
    chosen: ChosenClassifier,
    progress: Progress | None,
) -> tuple[Analysis, DicomSource | None]:
    wanted = not arguments.no_dicom and has_dicom_extra()
    volume, images = read_volume_and_source(arguments, source, progress, keep_headers=wanted)
    with naming_other_series(volume):
        lungs, lobes = chosen_lungs(arguments, volume, engine), None
        if arguments.lobes:
            lobes = lobes_from_labels(read_mask(arguments.lobes, volume), volume, Path(arguments.lobes).name)
        elif weights:
            lobes = engine_lobes(volume, weights)
        result = analyze(
            volume,
            config,
            progress,
            lungs=lungs,
            lobes=lobes,
            classifier=chosen.classifier,
            force=arguments.force,
            independent_slices=arguments.independent_slices,
        )
    return (replace(result, classification_reason=chosen.reason) if chosen.reason else result), images


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect no garbage: a DICOM object has half a million parts, and looking through them takes a third of its time.

    It concerns the whole process, therefore only a command may do it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _dicom(result: Analysis, images: DicomSource | None, pages: ReportPages) -> tuple[dict[str, FileWriter], str]:
    """Writers of the DICOM objects and of the PDF that is in one of them, and the reason why there are no objects."""
    if images is None:
        return {}, ""
    writers: dict[str, FileWriter] = {}
    document = None
    if pages.pdf:  # drawn once: both files have the same bytes
        document = PdfDocument(report_pdf(result, pages), pages.title)
        writers[PDF_NAME] = partial(_write_bytes, document.content)
    try:
        return writers | dicom_writers(dicom_objects(result, images, document=document)), ""
    except InputError as error:
        return writers, f"No DICOM objects were written, because {error}."


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _say(arguments: argparse.Namespace, result: Analysis, folder: Path, lacking: str) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(build_report(result), indent=2, allow_nan=False) + "\n")
    if arguments.quiet:
        return
    if arguments.json or arguments.progress == "json":
        notes = [f"{note.severity.value}: {note.message}" for note in result.quality]
        text = "\n".join([*notes, *([lacking] if lacking else [])])
        sys.stderr.write(text + "\n" if text else "")
    else:
        sys.stdout.write(f"{summary_text(result)}\nResults are in {folder}\n" + (f"{lacking}\n" if lacking else ""))
