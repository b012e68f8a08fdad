"""What became of the cases of a batch: the table, and the buttons under it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.BatchLogic import Source
from CovidSeveritySlicer.analysis.BatchTables import CASE_PAGE, Batch, BatchRow
from CovidSeveritySlicer.analysis.InputFiles import UnusableInput
from CovidSeveritySlicer.scene.Result import AnalysisResult

from .BatchTable import BatchTable


class BatchResults:
    """Shows batches, and loads their cases.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    logic : CovidSeverityLogic
        Its ``batches`` read tables, its ``cases`` load.
    source : callable
        The source that the panel shows. CTs of a batch of an earlier session are looked for there. It may raise
        :class:`~CovidSeveritySlicer.analysis.InputFiles.UnusableInput`.
    say : callable
        Shows a sentence.
    """

    def __init__(self, ui: Any, logic: Any, source: Callable[[], Source], say: Callable[[str], None]) -> None:
        self._ui = ui
        self._logic = logic
        self._source = source
        self._say = say
        self._batch: Batch | None = None
        self._ending = ""
        self.table = BatchTable(ui.batchTable, self.update, self.onLoad)
        ui.batchOpenButton.connect("clicked(bool)", self.onOpen)
        ui.batchLoadButton.connect("clicked(bool)", self.onLoadChosen)
        ui.batchPageButton.connect("clicked(bool)", self.onOpenPage)
        ui.batchFolderButton.connect("clicked(bool)", self.onOpenFolder)
        for signal, slot in self._connections():
            signal.connect(slot)
        self.update()

    def disconnect(self) -> None:
        """The panel is destroyed."""
        self.table.clear()
        for signal, slot in self._connections():
            signal.disconnect(slot)

    def show(self, batch: Batch | None, ending: str = "") -> None:
        """Show a batch, and how it ended; None shows none."""
        self._batch = batch
        self.table.show(batch)
        self.update()
        if batch is not None:
            count = _("{count} cases, {failed} failed.").format(count=len(batch.rows), failed=batch.failed)
            self._say(" ".join(filter(None, (ending, count))))

    def open(self, folder: Path, ending: str = "") -> None:
        """Show the batch in a folder when its tables are read; ``ending`` is how it ended."""
        self._ending = ending
        self._say(ending or _("Reading the tables..."))
        self._logic.batches.open(folder)

    def onOpen(self, _checked: bool = False) -> None:
        """Show a batch that the user chooses."""
        title = _("Output folder of a batch")
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), title, self._ui.batchOutputEdit.currentPath
        )
        if folder:
            self.open(Path(folder))

    def onOpened(self, batch: Batch) -> None:
        """The tables are read."""
        self.show(batch, self._ending)

    def onNotOpened(self, message: str) -> None:
        """Tell why there is no table. The reason why a batch has ended is more important."""
        self._say(self._ending or message)

    def onLoadChosen(self, _checked: bool = False) -> None:
        """Load the case of the chosen row."""
        row = self.table.chosen()
        if row is not None:
            self.onLoad(row)

    def onLoad(self, row: BatchRow) -> None:
        """Load a case; for one that failed, tell why."""
        if row.failure:
            self._say(f"{row.case}: {row.failure}")
            return
        if self._logic.cases.running:
            return
        known = self._logic.batches.sourceOf(self._batch)
        try:
            source = self._source() if known is None else known
        except UnusableInput as error:
            self.onNotLoaded(row, str(error))
            return
        self._say(_("Loading {case}...").format(case=row.case))
        self._logic.cases.load(row, source)
        self.update()

    def onLoaded(self, result: AnalysisResult) -> None:
        """The panel shows it."""
        self._say(_("{case} is loaded.").format(case=result.volumeNode.GetName()))
        self.update()

    def onNotLoaded(self, row: BatchRow, message: str) -> None:
        """Tell why, and show the page of the case instead."""
        page = row.folder / CASE_PAGE
        if page.is_file():
            message = _("{reason} Its report is shown in the browser.").format(reason=message)
            _openInDesktop(page)
        self._say(f"{row.case}: {message}")
        self.update()

    def onOpenPage(self, _checked: bool = False) -> None:
        """Open the page of the batch."""
        _openInDesktop(self._batch.page)

    def onOpenFolder(self, _checked: bool = False) -> None:
        """Open the output folder."""
        _openInDesktop(self._batch.folder)

    def update(self) -> None:
        """Show what can be done now; tooltips say why the rest cannot."""
        ui, batch, row = self._ui, self._batch, self.table.chosen()
        loadable = row is not None and not row.failure
        _enable(
            ui.batchLoadButton,
            loadable and not self._logic.cases.running,
            _("Bring the CT of the chosen case into the scene, with its result."),
            _("A case is being loaded.") if loadable else _("Choose a case with a result in the table."),
        )
        _enable(
            ui.batchPageButton,
            batch is not None and batch.page.is_file(),
            _("Open the page of the batch in a browser: a sortable table with thumbnails."),
            _("There is no page yet. Run a batch, or open one."),
        )
        _enable(
            ui.batchFolderButton,
            batch is not None,
            _("Show the output folder."),
            _("There is no output folder yet. Run a batch, or open one."),
        )

    def _connections(self) -> tuple[tuple[Any, Any], ...]:
        batches, cases = self._logic.batches, self._logic.cases
        return (
            (batches.opened, self.onOpened),
            (batches.notOpened, self.onNotOpened),
            (cases.loaded, self.onLoaded),
            (cases.failed, self.onNotLoaded),
        )


def _enable(button: Any, enabled: bool, does: str, needs: str) -> None:
    button.enabled = enabled
    button.toolTip = does if enabled else needs


def _openInDesktop(path: Path) -> None:
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))
