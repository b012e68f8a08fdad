"""A run over many cases that can be resumed: every finished case is a line of a file.

During a run the lines are in ``unfinished.jsonl``. When the results are written, they are kept as ``cases.jsonl``, so
that failed cases can be tried again. The first line has the settings of the run; results of different settings are not
mixed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from CovidSeverityLib.errors import CancelledError, CovidSeverityError, InputError, OutputError
from CovidSeverityLib.types import Progress

from .cases import Failure

STAGE = "cases"
"""Name of this stage in progress calls."""

UNFINISHED_NAME = "unfinished.jsonl"
FINISHED_NAME = "cases.jsonl"

Record = dict[str, Any]
"""The results of one case, as values for JSON."""


@dataclass
class Journal:
    """The finished cases of a run in ``folder``.

    Parameters
    ----------
    folder : Path
        Folder of the results.
    made_with : mapping of str to any
        Everything that determines a record (configuration, version, options), as values for JSON.
    """

    folder: Path
    made_with: Mapping[str, Any]
    _records: dict[str, Record] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file of the unfinished run."""
        return self.folder / UNFINISHED_NAME

    @property
    def records(self) -> Mapping[str, Record]:
        """Record of every finished case."""
        return dict(self._records)

    def open(self, resume: bool) -> None:
        """Start a run, or continue an existing one (``resume``).

        Raises
        ------
        InputError
            If there is an unfinished run and ``resume`` is false, or if ``resume`` is true and the existing run has
            other settings.
        OutputError
            If nothing can be written.
        """
        finished = self.folder / FINISHED_NAME
        if resume:
            source = self.path if self.path.exists() else finished
            self._records = self._read(source) if source.exists() else {}
        elif self.path.exists() and len(self.path.read_bytes().splitlines()) > 1:
            raise InputError(
                f"an unfinished run is in {self.folder}: --resume goes on with it, "
                f"and removing {UNFINISHED_NAME} lets a new one begin"
            )
        header = json.dumps({"made_with": self.made_with}, sort_keys=True)
        lines = [header, *(_line(case, record) for case, record in self._records.items())]
        try:
            trial = self.path.with_suffix(".new")
            trial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            trial.replace(self.path)
        except OSError as error:
            raise OutputError(f"cannot write to {self.folder}: {error.strerror or error}") from error

    def add(self, case: str, record: Record) -> None:
        """Store the record of a case, also on the disk."""
        self._records[case] = record
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(case, record) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write to {self.folder}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the journal of a finished run whose results are written."""
        self.path.replace(self.folder / FINISHED_NAME)

    def discard(self) -> None:
        """Remove the journal of a run without any finished case."""
        self.path.unlink(missing_ok=True)

    def _read(self, source: Path) -> dict[str, Record]:
        """The records of an earlier run; an incomplete last line is left out."""
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
        values = [_parsed(line) for line in lines]
        first = (values[0] if values else None) or {}
        if "made_with" not in first:
            raise InputError(f"{source.name} does not begin as the journal of a run; remove it to begin anew")
        self._check(first["made_with"])
        return {value["case"]: value["record"] for value in values[1:] if value is not None}

    def _check(self, made_with: Mapping[str, Any]) -> None:
        wanted = json.loads(json.dumps(self.made_with))
        other = [key for key in {**made_with, **wanted} if made_with.get(key) != wanted.get(key)]
        if other:
            raise InputError(
                f"the run in {self.folder} was made with another {', '.join(sorted(other))}; "
                "its results cannot be mixed with these: give another folder, or the options of that run"
            )


def run_cases(
    names: Sequence[str],
    evaluate: Callable[[str], Record],
    journal: Journal,
    progress: Progress | None = None,
) -> tuple[Failure, ...]:
    """Evaluate every case that is not in the journal.

    A case that fails does not end the run. It is reported with its reason, and the next case follows.

    Parameters
    ----------
    names : sequence of str
        Names of the cases, in order.
    evaluate : callable
        Makes the record of a case.
    journal : Journal
        Open journal.
    progress : Progress, optional
        Called with stage "cases" as cases are done.

    Returns
    -------
    tuple of Failure
        The cases that failed.

    Raises
    ------
    CancelledError
        At an interrupt; the finished cases are kept.
    """
    failures = []
    known = journal.records
    waiting = [name for name in names if name not in known]
    done = len(names) - len(waiting)
    try:
        for name in waiting:
            if progress is not None:
                progress(STAGE, done, len(names))
            failure = _run_case(name, evaluate, journal)
            failures += [failure] if failure else []
            done += 1
    except KeyboardInterrupt as error:
        raise CancelledError(
            f"stopped after {len(journal.records)} of {len(names)} cases; --resume goes on with the rest"
        ) from error
    if progress is not None:
        progress(STAGE, done, len(names))
    return tuple(failures)


def _run_case(name: str, evaluate: Callable[[str], Record], journal: Journal) -> Failure | None:
    try:
        record = evaluate(name)
    except CancelledError:
        raise
    except CovidSeverityError as error:
        return Failure(name, str(error))
    except MemoryError:
        return Failure(name, "not enough memory for this volume")
    except Exception as error:  # one of a thousand cases must not end the run; its error is reported with its name
        return Failure(name, f"unexpected {type(error).__name__}: {error}")
    journal.add(name, record)
    return None


def _line(case: str, record: Record) -> str:
    return json.dumps({"case": case, "record": record}, allow_nan=False)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and ({"case", "record"} <= set(value) or "made_with" in value) else None
