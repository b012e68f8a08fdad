"""The tables of a batch: what became of every case."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from CovidSeveritySlicer.scene.ResultFiles import UnusableResult

CASES_FILE, FAILURES_FILE, PAGE_FILE, BATCH_FILE = "cases.csv", "failures.csv", "index.html", "batch.json"
CASES_FOLDER, CASE_PAGE = "cases", "report.html"

CASE_COLUMNS = (
    "case",
    "folder",
    "ctss",
    "ctss_low",
    "ctss_high",
    "severity",
    "warnings",
    "warning_codes",
    "input_sha256",
)
FAILURE_COLUMNS = ("case", "kind", "reason")
"""The columns that are read. The tables have more."""


@dataclass(frozen=True)
class BatchRow:
    """One case.

    Parameters
    ----------
    case : str
        Its id, unique in the batch.
    folder : Path or None
        Its result; None for a case that failed.
    ctss : int or None
        CT severity score; None where no lobe is known.
    ctssRange : tuple of int or None
        Lowest and highest CTSS within its uncertainty.
    severity : str
        In words.
    warnings : int
        Number of warnings.
    codes : tuple of str
        What the warnings are about.
    inputSha256 : str
        Checksum of the CT that was analysed.
    failure : str
        Why it failed, in a sentence; empty if it did not.
    """

    case: str
    folder: Path | None
    ctss: int | None = None
    ctssRange: tuple[int, int] | None = None
    severity: str = ""
    warnings: int = 0
    codes: tuple[str, ...] = ()
    inputSha256: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Batch:
    """What a batch has made.

    Parameters
    ----------
    folder : Path
        Its output folder.
    rows : tuple of BatchRow
        Cases with a result, in the order of their source, then those that failed.
    """

    folder: Path
    rows: tuple[BatchRow, ...]

    @property
    def failed(self) -> int:
        """Number of cases that failed."""
        return sum(bool(row.failure) for row in self.rows)

    @property
    def page(self) -> Path:
        """Its page for a browser. It may be missing."""
        return self.folder / PAGE_FILE


class BatchArrival:
    """A batch on its way to the user.

    Parameters
    ----------
    folder : Path
        Its output folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batch: Batch | None = None

    def read(self) -> None:
        """Read the tables. Any thread may call this.

        Raises
        ------
        UnusableResult
            The folder has no batch, or a table is damaged.
        """
        self._batch = readBatch(self._folder)

    def finish(self) -> Batch | None:
        """What was read."""
        return self._batch


def holdsBatch(folder: Path) -> bool:
    """Whether a batch was begun in a folder. One that was killed has left cases and no more."""
    return (folder / BATCH_FILE).is_file() or (folder / CASES_FOLDER).is_dir()


def readBatch(folder: Path) -> Batch:
    """Read the tables of a batch.

    Raises
    ------
    UnusableResult
        The folder has no batch, or a table is damaged.
    """
    if not (folder / CASES_FILE).is_file():
        text = _("The folder has no batch of CovidSeverity ({file}). Choose the output folder of a batch.")
        raise UnusableResult(text.format(file=CASES_FILE))
    rows = [_case(folder, cells) for cells in _cells(folder / CASES_FILE, CASE_COLUMNS)]
    failures = _cells(folder / FAILURES_FILE, FAILURE_COLUMNS) if (folder / FAILURES_FILE).exists() else []
    rows += [BatchRow(cells["case"], None, failure=cells["reason"] or cells["kind"]) for cells in failures]
    return Batch(folder, tuple(rows))


def _cells(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = set(columns) - set(reader.fieldnames or ())
            rows = [{column: row[column] or "" for column in columns} for row in reader] if not missing else None
    except (OSError, ValueError, csv.Error) as error:
        raise _damaged(path) from error
    if rows is None:
        raise _damaged(path)
    return rows


def _case(folder: Path, cells: dict[str, str]) -> BatchRow:
    path = folder / CASES_FILE
    try:
        low, high = _whole(cells["ctss_low"]), _whole(cells["ctss_high"])
        if not _isInside(cells["folder"]):  # a table may come from anywhere
            raise ValueError(f"{cells['folder']} is not in the batch")
        return BatchRow(
            case=cells["case"],
            folder=folder / cells["folder"],
            ctss=_whole(cells["ctss"]),
            ctssRange=None if low is None or high is None else (low, high),
            severity=cells["severity"],
            warnings=_whole(cells["warnings"]) or 0,
            codes=tuple(code for code in cells["warning_codes"].split(";") if code),
            inputSha256=cells["input_sha256"],
        )
    except ValueError as error:
        raise _damaged(path) from error


def _isInside(text: str) -> bool:
    place = Path(text)
    return bool(place.parts) and not place.anchor and ".." not in place.parts


def _whole(text: str) -> int | None:
    return int(text) if text else None


def _damaged(path: Path) -> UnusableResult:
    text = _("The batch cannot be shown: {file} is missing, damaged or of another version.")
    return UnusableResult(text.format(file=path.name))
