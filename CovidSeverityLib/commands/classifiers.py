"""The classifier of a command: chosen by the user or by default, and loaded before a CT is read."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.classification.diagnosis import ExplainingClassifier
from CovidSeverityLib.classification.loading import ClassifierChoice
from CovidSeverityLib.classification.store.installed import installed_classifiers, resolve
from CovidSeverityLib.errors import InputError

SWITCHED_OFF = "none"
"""The value of ``--classifier`` for no classifier. A file of this name is given as ``./none``."""

DEFAULT_NAME = "default"
"""The installed model with this name is the default if several models are installed."""

NONE_INSTALLED = "No classifier weights installed: covid-severity models add FILE --as NAME, then --classifier NAME."
"""The text fits into one line of the summary."""

LEFT_OUT = f"The diagnosis was left out: --classifier {SWITCHED_OFF}."


@dataclass(frozen=True)
class ChosenClassifier:
    """A loaded classifier, or the reason why there is none."""

    classifier: ExplainingClassifier | None
    reason: str = ""


def add_classifier_option(parser: argparse.ArgumentParser, optional: bool) -> None:
    """Add ``--classifier``; ``optional`` if the command also works without a classifier."""
    off = f"; {SWITCHED_OFF} means no diagnosis" if optional else ""
    parser.add_argument(
        "--classifier",
        metavar="NAME|FILE",
        help="an installed model, or a file of weights (default: the installed model named "
        f"{DEFAULT_NAME}, or the only installed model){off}",
    )


def choose_classifier(asked: str | None) -> ChosenClassifier:
    """Load the chosen classifier; for None, the installed model that is the default, if there is one.

    If the default model cannot be used (its file has changed, TensorFlow is not installed), there is no diagnosis. The
    severity is computed all the same.

    Raises
    ------
    InputError
        If the chosen classifier cannot be used.
    """
    classifier, reason = chosen(asked).load()
    return ChosenClassifier(classifier, reason)


def chosen(asked: str | None) -> ClassifierChoice:
    """The same, not loaded yet."""
    if asked == SWITCHED_OFF:
        return ClassifierChoice(absent=LEFT_OUT)
    if asked is not None:
        return ClassifierChoice(asked, required=True)
    names = installed_classifiers()
    usual = next((name for name in names if name.lower() == DEFAULT_NAME), names[0] if len(names) == 1 else None)
    if usual is None:
        return ClassifierChoice(absent=_several(names) if names else NONE_INSTALLED)
    return ClassifierChoice(usual)


def chosen_with_checksum(asked: str | None) -> ClassifierChoice:
    """The same with the checksum of its weights.

    Raises
    ------
    InputError
        A classifier is asked for that is not there.
    """
    choice = chosen(asked)
    if choice.name is None:
        return choice
    try:
        return replace(choice, sha256=sha256_of(resolve(choice.name).path))
    except InputError:
        if choice.required:
            raise
        return choice


def _several(names: tuple[str, ...]) -> str:
    return f"Several models are installed, none of them called {DEFAULT_NAME}: --classifier {'|'.join(names)}."
