"""Options of commands for lungs and lobes from a network or an installed program, and the engines that they choose."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from CovidSeverityLib.classification.store.installed import installed_weights
from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.segmentation.engines import Engines, LobeEngine, LungmaskLobes
from CovidSeverityLib.segmentation.lobes.command_engine import PRESETS, read_lobe_command
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
    """Add ``--lung-engine``, ``--lobe-engine``, their weights, and ``--compare-lobes-with``."""
    add_lung_engine(parser)
    parser.add_argument(
        "--lobe-engine",
        metavar="NAME|FILE",
        default=DEFAULT,
        help="engine for the lobes: default (the fissure atlas of this program), lungmask (its LTRCLobes, extra "
        "lungmask, with weights from covid-severity models download lungmask-lobes), an installed "
        f"{' or '.join(PRESETS)}, or a JSON file that describes another installed segmenter (docs/inputs.md)",
    )
    parser.add_argument("--lobe-weights", metavar="FILE", help="file of weights for --lobe-engine lungmask")
    parser.add_argument(
        "--compare-lobes-with",
        metavar="NAME|FILE",
        help="a second engine for the lobes, as for --lobe-engine: the report tells how both agree, and the ranges of "
        "the scores cover both",
    )


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


def engines_of(arguments: argparse.Namespace, *, masked: bool) -> Engines:
    """The chosen engines.

    Parameters
    ----------
    arguments : Namespace
        With the options of :func:`add_engine_options`.
    masked : bool
        Whether every CT has lobes from a mask, which come before those of an engine.

    Raises
    ------
    InputError
        If options contradict each other, the weights are not those of an engine, an engine is not installed or its
        description unusable, there is none of that name, or lobes would be compared with themselves.
    """
    lungs, lobes, asked = lung_engine(arguments), _scored_lobes(arguments), arguments.compare_lobes_with
    compared = None if asked is None else _lobe_engine(asked, None)
    if compared == lobes and not masked:
        raise InputError(f"--compare-lobes-with {asked} is the engine that finds the lobes; another one is needed")
    return Engines(lungs, lobes, compared)


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


def _scored_lobes(arguments: argparse.Namespace) -> LobeEngine:
    asked, weights = arguments.lobe_engine, arguments.lobe_weights
    if weights is not None and asked not in LOBE_ENGINES:
        raise InputError("--lobe-weights is for --lobe-engine lungmask")
    if asked != DEFAULT and arguments.lobes is not None:
        raise InputError(f"--lobes and --lobe-engine {asked} exclude each other")
    return _lobe_engine(asked, weights)


def _lobe_engine(asked: str, weights: str | None) -> LobeEngine:
    """The engine of that name or description, with given weights instead of those of the installed model."""
    if asked == DEFAULT:
        return OwnLobes()
    if asked in LOBE_ENGINES:
        model = LOBE_ENGINES[asked]
        return LungmaskLobes(checked_weights(model, _weights(model, weights), None))
    if asked in PRESETS:
        found = PRESETS[asked]
    elif asked.lower().endswith(".json"):
        found = read_lobe_command(asked)
    else:
        names = ", ".join((DEFAULT, *LOBE_ENGINES, *PRESETS))
        raise InputError(f"no lobe engine {asked!r}; there are {names}, and JSON files that describe one")
    found.program()
    return found


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
    used = {
        "--lobes": arguments.lobes is not None,
        "--lobe-engine": arguments.lobe_engine != DEFAULT,
        "--compare-lobes-with": arguments.compare_lobes_with is not None,
    }
    if config.scoring.own_regions and any(used.values()):
        option = next(name for name in used if used[name])
        raise InputError(f"{option} cannot be used with --profile {config.profile}, which cuts its own regions")
    return config
