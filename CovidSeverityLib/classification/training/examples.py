"""The examples for a training: slices, or their features from a frozen backbone, with the diagnoses of their CTs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.classification.diagnosis import PatientDiagnosis
from CovidSeverityLib.types import Diagnosis

from .augmentation import Augmentation
from .cache import CachedImages


@dataclass(frozen=True)
class CaseSlices:
    """Number of slices of a CT, and their common diagnosis."""

    name: str
    diagnosis: Diagnosis
    count: int


class Examples(Protocol):
    """Slices of several CTs, one CT after the other, numbered from 0."""

    @property
    def cases(self) -> tuple[CaseSlices, ...]:
        """The CTs."""
        ...

    def for_epoch(self, epoch: int) -> Examples:
        """The examples as an epoch learns from them; ``epoch`` is 1 or more."""
        ...

    def read(self, which: NDArray[np.int64], /) -> NDArray:
        """(n, ...) the examples with these numbers: (size, size) uint8 images, or (features,) float32."""
        ...


@dataclass(frozen=True, eq=False)
class ImageExamples:
    """Images that are read from the cache when needed; ``images`` and ``cases`` have the same order.

    ``augmentation`` changes them after reading.
    """

    cases: tuple[CaseSlices, ...]
    images: tuple[CachedImages, ...]
    augmentation: Augmentation | None = None

    def for_epoch(self, epoch: int) -> ImageExamples:
        """The images with the changes of this epoch."""
        changes = self.augmentation
        return self if changes is None else replace(self, augmentation=replace(changes, epoch=epoch))

    def read(self, which: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """(n, size, size) uint8."""
        ends = np.cumsum([case.count for case in self.cases])
        owners = np.searchsorted(ends, which, side="right")
        rows: dict[int, NDArray[np.uint8]] = {}
        for owner in np.unique(owners):
            places = np.flatnonzero(owners == owner)
            case = self.cases[owner]
            slices = (which[places] - int(ends[owner]) + case.count).tolist()
            images = self.images[owner].read(slices)
            if self.augmentation is not None:
                images = self.augmentation.applied(images, case.name, slices)
            rows |= zip(places.tolist(), images, strict=True)
        return np.stack([rows[n] for n in range(len(which))])


@dataclass(frozen=True, eq=False)
class VectorExamples:
    """Vectors in memory: ``vectors`` is (N, features) float32, with the rows of one case after those of another.

    ``copies`` are the vectors of changed images of the same slices.
    """

    cases: tuple[CaseSlices, ...]
    vectors: NDArray[np.float32]
    copies: tuple[NDArray[np.float32], ...] = ()

    def for_epoch(self, epoch: int) -> VectorExamples:
        """The vectors and their copies, in turn."""
        versions = (self.vectors, *self.copies)
        return VectorExamples(self.cases, versions[(epoch - 1) % len(versions)])

    def read(self, which: NDArray[np.int64], /) -> NDArray[np.float32]:
        """(n, features) float32."""
        return self.vectors[which]


def labels_of(cases: Sequence[CaseSlices]) -> NDArray[np.int64]:
    """(N,) the diagnosis of every slice."""
    return np.repeat([int(case.diagnosis) for case in cases], [case.count for case in cases])


def class_weights(cases: Sequence[CaseSlices]) -> NDArray[np.float64]:
    """(3,) weight of a slice of each diagnosis: inverse frequency of its slices, 1 if all are equally frequent.

    Raises
    ------
    ValueError
        If a diagnosis has no slice.
    """
    counts = np.bincount(labels_of(cases), minlength=len(Diagnosis))
    if not counts.all():
        raise ValueError(f"slices by diagnosis: {counts.tolist()}; some of each are needed")
    return counts.sum() / (len(Diagnosis) * counts)


def votes(cases: Sequence[CaseSlices], probabilities: NDArray[np.float32]) -> tuple[PatientDiagnosis, ...]:
    """The diagnosis of every CT by the vote of its slices.

    Parameters
    ----------
    cases : sequence of CaseSlices
        CTs.
    probabilities : (N, 3) ndarray of float32
        A row for each of their slices.
    """
    parts = np.split(probabilities, np.cumsum([case.count for case in cases])[:-1])
    return tuple(PatientDiagnosis(tuple(range(len(part))), part) for part in parts)
