"""``covid-severity corrected``: the report of masks that a person corrected in 3D Slicer."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from CovidSeverityLib.correction.corrections_file import StoredCorrections
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.reporting import FileWriter, ReportPages, check_output_folder, report_pdf, write_together
from CovidSeverityLib.reporting.corrected_findings import CorrectedFindings, corrected_findings

from .ct_input import add_input, add_printing, add_reading, reading_request
from .paths import existing_path, given_path
from .progress import progress_for, progress_kind

PAGE_NAME, PDF_NAME = "corrected_report.html", "corrected_report.pdf"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        f"Write {PAGE_NAME}, the report of masks that a person corrected. The module for 3D Slicer runs this command "
        "when it saves a report: it makes the file for --masks."
    )
    add_input(parser)
    parser.add_argument("--masks", metavar="FILE", required=True, help="the corrected masks (.npz) of this CT")
    parser.add_argument("--report", metavar="FILE", required=True, help="report.json of the analysis of this CT")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="folder for the page")
    parser.add_argument("--pdf", action="store_true", help=f"write {PDF_NAME} too (needs the package reportlab)")
    parser.add_argument("--title", default="", metavar="TEXT", help="what the page calls the CT")
    parser.add_argument("--language", metavar="CODE", help="language of the page (default: en)")
    add_reading(parser)
    add_printing(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raise :class:`~CovidSeverityLib.errors.InputError` for errors that the user can correct."""
    source = existing_path(arguments.input, "file or folder")
    report = _report(existing_path(arguments.report, "report"))
    corrections = StoredCorrections.read(existing_path(arguments.masks, "file of masks"))
    pages = ReportPages(True, arguments.pdf, arguments.title, arguments.language)
    names = (PAGE_NAME, PDF_NAME) if arguments.pdf else (PAGE_NAME,)
    folder = check_output_folder(given_path(arguments.output, "output folder"), names)
    try:
        with progress_for(progress_kind(arguments), sys.stderr if arguments.json else sys.stdout) as progress:
            volume, _ = reading_request(arguments, source).read(progress)
            try:
                found = corrected_findings(volume, corrections, report)
            except (KeyError, TypeError) as error:
                raise InputError(f"{arguments.report} is not the report of an analysis ({error} is missing)") from error
            writers: dict[str, FileWriter] = {PAGE_NAME: partial(_write_page, found, pages)}
            if arguments.pdf:
                writers[PDF_NAME] = lambda path: path.write_bytes(report_pdf(found, pages))
            write_together(folder.path, writers, progress)
    except BaseException:
        folder.discard_if_empty()
        raise
    _say(arguments, found, folder.path)


def _report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(report, dict):
        raise InputError(f"{path} is not the report of an analysis")
    return report


def _write_page(found: CorrectedFindings, pages: ReportPages, path: Path) -> None:
    from CovidSeverityLib.reporting.html import html_text

    path.write_text(html_text(found, title=pages.title, language=pages.language), encoding="utf-8", newline="\n")


def _say(arguments: argparse.Namespace, found: CorrectedFindings, folder: Path) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps({"ctss": found.ctss, "automatic_ctss": found.automatic.ctss}) + "\n")
    elif not arguments.quiet and arguments.progress != "json":
        sys.stdout.write(f"Corrected CTSS {found.ctss}, by the analysis {found.automatic.ctss}; {folder / PAGE_NAME}\n")
