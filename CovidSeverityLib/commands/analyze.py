"""``covid-severity analyze``: a CT in, a folder of results out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from CovidSeverityLib.config import PROFILES, AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.given_lobes import lobes_from_labels
from CovidSeverityLib.io import read_ct, read_mask
from CovidSeverityLib.pipeline import analyze
from CovidSeverityLib.preprocessing.given_lungs import lungs_from_labels
from CovidSeverityLib.reporting import build_report, check_output_folder, summary_text, write_results
from CovidSeverityLib.results import Analysis
from CovidSeverityLib.types import Progress

from .progress import progress_for

OUTPUT_SUFFIX = "-covid-severity"
"""Results go to a folder of the input's name with this behind it, unless another is named."""

IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add this command to the command line."""
    parser = commands.add_parser(
        "analyze",
        help="analyse a chest CT and write the results to a folder",
        description="Find lungs, lobes and infection in a chest CT, score its severity and write "
        "segmentation.seg.nrrd, report.json, lobes.csv, slices.csv and overview.png.",
    )
    parser.add_argument("input", metavar="INPUT", help="DICOM folder, or a .nii, .nii.gz, .nrrd or .mha file")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help=f"folder for the results (default: ./<INPUT>{OUTPUT_SUFFIX})"
    )
    parser.add_argument("--profile", default="default", help=f"{' or '.join(PROFILES)} (the published method)")
    parser.add_argument("--lungs", metavar="FILE", help="lung mask on the CT's grid: 1 right, 2 left, or one label")
    parser.add_argument(
        "--lobes", metavar="FILE", help="lobe mask on the CT's grid: labels of lungmask LTRCLobes or TotalSegmentator"
    )
    parser.add_argument("--series", metavar="UID", help="SeriesInstanceUID, where a folder holds several series")
    parser.add_argument(
        "--force", action="store_true", help="interpolate missing slices instead of refusing the series"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON on standard output")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors (and what --json asks for)")
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="json: one object a line (stage, done, total) on standard output, on standard error together with --json",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raises :class:`~CovidSeverityLib.errors.InputError` for what the user can put right."""
    config = AnalysisConfig.for_profile(arguments.profile)
    folder = check_output_folder(arguments.output or default_output(arguments.input))
    kind = "none" if arguments.quiet and arguments.progress == "bar" else arguments.progress
    try:
        with progress_for(kind, sys.stderr if arguments.json else sys.stdout) as progress:
            result = _analyze(arguments, config, progress)
            write_results(result, folder.path, progress)
    except BaseException:
        folder.discard_if_empty()
        raise
    _say(arguments, result, folder.path)


def default_output(given: str) -> Path:
    """The folder for the results of ``given`` where none is named: in the current folder, after the input's name."""
    name = Path(given).resolve().name
    ending = next((e for e in IMAGE_ENDINGS if name.lower().endswith(e)), "")
    return Path((name[: len(name) - len(ending)] or "ct") + OUTPUT_SUFFIX)


def _analyze(arguments: argparse.Namespace, config: AnalysisConfig, progress: Progress | None) -> Analysis:
    if arguments.lobes and config.slice_scores is not None:
        raise InputError(f"--lobes cannot be used with --profile {config.profile}, which cuts its own regions")
    volume = read_ct(arguments.input, series_uid=arguments.series, force=arguments.force, progress=progress)
    lungs = lobes = None
    if arguments.lungs:
        lungs = lungs_from_labels(read_mask(arguments.lungs, volume), volume, Path(arguments.lungs).name)
    if arguments.lobes:
        lobes = lobes_from_labels(read_mask(arguments.lobes, volume), volume, Path(arguments.lobes).name)
    return analyze(volume, config, progress, lungs=lungs, lobes=lobes)


def _say(arguments: argparse.Namespace, result: Analysis, folder: Path) -> None:
    if arguments.json:
        print(json.dumps(build_report(result), indent=2, allow_nan=False))  # noqa: T201
    if arguments.quiet:
        return
    if arguments.json or arguments.progress == "json":
        text = "\n".join(f"{note.severity.value}: {note.message}" for note in result.quality)
        sys.stderr.write(text + "\n" if text else "")
    else:
        sys.stdout.write(f"{summary_text(result)}\nResults are in {folder}\n")
