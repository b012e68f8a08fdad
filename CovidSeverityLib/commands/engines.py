"""Options of ``analyze`` for lungs and lobes from a network, and the engines that they choose."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from CovidSeverityLib.classification.store.installed import installed_weights
from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.segmentation.lobes.command_engine import PRESETS, LobeCommand, read_lobe_command
from CovidSeverityLib.segmentation.lobes.values import OwnLobes
from CovidSeverityLib.segmentation.lungs.lungmask_engine import (
    LTRC_LOBES,
    R231,
    R231_COVID,
    LungmaskEngine,
    PublishedModel,
    checked_weights,
)

DEFAULT = "default"

LUNG_ENGINES: Mapping[str, PublishedModel] = {"lungmask": R231, "lungmask-covid": R231_COVID}
LOBE_ENGINES: Mapping[str, PublishedModel] = {"lungmask": LTRC_LOBES}
"""Networks of lungmask by the values of ``--lung-engine`` and ``--lobe-engine``."""


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--lung-engine``, ``--lobe-engine`` and their weights."""
    add_lung_engine(parser)
    _add_lobe_engine(parser)


def add_lung_engine(parser: argparse.ArgumentParser) -> None:
    """Add ``--lung-engine`` and its weights."""
    parser.add_argument(
        "--lung-engine",
        choices=(DEFAULT, *LUNG_ENGINES),
        default=DEFAULT,
        help="engine for the lungs: the segmentation of this program, or lungmask's U-Net R231 or R231CovidWeb (extra "
        "lungmask), with weights from covid-severity models download lungmask-r231 or lungmask-covid",
    )
    parser.add_argument("--lung-weights", metavar="FILE", help="file of weights for --lung-engine lungmask")


def _add_lobe_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lobe-engine",
        metavar="NAME|FILE",
        default=DEFAULT,
        help="engine for the lobes: default (the fissure atlas of this program), lungmask (its LTRCLobes, extra "
        "lungmask, with weights from covid-severity models download lungmask-lobes), an installed "
        f"{' or '.join(PRESETS)}, or a JSON file that describes another installed segmenter (docs/inputs.md)",
    )
    parser.add_argument("--lobe-weights", metavar="FILE", help="file of weights for --lobe-engine lungmask")


def lung_engine(arguments: argparse.Namespace) -> LungmaskEngine | None:
    """The chosen engine; None for the library's own segmentation.

    Raises
    ------
    InputError
        If options contradict each other, or the weights are not those of the engine.
    """
    if arguments.lung_engine == DEFAULT:
        if arguments.lung_weights is not None:
            raise InputError("--lung-weights is for --lung-engine lungmask")
        return None
    if arguments.lungs is not None:
        raise InputError("--lungs and --lung-engine lungmask exclude each other")
    model = LUNG_ENGINES[arguments.lung_engine]
    return LungmaskEngine(_weights(model, arguments.lung_weights), model=model)


def runs_lobe_engine(arguments: argparse.Namespace) -> bool:
    """Whether the lobes come from an engine, and neither from the library's own atlas nor from a file."""
    return arguments.lobe_engine != DEFAULT


def lobe_weights(arguments: argparse.Namespace) -> Path | None:
    """The checked weights for lungmask's lobes; None if the lobes are the library's own or come from a file.

    Raises
    ------
    InputError
        As :func:`lung_engine`.
    """
    if not runs_lobe_engine(arguments):
        if arguments.lobe_weights is not None:
            raise InputError("--lobe-weights is for --lobe-engine lungmask")
        return None
    if arguments.lobes is not None:
        raise InputError(f"--lobes and --lobe-engine {arguments.lobe_engine} exclude each other")
    if arguments.lobe_engine not in LOBE_ENGINES:
        if arguments.lobe_weights is not None:
            raise InputError("--lobe-weights is for --lobe-engine lungmask")
        return None
    model = LOBE_ENGINES[arguments.lobe_engine]
    return checked_weights(model, _weights(model, arguments.lobe_weights), None)


def lobe_command(arguments: argparse.Namespace) -> LobeCommand | None:
    """The installed segmenter for the lobes; None if another engine finds them.

    Raises
    ------
    InputError
        If it is not installed, its description is unusable, or there is no such engine.
    """
    return _described(arguments.lobe_engine)


def compared_lobes(arguments: argparse.Namespace) -> LobeCommand | Path | OwnLobes | None:
    """The second engine for the lobes, of ``--compare-lobes-with``.

    Raises
    ------
    InputError
        As :func:`lobe_command` and :func:`lobe_weights`, or it is the first engine.
    """
    asked = arguments.compare_lobes_with
    if asked is None:
        return None
    if asked == arguments.lobe_engine and arguments.lobes is None:
        raise InputError(f"--compare-lobes-with {asked} is the engine that finds the lobes; another one is needed")
    if asked in LOBE_ENGINES:
        model = LOBE_ENGINES[asked]
        return checked_weights(model, _weights(model, None), None)
    return _described(asked) or OwnLobes()


def _described(asked: str) -> LobeCommand | None:
    """The installed segmenter of that name or description; None for engines of the library."""
    if asked == DEFAULT or asked in LOBE_ENGINES:
        return None
    if asked in PRESETS:
        found = PRESETS[asked]
    elif asked.lower().endswith(".json"):
        found = read_lobe_command(asked)
    else:
        names = ", ".join((DEFAULT, *LOBE_ENGINES, *PRESETS))
        raise InputError(f"no lobe engine {asked!r}; there are {names}, and JSON files that describe one")
    found.program()
    return found


def add_compared_lobes(parser: argparse.ArgumentParser) -> None:
    """Add ``--compare-lobes-with``."""
    parser.add_argument(
        "--compare-lobes-with",
        metavar="NAME|FILE",
        help="a second engine for the lobes, as for --lobe-engine: the report tells how both agree, and the ranges of "
        "the scores cover both",
    )


def _weights(model: PublishedModel, given: str | None) -> str | Path | None:
    """The given file, or that of the installed model; None for what lungmask has fetched earlier."""
    return installed_weights(model.model) if given is None else given


def analysis_config(arguments: argparse.Namespace) -> AnalysisConfig:
    """The configuration of ``--profile``.

    Raises
    ------
    InputError
        There is no such profile, or it cuts its own regions and lobes are given.
    """
    config = AnalysisConfig.for_profile(arguments.profile)
    lobes = getattr(arguments, "lobes", None) is not None
    compared = getattr(arguments, "compare_lobes_with", None) is not None
    options = (("--lobes", lobes), ("--lobe-engine", runs_lobe_engine(arguments)), ("--compare-lobes-with", compared))
    for option, used in options:
        if used and config.scoring.own_regions:
            raise InputError(f"{option} cannot be used with --profile {config.profile}, which cuts its own regions")
    return config
