"""The classifier that a command is asked for, or takes by itself, found and loaded before a CT is read."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from CovidSeverityLib.classification.diagnosis import ExplainingClassifier
from CovidSeverityLib.classification.loading import open_classifier
from CovidSeverityLib.classification.store.installed import installed_models
from CovidSeverityLib.errors import InputError

SWITCHED_OFF = "none"
"""What ``--classifier`` takes for no classifier. A file of this name is ``./none``."""

DEFAULT_NAME = "default"
"""The installed model of this name is taken where none is named, and several are installed."""

NONE_INSTALLED = "No classifier weights installed: covid-severity models add FILE --as NAME, then --classifier NAME."
"""Fits a line of the summary."""

LEFT_OUT = f"The diagnosis was left out: --classifier {SWITCHED_OFF}."


@dataclass(frozen=True)
class ChosenClassifier:
    """A loaded classifier, or the reason why there is none."""

    classifier: ExplainingClassifier | None
    reason: str = ""


def add_classifier_option(parser: argparse.ArgumentParser, optional: bool) -> None:
    """Add ``--classifier``; ``optional`` where the command can do without."""
    off = f"; {SWITCHED_OFF} leaves the diagnosis out" if optional else ""
    parser.add_argument(
        "--classifier",
        metavar="NAME|FILE",
        help="an installed model, or a file of weights (default: the installed model that is called "
        f"{DEFAULT_NAME}, or the only one){off}",
    )


def choose_classifier(asked: str | None) -> ChosenClassifier:
    """Load the classifier that was asked for; None takes an installed one where it is clear which.

    An installed one that was not asked for and cannot be used (its file has changed, TensorFlow is not installed) is a
    reason to leave the diagnosis open, not to do without the severity.

    Raises
    ------
    InputError
        If what was asked for cannot be used.
    """
    if asked is not None:
        if asked == SWITCHED_OFF:
            return ChosenClassifier(None, LEFT_OUT)
        return ChosenClassifier(open_classifier(asked))
    sound, damaged = installed_models()
    names = sorted([*sound, *damaged], key=str.lower)
    usual = next((name for name in names if name.lower() == DEFAULT_NAME), names[0] if len(names) == 1 else None)
    if usual is None:
        return ChosenClassifier(None, _several(names) if names else NONE_INSTALLED)
    try:
        return ChosenClassifier(open_classifier(usual))
    except InputError as error:
        return ChosenClassifier(None, f"The installed model {usual} cannot be used: {error}.")


def _several(names: list[str]) -> str:
    return f"Several models are installed, none of them called {DEFAULT_NAME}: --classifier {'|'.join(names)}."
