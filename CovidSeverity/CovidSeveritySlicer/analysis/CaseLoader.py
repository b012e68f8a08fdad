"""A case of a batch into the scene: its CT, read as the batch read it, and its result. No GUI."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from CovidSeverityLib.errors import InputError
from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Steps import Steps
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.ResultFiles import NEUTRAL_NAME, REPORT_FILE, UnusableResult, checkedReport
from CovidSeveritySlicer.scene.SceneBridge import ResultImport, resultOf
from CovidSeveritySlicer.scene.SceneTransaction import removeNodes
from CovidSeveritySlicer.scene.StoredCt import StoredCt, ctNode

from .BatchTables import BatchRow
from .DicomSeries import CtSeries, DatabaseSource, findByCase, placeImages

if TYPE_CHECKING:
    from CovidSeverityLib.batch.values import BatchCase


@dataclass
class _Loading:
    row: BatchRow
    volumeNode: Any = None

    def remove(self) -> None:
        """Take the CT out of the scene again."""
        if self.volumeNode is not None:
            removeNodes(node for node in (self.volumeNode.GetDisplayNode(), self.volumeNode) if node is not None)


class CaseLoader:
    """Loads one case at a time. Threads find and read the files.

    Signals
    -------
    loaded(result: AnalysisResult)
        CT and result are in the scene.
    failed(row: BatchRow, message: str)
        They are not, and the scene is as it was.

    Parameters
    ----------
    timerFactory : TimerFactory
        Makes the timers that look after the threads.
    """

    def __init__(self, timerFactory: TimerFactory = qtTimer) -> None:
        self.loaded = Signal()
        self.failed = Signal()
        self._background = Background(timerFactory)
        self._steps = Steps(timerFactory)
        self._loading: _Loading | None = None
        self._listed: tuple[str, Mapping[str, BatchCase]] | None = None

    @property
    def running(self) -> bool:
        """Whether a case is being loaded."""
        return self._loading is not None

    def load(self, row: BatchRow, source: str | DatabaseSource) -> None:
        """Begin to load a case and return. A signal reports the end. While another case is loaded nothing happens.

        Parameters
        ----------
        row : BatchRow
            A case with a result.
        source : str or DatabaseSource
            Where the batch has its CTs from.
        """
        if self.running:
            return
        loading = _Loading(row)
        self._loading = loading
        known = _inScene(row)
        if known is not None:
            self._loaded(known)
        elif isinstance(source, DatabaseSource):
            found: list[CtSeries] = []
            self._steps.run(findByCase(source, row.case, found), lambda error: self._onSeries(loading, found, error))
        else:
            self._read(loading, lambda: self._readFromSource(row, source))

    def finish(self) -> None:
        """Wait for the case that is being loaded."""
        self._steps.finish()
        while self._background.running:
            self._background.finish()

    def cleanup(self) -> None:
        """Give up the case that is being loaded."""
        self._steps.forget()
        self._background.forget()
        if self._loading is not None:
            self._loading.remove()
        self._loading = None

    def _onSeries(self, loading: _Loading, found: list[CtSeries], error: Exception | None) -> None:
        if error is not None:
            self._end(loading, _("The DICOM database cannot be read: {reason}").format(reason=error))
        elif not found:
            self._end(loading, _("The CT of this case is not in the DICOM database."))
        else:
            self._read(loading, lambda: _readSeries(loading.row, found[0]))

    def _read(self, loading: _Loading, read: Callable[[], StoredCt]) -> None:
        self._background.run(read, lambda ended: self._onCt(loading, ended))

    def _readFromSource(self, row: BatchRow, source: str) -> StoredCt:
        from CovidSeverityLib.batch.fetching import fetched
        from CovidSeverityLib.batch.sources import list_cases

        if self._listed is None or self._listed[0] != source:
            self._listed = source, {found.case: found for found in list_cases(source).cases}
        found = self._listed[1].get(row.case)
        if found is None:
            raise UnusableResult(_("The CT of this case is not in {source}.").format(source=source))
        with tempfile.TemporaryDirectory(prefix="CovidSeverity-", ignore_cleanup_errors=True) as folder:
            return _readUnchanged(row, fetched(found.source, Path(folder)), found.series)

    def _onCt(self, loading: _Loading, read: Future[StoredCt]) -> None:
        """The CT comes into the scene, then a thread reads the result."""
        try:
            loading.volumeNode = ctNode(read.result(), loading.row.case)
            arrival = ResultImport(loading.row.folder, loading.volumeNode)
        except Exception as error:
            self._end(loading, _sentence(error))
        else:
            self._background.run(arrival.read, lambda ended: self._onResult(loading, arrival, ended))

    def _onResult(self, loading: _Loading, arrival: ResultImport, read: Future[None]) -> None:
        try:
            read.result()
            result = arrival.finish()
        except Exception as error:
            self._end(loading, _sentence(error))
        else:
            self._loaded(result)

    def _loaded(self, result: AnalysisResult) -> None:
        self._loading = None
        self.loaded.emit(result)

    def _end(self, loading: _Loading, problem: str) -> None:
        loading.remove()
        self._loading = None
        self.failed.emit(loading.row, problem)


def _sentence(error: Exception) -> str:
    """Why a case cannot be loaded. An error that nobody expects goes to the log, too."""
    if isinstance(error, InputError):
        return _("The CT of this case cannot be read: {reason}").format(reason=error)
    if not isinstance(error, (UnusableResult, OSError)):
        logging.getLogger(__name__).error("a case could not be loaded", exc_info=error)
    return str(error)


def _readSeries(row: BatchRow, series: CtSeries) -> StoredCt:
    folder = Path(tempfile.mkdtemp(prefix="CovidSeverity-", dir=slicer.app.temporaryPath))
    try:
        return _readUnchanged(row, placeImages(series, folder), series.uid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # links, not the images


def _readUnchanged(row: BatchRow, path: Path, seriesUid: str | None) -> StoredCt:
    from CovidSeverityLib.batch.input_digest import input_digest

    if input_digest(path) != row.inputSha256:
        raise UnusableResult(_("The CT of this case is not the one that was analysed. Run the batch again."))
    return StoredCt.read(path, seriesUid)


def _inScene(row: BatchRow) -> AnalysisResult | None:
    """The result of this case, if it is in the scene and was not made again since."""
    try:
        report = checkedReport((row.folder / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        result = resultOf(node)
        if result is None or result.folder != row.folder or result.volumeNode is None or report is None:
            continue
        if result.report == {**report, "input": {**report["input"], "name": NEUTRAL_NAME}}:
            return result
    return None
