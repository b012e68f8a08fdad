"""``covid-severity batch``: analyse many CTs on the cores of this computer or on a cluster."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf, nan
from typing import TYPE_CHECKING

from CovidSeverityLib.batch.cluster import LocalWorkers, check_extra, local_client, remote_client
from CovidSeverityLib.batch.config import BatchConfig
from CovidSeverityLib.batch.destination import destination_of
from CovidSeverityLib.batch.dispatch import NoRoomError
from CovidSeverityLib.batch.files import (
    BATCH_NAME,
    CASES_NAME,
    FAILURES_NAME,
    INDEX_NAME,
    OWN_NAMES,
    BatchTables,
    collect,
    still_there,
    write_tables,
)
from CovidSeverityLib.batch.names import folder_names
from CovidSeverityLib.batch.places import CASES
from CovidSeverityLib.batch.plan import BatchPlan
from CovidSeverityLib.batch.run import BatchRun, Connect
from CovidSeverityLib.batch.sources import BatchSource, list_cases
from CovidSeverityLib.batch.values import CaseOutcome, CaseResult
from CovidSeverityLib.errors import CancelledError, CovidSeverityError, InputError, OutputError
from CovidSeverityLib.evaluation.reports import counted
from CovidSeverityLib.io.cost import GB
from CovidSeverityLib.reporting.dicom.writing import has_dicom_extra
from CovidSeverityLib.reporting.files import ReportPages

from .batch_progress import batch_progress
from .classifiers import add_classifier_option, chosen_with_checksum
from .ct_input import add_force, add_independent_slices, add_printing, add_profile
from .engines import add_engine_options, analysis_config, engines_of
from .evaluation_run import listed
from .progress import progress_kind

if TYPE_CHECKING:
    from distributed import Client

FIRST_WAIT_S = 10.0
"""How long the first connection to a scheduler is waited for."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Analyse every CT of a folder, a table or an address, several at a time. OUT gets index.html, cases.csv, "
        "cases.parquet, failures.csv and contact sheets, and in cases/ a folder for each case as analyze writes it. "
        "A case that fails does not end the others."
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder with CTs of any format, however nested; .csv with the columns path and id, if needed also lungs, "
        "lobes and series; or an address of fsspec, as in s3://bucket/cts, sftp://host/cts or zip://cts::all.zip",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, help="folder for the results, or an address of fsspec"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an earlier batch in OUT: what is whole stays, what is not or has changed is done again",
    )
    _add_workers(parser)
    add_profile(parser)
    add_classifier_option(parser, optional=True)
    add_engine_options(parser)
    add_independent_slices(parser)
    add_force(parser)
    _add_pages(parser)
    add_printing(parser)
    parser.set_defaults(run=run, lungs=None, lobes=None)  # masks are columns of a table of cases


def _add_workers(parser: argparse.ArgumentParser) -> None:
    usual = BatchConfig()
    parser.add_argument(
        "--workers",
        type=_whole,
        metavar="N",
        help="cases at a time, each in a process on one core (default: as many as cores and free memory allow)",
    )
    parser.add_argument(
        "--threads",
        type=_whole,
        metavar="N",
        help="threads of a worker (default: 1; more if memory does not allow a worker for each core)",
    )
    parser.add_argument(
        "--memory-per-worker",
        type=_positive,
        default=usual.worker_memory_bytes / GB,
        metavar="GB",
        help="a case that needs more is refused or stopped (default: %(default)g, for CTs of up to 512 x 512 x 600)",
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=usual.timeout_s,
        metavar="SECONDS",
        help="a case that takes longer is stopped (default: %(default)g)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="use the workers of this scheduler of Dask, as in tcp://10.0.0.1:8786; they must reach SOURCE and OUT",
    )


def _add_pages(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-html", dest="html", action="store_false", help="do not write report.html of the cases, 5 MB each"
    )
    parser.add_argument("--pdf", action="store_true", help="write report.pdf too (needs the package reportlab)")
    parser.add_argument("--language", metavar="CODE", help="language of the reports, if there is a translation to it")
    parser.add_argument("--no-dicom", action="store_true", help="write no DICOM objects")


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not 0 < value < inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raise :class:`~CovidSeverityLib.errors.InputError` for errors that the user can correct."""
    check_extra()
    kind = progress_kind(arguments)
    source = list_cases(arguments.source)
    memory = int(arguments.memory_per_worker * GB)
    local = None
    if arguments.scheduler is None:
        local = LocalWorkers.fitting(arguments.workers, arguments.threads, memory, len(source.cases))
    elif arguments.workers is not None:
        raise InputError("--workers is for this computer; a cluster has the workers that it was given")
    plan = _plan(arguments, source, memory, local.threads if local else arguments.threads or 1)
    plan.destination.check(OWN_NAMES)
    with plan.destination.lock():
        if not arguments.resume and plan.destination.size(BATCH_NAME) is not None:
            raise InputError(f"{plan.destination.shown} holds an earlier batch: --resume goes on with it")
        _run(arguments, source, plan, _connection(arguments, plan, local, say=kind == "bar"))


def _run(arguments: argparse.Namespace, source: BatchSource, plan: BatchPlan, connect: Connect) -> None:
    folders = {case: f"{CASES}/{name}" for case, name in folder_names(c.case for c in source.cases).items()}
    outcomes: dict[str, CaseOutcome] = {failure.case: failure for failure in source.failures}
    stopped: BaseException | None = None
    try:
        with batch_progress(progress_kind(arguments), sys.stderr if arguments.json else sys.stdout) as report:
            BatchRun(source.cases, folders, plan, report, outcomes).run(connect)
    except (KeyboardInterrupt, CovidSeverityError) as error:
        stopped = error
    try:
        outcomes = still_there(outcomes, folders, plan.destination)
        tables = collect(source, folders, outcomes, plan.destination)
        if stopped is None or tables.rows:
            write_tables(tables, plan)
    except OutputError as error:
        if stopped is None:
            raise OutputError(f"{error}; the cases are written, --resume writes the tables") from error
        raise _stopped(stopped, f"{len(outcomes)} of {len(source.cases)} cases") from stopped
    if stopped is not None:
        raise _stopped(stopped, f"{tables.done} of {tables.total} cases") from stopped
    _say(arguments, source, tables, outcomes, plan)


def _plan(arguments: argparse.Namespace, source: BatchSource, memory_bytes: int, threads: int) -> BatchPlan:
    return BatchPlan(
        destination_of(arguments.output),
        analysis_config(arguments),
        ReportPages(arguments.html, arguments.pdf, language=arguments.language),
        dicom=not arguments.no_dicom and has_dicom_extra(),
        force=arguments.force,
        independent_slices=arguments.independent_slices,
        engines=engines_of(arguments, masked=all(case.lobes for case in source.cases)),
        classifier=chosen_with_checksum(arguments.classifier),
        limits=BatchConfig(worker_memory_bytes=memory_bytes, timeout_s=arguments.timeout),
        threads=threads,
    )


def _connection(arguments: argparse.Namespace, plan: BatchPlan, local: LocalWorkers | None, say: bool) -> Connect:
    waits = [FIRST_WAIT_S]  # a wrong address is told at once; a scheduler that went away is waited for

    @contextmanager
    def connect() -> Iterator[Client]:
        wait_s = waits.pop() if waits else plan.limits.scheduler_wait_s
        opened = remote_client(arguments.scheduler, wait_s) if local is None else local_client(local, plan.limits)
        with opened as client:
            if say:
                _say_workers(client, local, arguments.scheduler)
            yield client

    return connect


def _say_workers(client: Client, local: LocalWorkers | None, address: str | None) -> None:
    where = f"the scheduler at {address}" if local is None else local.text
    needs = "" if local is None or importlib.util.find_spec("bokeh") else " (with the package bokeh)"
    try:
        dashboard = f"; dashboard {client.dashboard_link}{needs}"
    except KeyError:  # the scheduler has none
        dashboard = ""
    sys.stderr.write(f"Analysing with {where}{dashboard}\n")


def _stopped(error: BaseException, cases: str) -> CovidSeverityError:
    where = f"stopped after {cases}"
    if isinstance(error, NoRoomError):
        return OutputError(f"{error}; {where}: when there is room again, --resume goes on")
    if isinstance(error, KeyboardInterrupt | CancelledError):
        return CancelledError(f"{where}; --resume goes on with the rest")
    return CovidSeverityError(f"{error}; {where}; --resume goes on with the rest")


def _say(
    arguments: argparse.Namespace,
    source: BatchSource,
    tables: BatchTables,
    outcomes: Mapping[str, CaseOutcome],
    plan: BatchPlan,
) -> None:
    failures = tables.failures
    if not tables.rows:
        raise InputError(
            f"none of {counted(len(failures), 'case')} of {source.name} could be analysed ({FAILURES_NAME} has the "
            f"reasons); the first, {failures[0].case}: {failures[0].reason}"
        )
    ordered = (outcomes.get(case.case) for case in source.cases)
    results = [outcome for outcome in ordered if isinstance(outcome, CaseResult)]
    if not arguments.quiet:
        redone = (f"{one.case} was analysed again: {one.redone}" for one in results if one.redone)
        sys.stderr.write("".join(f"note: {remark}\n" for remark in (*source.remarks, *redone)))
    if failures:
        names = listed(tuple(failure.case for failure in failures))
        sys.stderr.write(f"warning: {counted(len(failures), 'case')} failed ({names}): {FAILURES_NAME} says why\n")
    if arguments.json:
        sys.stdout.write(json.dumps(tables.summary(plan), indent=2, allow_nan=False) + "\n")
    elif not arguments.quiet and arguments.progress != "json":
        kept = sum(result.reused for result in results) if arguments.resume else 0  # an answer may have been lost
        earlier = f", {kept} of them by an earlier run" if kept else ""
        sys.stdout.write(
            f"{counted(len(results), 'case')} analysed{earlier}, {len(failures)} failed\n"
            f"Results are in {plan.destination.shown}; {INDEX_NAME} shows them, {CASES_NAME} has the numbers\n"
        )
