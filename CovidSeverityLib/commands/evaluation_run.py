"""One evaluation on the command line: cases, journal, progress, files, and the lines that are printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.cases import Failure
from CovidSeverityLib.evaluation.journal import Journal, Record, run_cases
from CovidSeverityLib.evaluation.outputs import FAILURES_NAME, Outputs, csv_writer, failure_table, write_outputs
from CovidSeverityLib.evaluation.reports import RunFacts, counted
from CovidSeverityLib.reporting import OutputFolder, check_output_folder, write_together
from CovidSeverityLib.version import __version__

from .paths import given_path
from .progress import progress_for, progress_kind

NAMES_SHOWN = 3
"""A message names so many cases, then the number of further ones."""


@dataclass(frozen=True)
class EvaluationPlan:
    """The steps of an evaluation.

    Parameters
    ----------
    names : tuple of str
        Names of the cases, in order.
    evaluate : callable
        Makes the record of a case.
    finish : callable
        Makes the files from the records.
    made_with : mapping of str to any
        Everything except the files that determines a record; a run can only be resumed with the same values.
    failures : tuple of Failure
        Cases that are known in advance to be impossible to evaluate.
    profile : str or None
        Name of the profile; None if there is no profile.
    remarks : tuple of str
        Sentences to print.
    """

    names: tuple[str, ...]
    evaluate: Callable[[str], Record]
    finish: Callable[[Mapping[str, Record], RunFacts], Outputs]
    made_with: Mapping[str, Any]
    failures: tuple[Failure, ...] = ()
    profile: str | None = None
    remarks: tuple[str, ...] = ()


def run_plan(plan: EvaluationPlan, arguments: argparse.Namespace) -> None:
    """Evaluate the cases and write the files.

    Raises
    ------
    InputError
        If no case could be evaluated (``failures.csv`` then says why), or the folder holds an unfinished run.
    """
    folder = _folder(arguments)
    journal = Journal(folder.path, {"version": __version__, **plan.made_with})
    try:
        journal.open(arguments.resume)
    except BaseException:
        folder.discard_if_empty()
        raise
    kind = progress_kind(arguments)
    with progress_for(kind, sys.stderr if arguments.json else sys.stdout, of_cases=True) as progress:
        failures = (*plan.failures, *run_cases(plan.names, plan.evaluate, journal, progress))
    known = journal.records
    records = {name: known[name] for name in plan.names if name in known}
    if not records:
        journal.discard()
        raise _nothing_done(failures, folder)
    outputs = plan.finish(records, RunFacts(plan.profile, len(records), len(failures)))
    write_outputs(outputs, failures, folder.path)
    journal.close()
    _say(arguments, outputs, failures, plan.remarks, folder.path)


def write_evaluation(outputs: Outputs, failures: tuple[Failure, ...], arguments: argparse.Namespace) -> None:
    """Write the files of an evaluation of existing results."""
    if arguments.resume:
        raise InputError("--resume goes on with a run over images; scores that exist are evaluated at once")
    folder = _folder(arguments)
    write_outputs(outputs, failures, folder.path)
    _say(arguments, outputs, failures, (), folder.path)


def path_mark(path: Path | None) -> str | None:
    """A mark of the place of a folder or file that does not reveal the path; equal for equal paths on one machine."""
    return None if path is None else sha256(str(path.resolve()).encode()).hexdigest()[:16]


def listed(names: tuple[str, ...]) -> str:
    """A few names, and the number of further ones."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def _folder(arguments: argparse.Namespace) -> OutputFolder:
    return check_output_folder(given_path(arguments.output, "output folder"))


def _nothing_done(failures: tuple[Failure, ...], folder: OutputFolder) -> InputError:
    if not failures:
        folder.discard_if_empty()
        return InputError("there is no case to evaluate")
    write_together(folder.path, {FAILURES_NAME: csv_writer(failure_table(failures))})
    first = failures[0]
    return InputError(
        f"none of {counted(len(failures), 'case')} could be evaluated ({FAILURES_NAME} has the reasons); "
        f"the first, {first.case}: {first.reason}"
    )


def _say(
    arguments: argparse.Namespace,
    outputs: Outputs,
    failures: tuple[Failure, ...],
    remarks: tuple[str, ...],
    folder: Path,
) -> None:
    for remark in remarks:
        sys.stderr.write(f"note: {remark}\n")
    if failures:
        names = listed(tuple(failure.case for failure in failures))
        sys.stderr.write(f"warning: {counted(len(failures), 'case')} failed ({names}): {FAILURES_NAME} says why\n")
    if arguments.json:
        sys.stdout.write(json.dumps(outputs.summary, indent=2, allow_nan=False) + "\n")
    elif not arguments.quiet and arguments.progress != "json":
        sys.stdout.write(f"{outputs.headline}\nResults are in {folder}\n")
