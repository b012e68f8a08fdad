"""A classifier by its name in the model store or by its file, with source and licence of its weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

from .description import NetworkDescription
from .diagnosis import ExplainingClassifier
from .store.installed import resolve


@dataclass(frozen=True, eq=False)
class KnownClassifier:
    """A classifier with the source of its weights; it is an :class:`~.diagnosis.ExplainingClassifier` itself.

    Parameters
    ----------
    classifier : ExplainingClassifier
        The classifier.
    source, licence : str or None
        Source and licence of its weights; None if no manifest contains them.
    """

    classifier: ExplainingClassifier
    source: str | None = None
    licence: str | None = None

    @property
    def name(self) -> str:
        """Name for the user."""
        return self.classifier.name

    @property
    def sha256(self) -> str:
        """Checksum of the file of weights."""
        return self.classifier.sha256

    @property
    def description(self) -> NetworkDescription:
        """Everything except the weights."""
        return self.classifier.description

    def __call__(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """The answer of the classifier."""
        return self.classifier(images)

    def explain(self, images: NDArray[np.uint8], diagnoses: Sequence[Diagnosis], /) -> NDArray[np.float32]:
        """The explanation of the classifier."""
        return self.classifier.explain(images, diagnoses)


def open_classifier(name_or_file: str | os.PathLike[str]) -> KnownClassifier:
    """Find a classifier and load it. Nothing is downloaded; TensorFlow is imported here and not before.

    Parameters
    ----------
    name_or_file : str or path-like
        A model of the store, or a file of weights (:func:`~.store.resolve`).

    Returns
    -------
    KnownClassifier
        An :class:`ExplainingClassifier` that knows the source and the licence of its weights.

    Raises
    ------
    InputError
        If there is no such model or file, it holds no network of ours, or TensorFlow is not installed.

    Examples
    --------
    >>> from CovidSeverityLib import open_classifier
    >>> open_classifier("resnet")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.InputError: ...
    """
    found = resolve(name_or_file if isinstance(name_or_file, str) else Path(name_or_file))
    from .keras.network import load_classifier

    entry = found.entry
    if entry is None:
        return KnownClassifier(load_classifier(found.path, None, found.name))
    return KnownClassifier(load_classifier(found.path, entry.network, found.name), entry.source, entry.licence)


@dataclass(frozen=True)
class ClassifierChoice:
    """The classifier that was chosen, by its name, so that every process can load it for itself; or none.

    Parameters
    ----------
    name : str or None
        Name in the model store, or a file; None for no diagnosis.
    absent : str
        Why there is none, as a sentence for the reports.
    required : bool
        Whether it is an error if it cannot be loaded. Otherwise the reports say why there is no diagnosis.
    sha256 : str
        Checksum of its weights, where it is needed before they are loaded; empty otherwise.
    """

    name: str | None = None
    absent: str = ""
    required: bool = False
    sha256: str = ""

    def load(self) -> tuple[ExplainingClassifier | None, str]:
        """The classifier, or None and the reason for the report.

        Raises
        ------
        InputError
            It is required and cannot be used.
        """
        if self.name is None:
            return None, self.absent
        try:
            return open_classifier(self.name), ""
        except InputError as error:
            if self.required:
                raise
            return None, f"The installed model {self.name} cannot be used: {error}."
