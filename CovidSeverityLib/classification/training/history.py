"""The history of a training, epoch by epoch, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .examples import CaseSlices, labels_of, votes

SMALLEST_PROBABILITY = 1e-7
"""Smallest probability in the loss, as in Keras."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch. Losses are weighted by class; accuracies are shares, 0 to 1.

    ``loss`` and ``accuracy`` are means over the epoch, during which the network changes. The validation follows at its
    end.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_patient_accuracy: float
    seconds: float

    def as_dict(self) -> dict[str, float]:
        """Values for JSON and CSV."""
        return asdict(self)


@dataclass(frozen=True)
class Validation:
    """Loss and accuracies on slices that were not used for training."""

    loss: float
    accuracy: float
    patient_accuracy: float


def validation_of(
    cases: Sequence[CaseSlices], probabilities: NDArray[np.float32], weights: NDArray[np.float64]
) -> Validation:
    """Loss and accuracies.

    Parameters
    ----------
    cases : sequence of CaseSlices
        CTs.
    probabilities : (N, 3) ndarray of float32
        A row for each of their slices.
    weights : (3,) ndarray of float64
        Weights of the classes.
    """
    labels = labels_of(cases)
    likely = np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), SMALLEST_PROBABILITY)
    right = [vote.label == case.diagnosis for vote, case in zip(votes(cases, probabilities), cases, strict=True)]
    return Validation(
        loss=float(np.mean(-np.log(likely) * weights[labels])),
        accuracy=float(np.mean(probabilities.argmax(axis=1) == labels)),
        patient_accuracy=float(np.mean(right)),
    )


def best_epoch(history: Sequence[EpochRecord]) -> EpochRecord:
    """The epoch with the lowest validation loss; the first of equal ones."""
    return min(history, key=lambda record: record.validation_loss)


def is_over(history: Sequence[EpochRecord], epochs: int, patience: int) -> bool:
    """Whether all epochs are done, or none of the last ``patience`` epochs had a lower validation loss."""
    if not history:
        return False
    return len(history) >= epochs or history[-1].epoch - best_epoch(history).epoch >= patience


def history_from(values: Sequence[Mapping[str, Any]]) -> tuple[EpochRecord, ...]:
    """The inverse of :meth:`EpochRecord.as_dict`."""
    return tuple(EpochRecord(**value) for value in values)
