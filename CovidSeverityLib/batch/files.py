"""The files of a whole batch: tables, pages and ``batch.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from CovidSeverityLib.formats.batch_tables import BATCH_FAILURES, CASES
from CovidSeverityLib.formats.columns import Kind
from CovidSeverityLib.reporting.files import HTML_NAME, REPORT_NAME, THUMBNAIL_NAME
from CovidSeverityLib.reporting.output_folder import FileWriter
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE, SCHEMA_VERSION
from CovidSeverityLib.reporting.tables import write_rows

from .destination import Destination
from .page.contact_sheet import contact_sheet_names, write_contact_sheets
from .page.index import write_index
from .plan import BatchPlan, digest_of
from .rows import row_of
from .seal import read_seal
from .sources import BatchSource
from .values import BatchCase, CaseFailure, CaseOutcome, CaseResult, Row

CASES_NAME, PARQUET_NAME, FAILURES_NAME = "cases.csv", "cases.parquet", "failures.csv"
INDEX_NAME, BATCH_NAME = "index.html", "batch.json"
OWN_NAMES = (CASES_NAME, PARQUET_NAME, FAILURES_NAME, INDEX_NAME, BATCH_NAME)
"""The files beside the cases, without the contact sheets, of which there are as many as are needed."""


def write_tables(
    source: BatchSource, folders: Mapping[str, str], outcomes: Mapping[str, CaseOutcome], plan: BatchPlan
) -> Mapping[str, Any]:
    """Write every file of the batch itself, all of them or none.

    A case that this run did not reach is in the tables if an earlier run made it.

    Parameters
    ----------
    source : BatchSource
        All cases, in the order of the tables.
    folders : mapping of str to str
        Their folders below that of the batch.
    outcomes : mapping of str to CaseResult or CaseFailure
        What became of those that this run reached.
    plan : BatchPlan
        How they were analysed, and where the files go.

    Returns
    -------
    mapping of str to any
        What ``batch.json`` says.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    destination, cases = plan.destination, source.cases
    rows = [row for case in cases if (row := _row(case, folders, outcomes, destination)) is not None]
    failures = [found for case in cases if isinstance(found := outcomes.get(case.case), CaseFailure)]
    failures = [*source.failures, *failures]
    summary = _summary(len(cases) + len(source.failures), rows, failures, plan)
    sheets = contact_sheet_names(len(rows))
    writers: dict[str, FileWriter] = {
        CASES_NAME: partial(_write_cases, rows),
        PARQUET_NAME: partial(_write_parquet, rows),
        FAILURES_NAME: partial(_write_failures, failures),
        **_sheets(rows, sheets, destination),
        INDEX_NAME: partial(_write_index, rows, failures, sheets, source.name, plan),
        BATCH_NAME: partial(_write_json, summary),
    }
    destination.publish(writers)
    return summary


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


def _write_index(
    rows: Sequence[Row],
    failures: Sequence[CaseFailure],
    sheets: Sequence[str],
    name: str,
    plan: BatchPlan,
    path: Path,
) -> None:
    write_index(
        rows,
        failures,
        path,
        name=name,
        version=plan.version,
        profile=plan.config.profile,
        report_name=HTML_NAME if plan.pages.html else REPORT_NAME,
        contact_sheets=sheets,
    )


def _sheets(rows: Sequence[Row], names: Sequence[str], destination: Destination) -> dict[str, FileWriter]:
    folders = {row["case"]: row["folder"] for row in rows}

    def all_of_them(path: Path) -> None:
        write_contact_sheets(rows, lambda case: _thumbnail(destination, str(folders[case])), path.parent)

    return {name: (all_of_them if number == 0 else lambda path: None) for number, name in enumerate(names)}


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _thumbnail(destination: Destination, folder: str) -> bytes | None:
    try:
        return destination.read(f"{folder}/{THUMBNAIL_NAME}")
    except FileNotFoundError:
        return None


def _summary(total: int, rows: Sequence[Row], failures: Sequence[CaseFailure], plan: BatchPlan) -> dict[str, Any]:
    settings = plan.settings()
    return {
        "schema_version": SCHEMA_VERSION,
        "research_use": RESEARCH_USE,
        "cases": total,
        "done": len(rows),
        "failed": len(failures),
        "left": total - len(rows) - len(failures),
        "version": plan.version,
        "profile": plan.config.name,
        "classifier": plan.classifier.name,
        "settings_sha256": digest_of(settings),
        "settings": settings,
    }
