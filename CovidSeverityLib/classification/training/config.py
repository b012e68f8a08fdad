"""How a classifier is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

LEARNING_RATE, BETA_1 = 2e-4, 0.5
"""Of Adam, as published."""

EPOCHS, PATIENCE, BATCH_SIZE = 50, 5, 8
"""The published checkpoints are of the first epochs; 8 images of 512 x 512 fit the memory of a common GPU."""

VALIDATION_SHARE, TEST_SHARE = 0.15, 0.2

NO_WEIGHTS, KERAS_WEIGHTS = "none", "keras"
"""Where the backbone begins: at random; at ImageNet's weights, which Keras downloads. Anything else is a file."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a classifier is trained; optimiser and loss are the published ones.

    Parameters
    ----------
    network : what is trained, and on which images.
    imagenet : :data:`NO_WEIGHTS`, :data:`KERAS_WEIGHTS` or the path of a file of ImageNet's weights.
    freeze : the backbone stays as it is, and the dense layers alone are trained, on its standardised means.
    epochs : passes over the training slices, at most.
    patience : epochs without a lower validation loss after which training stops.
    batch_size : slices a step.
    learning_rate : of Adam.
    validation, test : shares of the patients of each diagnosis.
    seed : of the split, the first weights and the order of slices.

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
