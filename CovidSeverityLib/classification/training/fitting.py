"""Fit a network to examples: the published optimiser and loss, balanced classes, a checkpoint after every epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import CancelledError, CovidSeverityError
from CovidSeverityLib.types import Progress

from .checkpoint import Checkpoint, TrainingState
from .config import BETA_1, TrainingConfig
from .examples import Examples, class_weights
from .feeding import predict, training_batches
from .history import EpochRecord, best_epoch, is_over, validation_of

STAGE = "epochs"
"""Name of this stage in progress calls."""

EPOCHS_OF_AVERAGE = 0.5
"""Batch normalisation averages over about this part of an epoch; averages over fewer steps are noisy. Keras's 100 steps
are more than all steps of a small training, whose validation would use the initial averages."""

LARGEST_MOMENTUM = 0.99
"""Momentum of batch normalisation for long epochs: Keras's default."""


@dataclass
class Fitting:
    """The training of one network.

    Parameters
    ----------
    model : any
        Network with probabilities as output.
    training, validation : Examples
        Examples for training, and examples that decide when to stop.
    config : TrainingConfig
        Configuration of the training.
    checkpoint : Checkpoint
        File that is written after every epoch; if it exists, the training continues from it.
    failures : mapping of str to str
        CTs that could not be used, for the checkpoint.
    strategy : any
        Strategy of ``tf.distribute`` in whose scope ``model`` was built.
    """

    model: Any
    training: Examples
    validation: Examples
    config: TrainingConfig
    checkpoint: Checkpoint
    strategy: Any
    failures: Mapping[str, str] = field(default_factory=dict)
    _history: tuple[EpochRecord, ...] = ()
    _best: Sequence[NDArray] = ()

    def run(self, progress: Progress | None = None) -> tuple[EpochRecord, ...]:
        """Train to the end, give the model its best weights, and return the history.

        Parameters
        ----------
        progress : Progress, optional
            Called with stage "epochs" as epochs are done.

        Raises
        ------
        CancelledError
            At an interrupt; the checkpoint of the last complete epoch is kept.
        CovidSeverityError
            If the loss is not a finite number.
        """
        self._compile()
        try:
            while not is_over(self._history, self.config.epochs, self.config.patience):
                _tell(progress, len(self._history), self.config.epochs)
                self._run_epoch()
        except KeyboardInterrupt as error:
            raise CancelledError(self._stopped()) from error
        _tell(progress, len(self._history), self.config.epochs)
        self._assign(self.model.variables, self._best)
        return self._history

    def _compile(self) -> None:
        import keras

        steps = -(-self._examples // self.config.batch_size)
        with self.strategy.scope():
            for layer in _layers(self.model):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = min(LARGEST_MOMENTUM, max(0.0, 1 - 1 / max(1.0, EPOCHS_OF_AVERAGE * steps)))
            optimizer = keras.optimizers.Adam(self.config.learning_rate, beta_1=BETA_1)
            accuracy = keras.metrics.CategoricalAccuracy("accuracy")  # by name, Keras would trace the step twice
            self.model.compile(optimizer, loss="categorical_crossentropy", metrics=[accuracy])
            self.model.optimizer.build(self.model.trainable_variables)
        if self.checkpoint.path.exists():
            state = self.checkpoint.load()
            self._assign(self.model.variables, state.weights)
            self._assign(self.model.optimizer.variables, state.optimizer)
            self._history, self._best = state.history, state.best

    @property
    def _examples(self) -> int:
        return sum(case.count for case in self.training.cases)

    def _run_epoch(self) -> None:
        began, epoch, batch = time.perf_counter(), len(self._history) + 1, self.config.batch_size
        weights = class_weights(self.training.cases)
        order = np.random.default_rng((self.config.seed, epoch)).permutation(self._examples)
        learnt = self.model.fit(
            training_batches(self.training.for_epoch(epoch), order, batch, weights), shuffle=False, verbose=0
        ).history
        probabilities = predict(self.model, self.validation, batch)
        if not (np.isfinite(learnt["loss"][0]) and np.isfinite(probabilities).all()):
            raise CovidSeverityError(f"the loss is no number any more in epoch {epoch}; a lower learning rate may help")
        found = validation_of(self.validation.cases, probabilities, weights)
        record = EpochRecord(
            epoch=epoch,
            loss=float(learnt["loss"][0]),
            accuracy=float(learnt["accuracy"][0]),
            validation_loss=found.loss,
            validation_accuracy=found.accuracy,
            validation_patient_accuracy=found.patient_accuracy,
            seconds=round(time.perf_counter() - began, 3),
        )
        self._keep(record)

    def _keep(self, record: EpochRecord) -> None:
        history = (*self._history, record)
        weights = _values(self.model.variables)
        best = weights if best_epoch(history) is record else self._best
        self.checkpoint.save(
            TrainingState(history, weights, _values(self.model.optimizer.variables), best, self.failures)
        )
        self._history, self._best = history, best

    def _assign(self, variables: Sequence[Any], values: Sequence[NDArray]) -> None:
        with self.strategy.scope():
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def _stopped(self) -> str:
        done = len(self._history)
        if not done:
            return "stopped in the first epoch; the same command begins again, with the images that are made"
        return f"stopped after epoch {done} of {self.config.epochs}; --resume goes on with the next"


def _layers(model: Any) -> Iterator[Any]:  # noqa: ANN401
    """The layers of a network, including the layers of nested networks."""
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else (layer,)


def _values(variables: Sequence[Any]) -> list[NDArray]:
    return [np.array(variable.numpy()) for variable in variables]


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(STAGE, done, total)
