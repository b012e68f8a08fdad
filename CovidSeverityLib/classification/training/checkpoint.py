"""The state of a training after an epoch, in one file that is replaced as a whole."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError, OutputError

from .history import EpochRecord, history_from

CHECKPOINT_NAME = "checkpoint.npz"
"""Name of the checkpoint, which is in the folder of the results until the training is finished."""

_GROUPS = ("weights", "optimizer", "best")


@dataclass(frozen=True, eq=False)
class TrainingState:
    """The state from which a training continues.

    Parameters
    ----------
    history : tuple of EpochRecord
        The finished epochs.
    weights : sequence of NDArray
        Weights of the network with the state of its random numbers, in the order of its variables.
    optimizer : sequence of NDArray
        Variables of the optimiser.
    best : sequence of NDArray
        ``weights`` of the best epoch.
    failures : mapping of str to str
        CTs that could not be used, with the reason.
    """

    history: tuple[EpochRecord, ...]
    weights: Sequence[NDArray]
    optimizer: Sequence[NDArray]
    best: Sequence[NDArray]
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """The file of a training; ``made_with`` has everything that determines the weights, as values for JSON."""

    folder: Path
    made_with: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / CHECKPOINT_NAME

    def save(self, state: TrainingState) -> None:
        """Write ``state``; the previous state is kept until the file is complete.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        facts = {
            "made_with": self.made_with,
            "history": [record.as_dict() for record in state.history],
            "failures": dict(state.failures),
        }
        arrays = {f"{group}_{n}": array for group in _GROUPS for n, array in enumerate(getattr(state, group))}
        trial = self.path.with_suffix(".new")
        try:
            with trial.open("wb") as file:
                np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8), **arrays)
                file.flush()
                os.fsync(file.fileno())
            trial.replace(self.path)
        except OSError as error:
            raise OutputError(f"cannot write to {self.folder}: {error.strerror or error}") from error
        finally:
            trial.unlink(missing_ok=True)

    def load(self) -> TrainingState:
        """The saved state.

        Raises
        ------
        InputError
            If the file is damaged, or the training had other settings.
        """
        facts = self._facts()
        self._check(facts["made_with"], {*facts["made_with"], *self.made_with})
        with np.load(self.path) as stored:
            groups = {
                group: [stored[f"{group}_{n}"] for n in range(sum(name.startswith(f"{group}_") for name in stored))]
                for group in _GROUPS
            }
        return TrainingState(history_from(facts["history"]), failures=facts["failures"], **groups)

    def failures(self) -> Mapping[str, str]:
        """CTs that the unfinished training leaves out, with the reasons.

        Raises
        ------
        InputError
            If the file is damaged, or the training differs in a setting of ``made_with``.
        """
        facts = self._facts()
        self._check(facts["made_with"], self.made_with)
        return facts["failures"]

    def remove(self) -> None:
        """Delete the checkpoint, because the results are written or the training is discarded."""
        self.path.unlink(missing_ok=True)

    def _facts(self) -> dict[str, Any]:
        try:
            with self.path.open("rb") as file, np.load(file) as stored:
                return json.loads(stored["facts"].tobytes())
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path} is damaged; remove it to begin anew") from error

    def _check(self, made_with: Mapping[str, Any], keys: Iterable[str]) -> None:
        wanted = json.loads(json.dumps(self.made_with))
        other = [key for key in keys if made_with.get(key) != wanted.get(key)]
        if other:
            raise InputError(
                f"the training in {self.folder} was begun with another {', '.join(sorted(other))}; it cannot go on "
                "with these: give another folder, or the options of that training"
            )
