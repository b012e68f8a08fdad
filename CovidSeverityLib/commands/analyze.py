"""``covid-severity analyze``: a CT in, a folder of results out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from CovidSeverityLib.config import PROFILES, AnalysisConfig
from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.features.given_lobes import lobes_from_labels
from CovidSeverityLib.io import read_ct, read_mask
from CovidSeverityLib.pipeline import analyze
from CovidSeverityLib.preprocessing.given_lungs import lungs_from_labels
from CovidSeverityLib.preprocessing.lungmask_engine import LungmaskEngine
from CovidSeverityLib.reporting import OUTPUT_NAMES, build_report, check_output_folder, summary_text, write_results
from CovidSeverityLib.results import Analysis
from CovidSeverityLib.types import CtVolume, Progress

from .engines import add_engine_options, engine_lobes, lobe_weights, lung_engine, runs_lobe_engine
from .paths import existing_path, given_path
from .progress import progress_for

OUTPUT_SUFFIX = "-covid-severity"
"""Results go to a folder of the input's name with this behind it, unless another is named."""

IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")

SERIES_CHOSEN = "series_chosen"
"""Code of the reader's note that a folder holds several series."""


def add_parser(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add this command to the command line; returns its parser."""
    parser = commands.add_parser(
        "analyze",
        help="analyse a chest CT and write the results to a folder",
        description="Find lungs, lobes and infection in a chest CT, score its severity and write "
        "segmentation.seg.nrrd, report.json, lobes.csv, slices.csv and overview.png.",
    )
    parser.add_argument("input", metavar="INPUT", help="DICOM folder, or a .nii, .nii.gz, .nrrd or .mha file")
    _add_input_options(parser)
    add_engine_options(parser)
    _add_output_options(parser)
    parser.set_defaults(run=run)
    return parser


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help=f"folder for the results; those of an earlier run are replaced (default: INPUT{OUTPUT_SUFFIX} here)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON on standard output")
    parser.add_argument(
        "--quiet", action="store_true", help="print errors only, and what --json or --progress json asks for"
    )
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="bar: on a terminal (default); json: one object a line with stage, done and total, "
        "on standard output, or on standard error together with --json",
    )


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        default="default",
        metavar="NAME",
        help=f"{' or '.join(PROFILES)}: our best score, or the published method as its authors run it",
    )
    parser.add_argument("--lungs", metavar="FILE", help="lung mask of this CT: 1 right and 2 left, or a single label")
    parser.add_argument(
        "--lobes",
        metavar="FILE",
        help="lobe mask of this CT: 1-5 as from lungmask's LTRCLobes or 10-14 as from TotalSegmentator",
    )
    parser.add_argument(
        "--series", metavar="UID", help="SeriesInstanceUID to read from a folder (default: the CT with most slices)"
    )
    parser.add_argument(
        "--force", action="store_true", help="interpolate missing slices instead of refusing the series"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raises :class:`~CovidSeverityLib.errors.InputError` for what the user can put right."""
    config = _config(arguments)
    source = existing_path(arguments.input, "file or folder")
    for mask, what in ((arguments.lungs, "lung mask"), (arguments.lobes, "lobe mask")):
        if mask is not None:
            existing_path(mask, what)
    engine, weights = lung_engine(arguments), lobe_weights(arguments)
    wanted = default_output(source) if arguments.output is None else given_path(arguments.output, "output folder")
    kind = "none" if arguments.quiet and arguments.progress == "bar" else arguments.progress
    folder = check_output_folder(wanted, OUTPUT_NAMES)
    try:
        with progress_for(kind, sys.stderr if arguments.json else sys.stdout) as progress:
            result = _analyze(arguments, source, config, engine, weights, progress)
            write_results(result, folder.path, progress)
    except BaseException:
        folder.discard_if_empty()
        raise
    _say(arguments, result, folder.path)


def default_output(source: Path) -> Path:
    """The folder for the results of ``source`` where none is named: in the current folder, after the input's name."""
    name = (source.resolve() if source.name in ("", "..") else source).name
    ending = next((e for e in IMAGE_ENDINGS if name.lower().endswith(e)), "")
    return Path((name[: len(name) - len(ending)] or "ct") + OUTPUT_SUFFIX)


def _config(arguments: argparse.Namespace) -> AnalysisConfig:
    config = AnalysisConfig.for_profile(arguments.profile)
    for option, used in (("--lobes", arguments.lobes is not None), ("--lobe-engine", runs_lobe_engine(arguments))):
        if used and config.slice_scores is not None:
            raise InputError(f"{option} cannot be used with --profile {config.profile}, which cuts its own regions")
    return config


def _analyze(
    arguments: argparse.Namespace,
    source: Path,
    config: AnalysisConfig,
    engine: LungmaskEngine | None,
    weights: Path | None,
    progress: Progress | None,
) -> Analysis:
    volume = read_ct(source, series_uid=arguments.series, force=arguments.force, progress=progress)
    lungs, lobes = engine, None
    if arguments.lungs:
        lungs = lungs_from_labels(read_mask(arguments.lungs, volume), volume, Path(arguments.lungs).name)
    if arguments.lobes:
        lobes = lobes_from_labels(read_mask(arguments.lobes, volume), volume, Path(arguments.lobes).name)
    elif weights:
        lobes = engine_lobes(volume, weights)
    try:
        return analyze(volume, config, progress, lungs=lungs, lobes=lobes)
    except NoLungsError as error:
        raise NoLungsError(f"{error}{_other_series(volume)}") from error


def _other_series(volume: CtVolume) -> str:
    """What to add where the wrong one of several series may have been read."""
    notes = "; ".join(note.message for note in volume.notes if note.code == SERIES_CHOSEN)
    return f" ({notes}; --series chooses another)" if notes else ""


def _say(arguments: argparse.Namespace, result: Analysis, folder: Path) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(build_report(result), indent=2, allow_nan=False) + "\n")
    if arguments.quiet:
        return
    if arguments.json or arguments.progress == "json":
        text = "\n".join(f"{note.severity.value}: {note.message}" for note in result.quality)
        sys.stderr.write(text + "\n" if text else "")
    else:
        sys.stdout.write(f"{summary_text(result)}\nResults are in {folder}\n")
