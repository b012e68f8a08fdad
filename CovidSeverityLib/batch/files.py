"""The files of a whole batch: tables, pages and ``batch.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from CovidSeverityLib.formats.batch_tables import BATCH_FAILURES, CASES
from CovidSeverityLib.formats.columns import Kind
from CovidSeverityLib.reporting.files import HTML_NAME, REPORT_NAME, SEAL_NAME, THUMBNAIL_NAME
from CovidSeverityLib.reporting.output_folder import FileWriter
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE, SCHEMA_VERSION
from CovidSeverityLib.reporting.tables import write_rows

from .destination import Destination
from .local_destination import LocalDestination
from .page.contact_sheet import contact_sheet_name, contact_sheets
from .page.index import write_index
from .plan import BatchPlan, digest_of
from .rows import row_of
from .seal import read_seal
from .sources import BatchSource
from .values import OUTPUT, BatchCase, CaseFailure, CaseOutcome, CaseResult, Row

CASES_NAME, PARQUET_NAME, FAILURES_NAME = "cases.csv", "cases.parquet", "failures.csv"
INDEX_NAME, BATCH_NAME = "index.html", "batch.json"
OWN_NAMES = (CASES_NAME, PARQUET_NAME, FAILURES_NAME, INDEX_NAME, BATCH_NAME)
"""The files beside the cases, without the contact sheets, of which there are as many as are needed."""


@dataclass(frozen=True)
class BatchTables:
    """What is known of the cases of a batch.

    Parameters
    ----------
    name : str
        What the page calls the batch.
    total : int
        Number of its cases.
    rows : tuple of mapping
        Those with a result, by the columns of ``cases.csv``.
    failures : tuple of CaseFailure
        Those without one.
    """

    name: str
    total: int
    rows: tuple[Row, ...]
    failures: tuple[CaseFailure, ...]

    @property
    def done(self) -> int:
        """How many cases came to their end."""
        return len(self.rows) + len(self.failures)

    def summary(self, plan: BatchPlan) -> dict[str, Any]:
        """What ``batch.json`` says."""
        settings = plan.settings
        return {
            "schema_version": SCHEMA_VERSION,
            "research_use": RESEARCH_USE,
            "cases": self.total,
            "done": len(self.rows),
            "failed": len(self.failures),
            "left": self.total - self.done,
            "version": plan.version,
            "profile": plan.config.name,
            "classifier": plan.classifier.name,
            "settings_sha256": digest_of(settings),
            "settings": settings,
        }


def still_there(
    outcomes: Mapping[str, CaseOutcome], folders: Mapping[str, str], destination: Destination
) -> dict[str, CaseOutcome]:
    """The outcomes at the end of a batch: results whose files somebody removed meanwhile are none.

    Parameters
    ----------
    outcomes : mapping of str to CaseResult or CaseFailure
        What became of the cases.
    folders : mapping of str to str
        Their folders below that of the batch.
    destination : Destination
        Where the results are. An address is not asked, which would take a request for each case.
    """
    if not isinstance(destination, LocalDestination):
        return dict(outcomes)
    removed = CaseFailure("", OUTPUT, "its results were removed while the batch ran; --resume makes them again")
    return {
        case: replace(removed, case=case)
        if isinstance(outcome, CaseResult) and destination.size(f"{folders[case]}/{SEAL_NAME}") is None
        else outcome
        for case, outcome in outcomes.items()
    }


def collect(
    source: BatchSource, folders: Mapping[str, str], outcomes: Mapping[str, CaseOutcome], destination: Destination
) -> BatchTables:
    """The cases in the order of SOURCE. One that this run did not reach is there if it is whole all the same.

    Parameters
    ----------
    source : BatchSource
        All cases.
    folders : mapping of str to str
        Their folders below that of the batch.
    outcomes : mapping of str to CaseResult or CaseFailure
        What became of those that this run reached.
    destination : Destination
        Where the results are.
    """
    rows = (_row(case, folders, outcomes, destination) for case in source.cases)
    failures = (outcomes.get(case.case) for case in source.cases)
    return BatchTables(
        source.name,
        len(source.cases) + len(source.failures),
        tuple(row for row in rows if row is not None),
        (*source.failures, *(found for found in failures if isinstance(found, CaseFailure))),
    )


def write_tables(tables: BatchTables, plan: BatchPlan) -> None:
    """Write every file of the batch itself, all of them or none.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    folders = {row["case"]: row["folder"] for row in tables.rows}
    sheets = contact_sheets(tables.rows, lambda case: _thumbnail(plan.destination, str(folders[case])))
    writers: dict[str, FileWriter] = {
        CASES_NAME: partial(_write_cases, tables.rows),
        PARQUET_NAME: partial(_write_parquet, tables.rows),
        FAILURES_NAME: partial(_write_failures, tables.failures),
        **sheets,
        INDEX_NAME: partial(_write_index, tables, tuple(sheets), plan),
        BATCH_NAME: partial(_write_json, tables.summary(plan)),
    }
    plan.destination.publish(writers, obsolete=_stale_sheets(len(sheets), plan.destination))


def _row(
    case: BatchCase, folders: Mapping[str, str], outcomes: Mapping[str, CaseOutcome], destination: Destination
) -> Row | None:
    outcome = outcomes.get(case.case)
    if outcome is not None:
        return outcome.row if isinstance(outcome, CaseResult) else None
    seal = read_seal(destination, folders[case.case])
    try:
        report = json.loads(destination.read(f"{folders[case.case]}/{REPORT_NAME}"))
    except (FileNotFoundError, ValueError):
        return None
    return None if seal is None else row_of(case.case, folders[case.case], report, seal.origin.input_sha256)


def _write_cases(rows: Sequence[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, CASES.header(), [dict(row) for row in rows])


def _write_failures(failures: Sequence[CaseFailure], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, BATCH_FAILURES.header(), [dict(asdict(failure)) for failure in failures])


def _write_parquet(rows: Sequence[Row], path: Path) -> None:
    """The types are those of the columns, also where all cells are empty."""
    import pyarrow
    from pyarrow import parquet

    types = {Kind.TEXT: pyarrow.string(), Kind.INTEGER: pyarrow.int64(), Kind.NUMBER: pyarrow.float64()}
    schema = pyarrow.schema([(column.name, types[column.kind]) for column in CASES.columns])
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], schema), path)


def _write_index(tables: BatchTables, sheets: Sequence[str], plan: BatchPlan, path: Path) -> None:
    write_index(
        tables.rows,
        tables.failures,
        path,
        name=tables.name,
        version=plan.version,
        profile=plan.config.profile,
        report_name=HTML_NAME if plan.pages.html else REPORT_NAME,
        files=(CASES_NAME, PARQUET_NAME, FAILURES_NAME),
        contact_sheets=sheets,
    )


def _stale_sheets(count: int, destination: Destination) -> Iterator[str]:
    """Pages of an earlier run that had more cases."""
    number = count + 1
    while destination.size(contact_sheet_name(number)) is not None:
        yield contact_sheet_name(number)
        number += 1


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _thumbnail(destination: Destination, folder: str) -> bytes | None:
    try:
        return destination.read(f"{folder}/{THUMBNAIL_NAME}")
    except FileNotFoundError:
        return None
