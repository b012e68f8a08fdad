"""One case: the task that a worker does."""

from __future__ import annotations

import errno
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from CovidSeverityLib.analysis_request import AnalysisRequest, write_analysis
from CovidSeverityLib.classification.diagnosis import ExplainingClassifier
from CovidSeverityLib.classification.loading import ClassifierChoice
from CovidSeverityLib.errors import CovidSeverityError, InputError, OutputError, TooLargeError
from CovidSeverityLib.io.cost import memory_bounded
from CovidSeverityLib.parallel import allow_threads
from CovidSeverityLib.reporting.dicom.writing import has_dicom_extra
from CovidSeverityLib.reporting.files import REPORT_NAME, THUMBNAIL_NAME
from CovidSeverityLib.types import Progress
from CovidSeverityLib.version import __version__

from .fetching import fetched
from .input_digest import input_digest
from .page.thumbnail import write_thumbnail
from .plan import BatchPlan, digest_of
from .rows import row_of
from .seal import Origin, damage, read_seal, write_seal
from .values import ERROR, INPUT, LIMIT, OUTPUT, WORKER, BatchCase, CaseFailure, CaseOutcome, CaseResult, Row
from .watch import CaseLimitError, within_limits

if TYPE_CHECKING:
    from distributed import Worker

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a place for results that the next case would have as well."""


class WorkerError(CovidSeverityError):
    """A worker cannot do what it is asked for, because other packages are installed there."""


@dataclass(frozen=True)
class Reply:
    """What a worker says of a case.

    Parameters
    ----------
    outcome : CaseResult or CaseFailure
        What became of it.
    spent_worker : str
        Address of the worker, if its process should be ended: a case went over its limits there, and may still run.
    full : bool
        No results can be written any more, of no case.
    """

    outcome: CaseOutcome
    spent_worker: str = ""
    full: bool = False


@dataclass(frozen=True)
class CaseInputs:
    """The files of a case, on this computer."""

    ct: Path
    lungs: Path | None
    lobes: Path | None


def process_case(case: BatchCase, folder: str, plan: BatchPlan, memory_bytes: int) -> Reply:
    """Analyse a case and write its results, unless they are there already.

    Parameters
    ----------
    case : BatchCase
        The case.
    folder : str
        Its folder below that of the batch, with ``/``.
    plan : BatchPlan
        What is done with it.
    memory_bytes : int
        Memory that this process may use; 0 for no limit.

    Returns
    -------
    Reply
        No error is raised for anything that may happen to one case.
    """
    allow_threads(plan.threads)
    worker = _this_worker()
    if worker is not None:
        tempfile.tempdir = worker.local_directory  # Dask empties it, also after a process that was killed

    def work(progress: Progress) -> CaseResult:
        with memory_bounded(memory_bytes):
            return _result(case, folder, plan, progress)

    try:
        _check_worker(plan)
        return Reply(within_limits(work, memory_bytes, plan.limits))
    except Exception as error:  # one of a thousand cases must not end the others; its error is reported with its name
        spent = worker.address if isinstance(error, CaseLimitError | MemoryError) and worker is not None else ""
        reason, full = " ".join(_reason(error).split()), isinstance(error, OutputError) and _code(error) in FULL
        if not full:  # it ends in failures.csv, which tells no folders above the batch
            reason = reason.replace(f"{plan.destination.shown}/", "")
        return Reply(CaseFailure(case.case, _kind(error), reason), spent, full)


def _kind(error: Exception) -> str:
    kinds = {
        (CaseLimitError, TooLargeError, MemoryError): LIMIT,
        (OutputError,): OUTPUT,
        (InputError,): INPUT,
        (WorkerError,): WORKER,
    }
    return next((kind for types, kind in kinds.items() if isinstance(error, types)), ERROR)


def _reason(error: Exception) -> str:
    if isinstance(error, TooLargeError):
        return f"{error}; --memory-per-worker gives a worker more memory"
    if isinstance(error, MemoryError):
        return "not enough memory for this volume"
    return str(error) if isinstance(error, CovidSeverityError) else f"unexpected {type(error).__name__}: {error}"


def _check_worker(plan: BatchPlan) -> None:
    if plan.version != __version__:
        raise WorkerError(f"the worker has covid-severity {__version__}, the batch {plan.version}")
    if plan.dicom and not has_dicom_extra():
        raise WorkerError("the worker has no highdicom, which the batch writes DICOM objects with")


def _result(case: BatchCase, folder: str, plan: BatchPlan, progress: Progress) -> CaseResult:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="covid-severity-", ignore_cleanup_errors=True) as scratch:
        inputs = _inputs(case, Path(scratch))
        classifier, no_classifier = _classifier(plan.classifier)
        digests = _digests(inputs)
        origin = _origin(digests, case, plan, no_classifier)
        why = _why_again(plan, folder, origin)
        if why is None:
            return CaseResult(case.case, _stored_row(case, folder, plan, origin), reused=True)
        result, images = _request(case, inputs, plan).run(classifier, no_classifier, progress)
        if _digests(inputs) != digests:
            raise InputError("the input changed while it was read; --resume reads it again")
        with plan.destination.case_folder(PurePosixPath(folder).name) as local:
            seal = partial(write_seal, origin=origin, begun_s=begun)
            more = {THUMBNAIL_NAME: partial(write_thumbnail, result)}
            write_analysis(result, images, local, plan.pages, progress, seal=seal, more=more)
            report = json.loads((local / REPORT_NAME).read_bytes())
    row = row_of(case.case, folder, report, origin.input_sha256)
    return CaseResult(case.case, row, redone=why, seconds=time.monotonic() - begun)


@lru_cache(maxsize=1)
def _classifier(choice: ClassifierChoice) -> tuple[ExplainingClassifier | None, str]:
    """Loaded once for all cases of a process."""
    return choice.load()


def _inputs(case: BatchCase, scratch: Path) -> CaseInputs:
    def local(source: str | None, part: str) -> Path | None:
        return None if source is None else fetched(source, scratch / part)

    return CaseInputs(fetched(case.source, scratch / "ct"), local(case.lungs, "lungs"), local(case.lobes, "lobes"))


def _digests(inputs: CaseInputs) -> dict[str, str | None]:
    return {
        name: None if path is None else input_digest(path)
        for name, path in (("ct", inputs.ct), ("lungs", inputs.lungs), ("lobes", inputs.lobes))
    }


def _origin(digests: Mapping[str, str | None], case: BatchCase, plan: BatchPlan, no_classifier: str) -> Origin:
    ct, masks = str(digests["ct"]), {name: digest for name, digest in digests.items() if name != "ct"}
    settings = {**plan.settings, **masks, "series": case.series, "no_classifier": no_classifier}
    return Origin(ct, digest_of(settings), plan.version)


def _why_again(plan: BatchPlan, folder: str, origin: Origin) -> str | None:
    """Why the case is analysed: empty if it never was, a reason if it was; None if its result is whole."""
    seal = read_seal(plan.destination, folder)
    if seal is None:
        return "its result was not whole" if plan.destination.size(f"{folder}/{REPORT_NAME}") is not None else ""
    changed = origin.changed_since(seal.origin)
    if changed:
        return f"{changed} changed"
    return damage(plan.destination, folder, seal) or None


def _stored_row(case: BatchCase, folder: str, plan: BatchPlan, origin: Origin) -> Row:
    report = json.loads(plan.destination.read(f"{folder}/{REPORT_NAME}"))
    return row_of(case.case, folder, report, origin.input_sha256)


def _request(case: BatchCase, inputs: CaseInputs, plan: BatchPlan) -> AnalysisRequest:
    return AnalysisRequest(
        inputs.ct,
        plan.config,
        series=case.series,
        force=plan.force,
        independent_slices=plan.independent_slices,
        lungs=inputs.lungs,
        lobes=inputs.lobes,
        engines=plan.engines,
        dicom=plan.dicom,
    )


def _this_worker() -> Worker | None:
    """The worker that this is; None outside of Dask."""
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        return None


def _code(error: BaseException) -> int | None:
    """The number of the system's error behind ``error``."""
    cause = error.__cause__
    return cause.errno if isinstance(cause, OSError) else None
