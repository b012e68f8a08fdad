"""The configuration of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

from .augmentation import AugmentationConfig

LEARNING_RATE, BETA_1 = 2e-4, 0.5
"""Learning rate of Adam, as published."""

EPOCHS, PATIENCE, BATCH_SIZE = 50, 5, 8
"""The published checkpoints are from the first epochs; 8 images of 512 x 512 fit into the memory of a common GPU."""

VALIDATION_SHARE, TEST_SHARE = 0.15, 0.2

NO_WEIGHTS, KERAS_WEIGHTS = "none", "keras"
"""First weights of the backbone: random, or ImageNet's, which Keras downloads. Any other value is a file."""


@dataclass(frozen=True)
class TrainingConfig:
    """The configuration of a training; optimiser and loss are the published ones.

    Parameters
    ----------
    network : NetworkDescription
        Description of the network, including the kind of image.
    imagenet : str
        :data:`NO_WEIGHTS`, :data:`KERAS_WEIGHTS` or the path of a file with ImageNet's weights.
    freeze : bool
        Whether only the dense layers are trained, on standardised means of the unchanged backbone.
    epochs : int
        Largest number of epochs.
    patience : int
        Training stops after so many epochs without a lower validation loss.
    batch_size : int
        Slices per step.
    learning_rate : float
        Learning rate of Adam.
    validation, test : float
        Shares of the patients of each diagnosis.
    seed : int
        Seed of the split, the first weights, the order of slices and their changes.
    augmentation : AugmentationConfig or None
        Changes of the training images; None for none.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    network: NetworkDescription = field(default_factory=NetworkDescription)
    imagenet: str = NO_WEIGHTS
    freeze: bool = False
    epochs: int = EPOCHS
    patience: int = PATIENCE
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE
    validation: float = VALIDATION_SHARE
    test: float = TEST_SHARE
    seed: int = 0
    augmentation: AugmentationConfig | None = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name.replace('_', ' ')} {getattr(self, name)}; a whole number from 1 on is needed")
        if self.seed < 0:
            raise InputError(f"seed {self.seed} is negative")
        if self.network.classes != tuple(Diagnosis):
            raise InputError("the classes of a network that is trained are normal, CAP and COVID-19, in this order")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"a learning rate of {self.learning_rate:g}; a number above 0 is needed")
        if not (0 < self.validation < 1 and 0 <= self.test < 1 and self.validation + self.test < 1):
            raise InputError(
                f"shares of {self.validation:g} for validation and {self.test:g} for the test; the first has to be "
                "above 0, and both together below 1"
            )
