"""Options of ``analyze`` for lungs and lobes from a network, and what they ask for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.segmentation.lobes.external_lobes import lobes_from_labels
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.segmentation.lungs.lungmask_engine import (
    LTRC_LOBES,
    LungmaskEngine,
    checked_weights,
    lungmask_lobes,
)
from CovidSeverityLib.types import CtVolume

ENGINES = ("default", "lungmask")


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--lung-engine``, ``--lobe-engine`` and their weights."""
    add_lung_engine(parser)
    _add_lobe_engine(parser)


def add_lung_engine(parser: argparse.ArgumentParser) -> None:
    """Add ``--lung-engine`` and its weights."""
    parser.add_argument(
        "--lung-engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="what finds the lungs: our own segmentation, or lungmask's U-Net R231 (extra lungmask)",
    )
    parser.add_argument(
        "--lung-weights", metavar="FILE", help="weights for --lung-engine lungmask; nothing is downloaded"
    )


def _add_lobe_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lobe-engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="what finds the lobes: our own atlas of the fissures, or lungmask's LTRCLobes (extra lungmask)",
    )
    parser.add_argument(
        "--lobe-weights", metavar="FILE", help="weights for --lobe-engine lungmask; nothing is downloaded"
    )


def lung_engine(arguments: argparse.Namespace) -> LungmaskEngine | None:
    """The engine that was asked for; None for the library's own segmentation.

    Raises
    ------
    InputError
        If options contradict each other, or the weights are not what they should be.
    """
    if arguments.lung_engine == ENGINES[0]:
        if arguments.lung_weights is not None:
            raise InputError("--lung-weights is for --lung-engine lungmask")
        return None
    if arguments.lungs is not None:
        raise InputError("--lungs and --lung-engine lungmask exclude each other")
    return LungmaskEngine(arguments.lung_weights)


def runs_lobe_engine(arguments: argparse.Namespace) -> bool:
    """Whether lobes come from an engine and not from the library's own atlas or a file."""
    return arguments.lobe_engine != ENGINES[0]


def lobe_weights(arguments: argparse.Namespace) -> Path | None:
    """The checked weights for lungmask's lobes; None for the library's own lobes, or those of a file.

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
        raise InputError("--lobes and --lobe-engine lungmask exclude each other")
    return checked_weights(LTRC_LOBES, arguments.lobe_weights, None)


def engine_lobes(volume: CtVolume, weights: Path) -> LobeSegmentation:
    """Lobes of lungmask's LTRCLobes with checked ``weights``; raises what :func:`lungmask_lobes` raises."""
    name = f"{LTRC_LOBES.name} ({weights.name})"
    found = lobes_from_labels(lungmask_lobes(volume, weights), volume, name)
    return replace(found, source=f"lungmask {name}")
