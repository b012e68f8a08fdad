"""``covid-severity compare``: what changed between two CTs of one person."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from CovidSeverityLib.analysis_request import naming_other_series
from CovidSeverityLib.api import analyze
from CovidSeverityLib.config import PROFILES, AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.followup.comparison import Comparison, compare_examinations
from CovidSeverityLib.followup.examination import Examination, PersonMark
from CovidSeverityLib.followup.files import COMPARISON_OUTPUT_NAMES, write_comparison_files
from CovidSeverityLib.followup.finished import is_finished_result, read_finished_result
from CovidSeverityLib.followup.report import build_comparison
from CovidSeverityLib.followup.summary import comparison_text
from CovidSeverityLib.io.reading import read_ct_and_source
from CovidSeverityLib.reporting.output_folder import check_output_folder
from CovidSeverityLib.types import Progress

from .ct_input import add_printing
from .paths import existing_path, given_path
from .progress import progress_for, progress_kind

INPUT = "a CT, as analyze takes it, or a folder with the results of analyze"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Register the lungs of two CTs of one person and write what changed: comparison.json, lobe_changes.csv, "
        "changes.seg.nrrd (new, resolved and persistent opacity on the later CT) and comparison.png."
    )
    parser.add_argument("before", metavar="BEFORE", help=f"the earlier examination: {INPUT}")
    parser.add_argument("after", metavar="AFTER", help="the later examination, likewise")
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, help="folder for the comparison; an earlier one is replaced"
    )
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="default",
        metavar="NAME",
        help=f"{' or '.join(PROFILES)}: how CTs are analysed; results must have been made with the same",
    )
    for which in ("before", "after"):
        parser.add_argument(
            f"--{which}-series", metavar="UID", help=f"SeriesInstanceUID of the series of {which.upper()} to read"
        )
    parser.add_argument(
        "--force",
        action="store_true",
        help="compare with a warning what is refused otherwise: patient IDs that differ, lungs that do not fit; "
        "for CTs also as for analyze",
    )
    add_printing(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raise :class:`~CovidSeverityLib.errors.InputError` for errors that the user can correct."""
    config = AnalysisConfig.for_profile(arguments.profile)
    before, after = (
        existing_path(text, f"file or folder {which}")
        for text, which in ((arguments.before, "BEFORE"), (arguments.after, "AFTER"))
    )
    wanted = given_path(arguments.output, "output folder")
    _refuse_results_as_output(wanted, before, after)
    folder = check_output_folder(wanted, COMPARISON_OUTPUT_NAMES)
    try:
        with progress_for(progress_kind(arguments), sys.stderr if arguments.json else sys.stdout) as progress:
            examinations = (
                _examination(before, config, arguments.before_series, arguments.force, progress),
                _examination(after, config, arguments.after_series, arguments.force, progress),
            )
            comparison = compare_examinations(*examinations, progress=progress, force=arguments.force)
            write_comparison_files(comparison, folder.path, progress)
    except BaseException:
        folder.discard_if_empty()
        raise
    _say(arguments, comparison, folder.path)


def _refuse_results_as_output(folder: Path, *inputs: Path) -> None:
    """Two kinds of results in one folder would be taken for each other."""
    if any(path.is_dir() and folder.exists() and path.samefile(folder) for path in inputs):
        raise InputError(f"the output folder {folder.name} is one of the inputs; choose another folder")


def _examination(
    source: Path, config: AnalysisConfig, series: str | None, force: bool, progress: Progress | None
) -> Examination:
    """Read a finished result, or read and analyse a CT."""
    if source.is_dir() and is_finished_result(source):
        if series is not None:
            raise InputError(f"{source.name} is a finished result; a series is chosen in DICOM only")
        return read_finished_result(source)
    volume, images = read_ct_and_source(source, series_uid=series, force=force, progress=progress, keep_headers=True)
    with naming_other_series(volume):
        found = analyze(volume, config, progress, force=force)
    return Examination.of(found, PersonMark() if images is None else PersonMark(images.patient_id, images.day))


def _say(arguments: argparse.Namespace, comparison: Comparison, folder: Path) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(build_comparison(comparison), indent=2, allow_nan=False) + "\n")
    if arguments.quiet:
        return
    if arguments.json or arguments.progress == "json":
        notes = [f"{note.severity.value}: {note.message}" for note in comparison.quality]
        sys.stderr.write("".join(f"{note}\n" for note in notes))
    else:
        sys.stdout.write(f"{comparison_text(comparison)}\nThe comparison is in {folder}\n")
