"""The input of a command: options that choose the CT and how it is read."""

from __future__ import annotations

import argparse
from pathlib import Path

from CovidSeverityLib.api import CtVolume, LungSegmentation, lungs_from_labels, read_mask
from CovidSeverityLib.io.dicomweb.address import PacsStudy
from CovidSeverityLib.io.dicomweb.receiving import read_study_and_source
from CovidSeverityLib.io.reading import read_ct_and_source
from CovidSeverityLib.segmentation.lungs.lung_segmentation import LungSegmenter
from CovidSeverityLib.types import Progress

from .pacs import add_study


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


def read_volume(arguments: argparse.Namespace, source: Path | PacsStudy, progress: Progress | None) -> CtVolume:
    """The CT that the options choose; errors as in :func:`~CovidSeverityLib.io.reading.read_ct`."""
    common = {"volume": arguments.volume, "force": arguments.force, "progress": progress, "keep_headers": False}
    if isinstance(source, PacsStudy):
        return read_study_and_source(source, **common)[0]
    return read_ct_and_source(source, series_uid=arguments.series, **common)[0]


def chosen_lungs(
    arguments: argparse.Namespace, volume: CtVolume, engine: LungSegmenter | None
) -> LungSegmentation | LungSegmenter | None:
    """The mask of ``--lungs``; without this option ``engine``."""
    if not arguments.lungs:
        return engine
    return lungs_from_labels(read_mask(arguments.lungs, volume), volume, Path(arguments.lungs).name)
