"""The input of a command: options that choose the CT and how it is read."""

from __future__ import annotations

import argparse
from pathlib import Path

from CovidSeverityLib.analysis_request import AnalysisRequest
from CovidSeverityLib.config import PROFILES
from CovidSeverityLib.io.dicomweb.address import PacsStudy
from CovidSeverityLib.segmentation.engines import Engines
from CovidSeverityLib.segmentation.lungs.lungmask_engine import LungmaskEngine

from .pacs import add_study
from .paths import existing_path


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the CT."""
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="folder with DICOM files, DICOMDIR, .nii, .nii.gz, .hdr, .nrrd or .mha file, a .zip archive of one, or "
        "dicomweb:URL for a study of a PACS",
    )


def add_lungs(parser: argparse.ArgumentParser) -> None:
    """Add ``--lungs``."""
    parser.add_argument("--lungs", metavar="FILE", help="lung mask of this CT: 1 right and 2 left, or one label")


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add ``--profile``."""
    parser.add_argument(
        "--profile",
        default=PROFILES[0],
        metavar="NAME",
        help=f"{' or '.join(PROFILES)}: the method of this program, or the published method as its authors run it",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add ``--study``, ``--series``, ``--volume`` and ``--force``."""
    add_study(parser)
    parser.add_argument(
        "--series", metavar="UID", help="SeriesInstanceUID of the series to read (default: the best for the lungs)"
    )
    parser.add_argument(
        "--volume",
        metavar="N",
        type=int,
        help="number of the volume to read, if a series or a folder contains several (default: 1, the best)",
    )
    add_force(parser)


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add ``--force``."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="interpolate missing slices and analyse CTs that are upside down, instead of refusing them",
    )


def add_independent_slices(parser: argparse.ArgumentParser) -> None:
    """Add ``--independent-slices``."""
    parser.add_argument(
        "--independent-slices",
        action="store_true",
        help="the slices do not belong together (for example, they are of several patients): analyse each slice "
        "separately, without lobes and score; a single slice is always analysed in this way",
    )


def add_printing(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, ``--quiet`` and ``--progress``."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON on standard output")
    parser.add_argument(
        "--quiet", action="store_true", help="print only errors and the output of --json or --progress json"
    )
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="bar: on a terminal (default); json: one object per line with stage, done and total, "
        "on standard output, or on standard error together with --json",
    )


def mask_path(text: str | None, what: str) -> Path | None:
    """The existing file of a mask; None where the option is not used."""
    return None if text is None else existing_path(text, what)


def reading_request(
    arguments: argparse.Namespace,
    source: Path | PacsStudy,
    lungs: Path | None = None,
    engine: LungmaskEngine | None = None,
) -> AnalysisRequest:
    """The CT that the options of :func:`add_reading` choose, to be read and not analysed."""
    return AnalysisRequest(
        source,
        series=arguments.series,
        volume=arguments.volume,
        force=arguments.force,
        lungs=lungs,
        engines=Engines(engine),
        dicom=False,
    )
