"""A classifier by its name in the model store or by its file, with source and licence of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.types import Diagnosis

from .description import NetworkDescription
from .diagnosis import ExplainingClassifier
from .store.installed import resolve


@dataclass(frozen=True, eq=False)
class KnownClassifier:
    """A classifier with the source of its weights; it is an :class:`~.diagnosis.ExplainingClassifier` itself.

    Parameters
    ----------
    classifier : the classifier.
    source, licence : source and licence of its weights; None if no manifest contains them.
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


def open_classifier(name_or_file: str | Path) -> KnownClassifier:
    """Find a classifier and load it. Nothing is downloaded. TensorFlow is imported here.

    Parameters
    ----------
    name_or_file : a model of the store, or a file of weights (:func:`~.store.resolve`).

    Raises
    ------
    InputError
        If there is no such model or file, it does not contain a usable network, or TensorFlow is not installed.
    """
    found = resolve(name_or_file)
    from .keras.network import load_classifier

    entry = found.entry
    if entry is None:
        return KnownClassifier(load_classifier(found.path, None, found.name))
    return KnownClassifier(load_classifier(found.path, entry.network, found.name), entry.source, entry.licence)
