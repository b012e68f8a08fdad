"""``covid-severity analyze``: analyse a CT and write a folder of results."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from CovidSeverityLib.analysis_request import AnalysisRequest, write_analysis
from CovidSeverityLib.api import Analysis
from CovidSeverityLib.io.archives import ARCHIVE_ENDING
from CovidSeverityLib.io.dicom.directory import DIRECTORY_NAME
from CovidSeverityLib.io.dicom.files import DICOM_ENDINGS
from CovidSeverityLib.io.dicomweb.address import PacsStudy
from CovidSeverityLib.io.images import FORMATS
from CovidSeverityLib.reporting import OUTPUT_NAMES, ReportPages, build_report, check_output_folder, summary_text
from CovidSeverityLib.reporting.dicom import DICOM_OUTPUT_NAMES

from .classifiers import add_classifier_option, choose_classifier
from .ct_input import add_independent_slices, add_input, add_lungs, add_printing, add_profile, add_reading, mask_path
from .engines import add_engine_options, analysis_config, engines_of
from .pacs import add_store, chosen_input, store_address, store_objects
from .paths import given_path
from .progress import progress_for, progress_kind

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
    add_profile(parser)
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
    request = _request(arguments)
    target = store_address(arguments)
    chosen = choose_classifier(arguments.classifier)
    wanted = (
        default_output(request.source) if arguments.output is None else given_path(arguments.output, "output folder")
    )
    kind = progress_kind(arguments)
    pages = ReportPages(arguments.html, arguments.pdf, arguments.title, arguments.language)
    folder = check_output_folder(wanted, (*OUTPUT_NAMES, *DICOM_OUTPUT_NAMES))
    try:
        with progress_for(kind, sys.stderr if arguments.json else sys.stdout) as progress:
            result, images = request.run(chosen.classifier, chosen.reason, progress)
            written, lacking = write_analysis(result, images, folder.path, pages, progress)
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


def _request(arguments: argparse.Namespace) -> AnalysisRequest:
    config = analysis_config(arguments)
    source = chosen_input(arguments)
    return AnalysisRequest(
        source,
        config,
        series=arguments.series,
        volume=arguments.volume,
        force=arguments.force,
        independent_slices=arguments.independent_slices,
        lungs=mask_path(arguments.lungs, "lung mask"),
        lobes=mask_path(arguments.lobes, "lobe mask"),
        engines=engines_of(arguments, masked=arguments.lobes is not None),
        dicom=not arguments.no_dicom,
    )


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
