"""A patient's diagnosis: images of the slices, the answer of a classifier for each, and their vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.classification_image import (
    ClassificationImageConfig,
    classification_images,
    classification_slices,
)
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.types import Diagnosis, Progress

from .description import NETWORK_SIZE_PX, NetworkDescription
from .voting import Vote, slice_tenths, slice_weights, weighted_vote

CLASSIFICATION_STAGE = "classification"
"""Name of this stage in progress calls."""


class SliceClassifier(Protocol):
    """A classifier of slices."""

    def __call__(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """(N, J, I) uint8 images to (N, 3) float32 probabilities, columns in the order of :class:`Diagnosis`."""
        ...


class ExplainingClassifier(SliceClassifier, Protocol):
    """A classifier that says what it is and where it looked.

    Any object with these attributes will do: :func:`~CovidSeverityLib.classify` has one in its example.

    Examples
    --------
    >>> from CovidSeverityLib import ExplainingClassifier
    >>> [name for name in dir(ExplainingClassifier) if not name.startswith("_")]
    ['description', 'explain', 'name', 'sha256']
    """

    @property
    def name(self) -> str:
        """Name for the user: a name in the model store, or that of a file."""
        ...

    @property
    def sha256(self) -> str:
        """Checksum of the file of weights, 64 hexadecimal digits."""
        ...

    @property
    def description(self) -> NetworkDescription:
        """Everything except the weights."""
        ...

    def explain(self, images: NDArray[np.uint8], diagnoses: Sequence[Diagnosis], /) -> NDArray[np.float32]:
        """Where the network looked for one diagnosis of each image (Grad-CAM).

        (N, J, I) uint8 images to (N, rows, columns) float32, coarser than the images, 0 to 1 in each (all 0 if nothing
        supports the diagnosis). The first and the last cell touch the edges of the image.
        """
        ...


@dataclass(frozen=True)
class ClassifierIdentity:
    """The weights that gave an answer.

    Parameters
    ----------
    name : str
        Name in the model store, or name of a file.
    sha256 : str
        Checksum of the file, 64 hexadecimal digits.
    description : NetworkDescription
        Description of the network.
    source, licence : str or None
        Source and licence of the weights; None if not known.
    """

    name: str
    sha256: str
    description: NetworkDescription
    source: str | None = None
    licence: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class SliceEvidence(Value):
    """Where the network looked for the patient's diagnosis in one slice.

    Parameters
    ----------
    index : int
        Index of the slice in the CT.
    attention : (rows, columns) ndarray of float32
        0 to 1, over the whole slice from edge to edge, rows from anterior to posterior and columns from the patient's
        right to left; coarser than the slice.
    """

    index: int
    attention: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.attention.ndim != 2 or not self.attention.size:
            raise ValueError(f"attention {self.attention.shape}; (rows, columns) are needed")
        object.__setattr__(self, "attention", np.asarray(self.attention, dtype=np.float32))
        super().__post_init__()


@dataclass(frozen=True, eq=False, repr=False)
class PatientDiagnosis(Value):
    """The answers of a classifier for every slice, from which the diagnosis follows.

    Parameters
    ----------
    slices : tuple of N int
        Which slices of the CT, in the order of the vote (superior to inferior).
    probabilities : (N, 3) ndarray of float32
        A row for each slice, columns in the order of :class:`Diagnosis`.
    classifier : ClassifierIdentity or None
        Which weights said it; None for a classifier that does not say what it is.
    evidence : tuple of SliceEvidence
        Of the slices that decided, the strongest first.

    Examples
    --------
    >>> import numpy as np
    >>> from CovidSeverityLib import PatientDiagnosis
    >>> found = PatientDiagnosis((12, 11, 10), np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.3, 0.5]]))
    >>> [label.name for label in found.slice_labels], found.label.name
    (['NORMAL', 'COVID19', 'COVID19'], 'COVID19')
    >>> found.vote.weights
    (0.5, 0.0, 1.7)
    """

    slices: tuple[int, ...]
    probabilities: NDArray[np.float32]
    classifier: ClassifierIdentity | None = None
    evidence: tuple[SliceEvidence, ...] = ()

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.slices), len(Diagnosis)) or not self.slices:
            raise ValueError(f"probabilities {self.probabilities.shape} do not match {len(self.slices)} slices")
        if not set(self.slices).issuperset(seen.index for seen in self.evidence):
            raise ValueError("there is evidence of slices that were not classified")
        object.__setattr__(self, "probabilities", np.asarray(self.probabilities, dtype=np.float32))
        super().__post_init__()

    @property
    def slice_labels(self) -> tuple[Diagnosis, ...]:
        """The most probable diagnosis of every slice (the first of equal ones, as published)."""
        return tuple(Diagnosis(int(n)) for n in self.probabilities.argmax(axis=1))

    @property
    def slice_weights(self) -> NDArray[np.float64]:
        """(N,) weight of every slice in the vote, for its own diagnosis."""
        return slice_weights(self.slice_labels)

    @property
    def vote(self) -> Vote:
        """The slices' weighted vote."""
        return weighted_vote(self.slice_labels)

    @property
    def label(self) -> Diagnosis:
        """The patient's diagnosis."""
        return self.vote.label

    @property
    def mean_probabilities(self) -> NDArray[np.float64]:
        """(3,) mean over the slices that voted, with equal weights."""
        return self.probabilities.mean(axis=0, dtype=np.float64)

    @property
    def scores(self) -> NDArray[np.float64]:
        """(3,) the soft form of the vote: probabilities weighted like votes and summed over slices, with sum 1.

        They are for ROC curves, which need a number for each diagnosis. The largest one need not be that of
        :attr:`label`, whose rule favours infection.
        """
        weighted = (slice_tenths(len(self.slices)) * self.probabilities.astype(np.float64)).sum(axis=0)
        return weighted / weighted.sum()


def voting_slices(lung: NDArray[np.bool_], acquired: Sequence[bool] | None = None) -> tuple[int, ...]:
    """Slices that are classified and vote, from superior to inferior.

    Parameters
    ----------
    lung : (K, J, I) ndarray of bool
        A boolean mask or labels.
    acquired : sequence of bool, optional
        False for an interpolated slice, which does not vote because it has no information of its own.
    """
    return tuple(k for k in classification_slices(lung) if acquired is None or acquired[k])


def diagnose(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    classifier: SliceClassifier,
    config: ClassificationImageConfig,
    batch: int = 8,
    size_px: int = NETWORK_SIZE_PX,
    progress: Progress | None = None,
    acquired: Sequence[bool] | None = None,
) -> PatientDiagnosis:
    """Classify the slices around the middle of the lungs and let them vote.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units; K from inferior to superior.
    lung : (K, J, I) ndarray of bool
    classifier : SliceClassifier
        Classifier, called with (n, size_px, size_px) uint8, n up to ``batch``.
    config : ClassificationImageConfig
        Configuration of the images that the classifier was trained with.
    batch : int
        Number of slices per call of the classifier.
    size_px : int
        Edge length of the classifier's image. Slices of another size are resampled linearly along each axis, with the
        same field of view.
    progress : Progress, optional
        Called with stage "classification" as slices are done.
    acquired : sequence of bool, optional
        As in :func:`voting_slices`.

    Raises
    ------
    InputError
        If no slice around the middle of the scan shows lung, or the classifier's answers are not probabilities.
    ValueError
        If the classifier's answer is not one row per slice and one column per diagnosis.
    """
    if batch < 1:
        raise ValueError(f"a batch of {batch} slices; at least 1 is needed")
    slices = voting_slices(lung, acquired)
    if not slices:
        raise InputError(no_slice_reason(len(lung)))
    images = classification_images(hu, lung, config, slices)
    answers = []
    for first in range(0, len(slices), batch):
        if progress is not None:
            progress(CLASSIFICATION_STAGE, first, len(slices))
        answers.append(_answer(classifier, network_images(images[first : first + batch], size_px)))
    if progress is not None:
        progress(CLASSIFICATION_STAGE, len(slices), len(slices))
    return PatientDiagnosis(slices, np.concatenate(answers))


def no_slice_reason(slices: int) -> str:
    """Why a scan with so many slices has no diagnosis, if :func:`voting_slices` finds none."""
    return f"none of the slices around the middle of this scan ({slices} slices) shows lung to classify"


def _answer(classifier: SliceClassifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    answer = np.asarray(classifier(images))
    wanted = (len(images), len(Diagnosis))
    if answer.shape != wanted:
        raise ValueError(f"the classifier answered {answer.shape} for {len(images)} slices; {wanted} is needed")
    if not (np.isfinite(answer).all() and (answer >= 0).all() and (answer.sum(axis=1) > 0).all()):
        who = getattr(classifier, "name", None)
        raise InputError(
            f"the classifier{f' {who}' if who else ''} answered values that are no probabilities; its weights are "
            "damaged or those of another network"
        )
    return answer


def network_images(images: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """(N, size_px, size_px) images with the same edges; the same array if the size is already right.

    Parameters
    ----------
    images : (N, J, I) ndarray of uint8
    size_px : int
        Edge length of the classifier's image.
    """
    _, rows, columns = images.shape
    if (rows, columns) == (size_px, size_px):
        return images
    zoom = (1, size_px / rows, size_px / columns)
    smooth = ndimage.zoom(images.astype(np.float32), zoom, order=1, mode="nearest", grid_mode=True)
    return np.rint(smooth).astype(np.uint8)
