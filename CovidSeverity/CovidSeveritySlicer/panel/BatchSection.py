"""The section "Batch" of the panel: many CTs at once, and the table of what became of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError
from CovidSeveritySlicer.analysis.AnalysisSettings import AnalysisSettings
from CovidSeveritySlicer.analysis.BatchLogic import SERIES_STAGE, BatchSource
from CovidSeveritySlicer.analysis.BatchTables import CASE_PAGE, Batch, BatchRow, holdsBatch
from CovidSeveritySlicer.analysis.ChildOutput import CaseProgress
from CovidSeveritySlicer.analysis.DicomSeries import DatabaseSource, openDatabase
from CovidSeveritySlicer.analysis.Install import InstallDeclined

from .BatchTable import BatchTable
from .PatientList import PatientList
from .Stages import casesText

FOLDER_SETTING, OUTPUT_SETTING = "CovidSeverity/BatchFolder", "CovidSeverity/BatchOutput"
"""Settings of the application: a scene that is passed on must not tell a path."""


class BatchSection:
    """Connects the widgets of the section with the logic.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    logic : CovidSeverityLogic
        Its ``batches`` run, its ``cases`` load.
    settings : callable
        The options of the panel for an analysis; None without parameters.
    """

    def __init__(self, ui: Any, logic: Any, settings: Callable[[], AnalysisSettings | None]) -> None:
        self._ui = ui
        self._logic = logic
        self._settings = settings
        self._parameters: Any = None
        self._batch: Batch | None = None
        self._output: Path | None = None
        self._ending = ""
        self._listed = False
        self._table = BatchTable(ui.batchTable, self.update, self.onLoad)
        self._patients = PatientList(ui.batchPatientsList, self.update)
        ui.batchFolderEdit.currentPath = _setting(FOLDER_SETTING)
        ui.batchOutputEdit.currentPath = _setting(OUTPUT_SETTING)
        ui.batchFolderEdit.connect("currentPathChanged(QString)", self.onPathChanged)
        ui.batchOutputEdit.connect("currentPathChanged(QString)", self.onPathChanged)
        ui.batchRunButton.connect("clicked(bool)", self.onRun)
        ui.batchOpenButton.connect("clicked(bool)", self.onOpen)
        ui.batchLoadButton.connect("clicked(bool)", self.onLoadChosen)
        ui.batchPageButton.connect("clicked(bool)", self.onOpenPage)
        ui.batchFolderButton.connect("clicked(bool)", self.onOpenFolder)
        for signal, slot in self._connections():
            signal.connect(slot)

    def setParameters(self, parameters: Any) -> None:
        """Show a :class:`~CovidSeveritySlicer.Parameters.CovidSeverityParameters`; None for none."""
        self._parameters = parameters
        self._listed = False
        self.update()

    def disconnect(self) -> None:
        """The panel is destroyed."""
        for signal, slot in self._connections():
            signal.disconnect(slot)

    def onPathChanged(self, _path: str) -> None:
        """The user has chosen or typed a path."""
        self.update()

    def onRun(self, _checked: bool = False) -> None:
        """Run a batch, or cancel the running one."""
        batches = self._logic.batches
        if batches.running:
            self._ui.batchRunButton.enabled = False
            self._say(_("Cancelling: the tables of the finished CTs are written..."))
            batches.cancel()
            return
        settings = self._settings()
        if settings is None:
            return
        output, folder = self._ui.batchOutputEdit.currentPath, self._ui.batchFolderEdit.currentPath
        _keepSetting(FOLDER_SETTING, folder)
        _keepSetting(OUTPUT_SETTING, output)
        parameters = self._parameters
        try:
            batches.start(self._source(), output, settings, parameters.batchWorkers, parameters.batchResume)
        except AnalysisError as error:
            self._say(error.message)
            if not isinstance(error.__cause__, InstallDeclined):
                slicer.util.errorDisplay(error.message, windowTitle=_("CovidSeverity"))
            return
        self._output = Path(output).expanduser().absolute()
        self._show(None)
        self._ui.batchProgressBar.setRange(0, 0)
        self._ui.batchProgressBar.visible = True
        self._said(())
        self._say(_("Starting..."))
        self.update()

    def onProgressed(self, stage: str, done: int, total: int) -> None:
        """Show how far Slicer has looked through its database."""
        if stage == SERIES_STAGE:
            self._say(_("Looking for CT series: {done} of {total} patients").format(done=done, total=total))

    def onCounted(self, cases: CaseProgress) -> None:
        """Show the cases that are finished."""
        self._ui.batchProgressBar.setRange(0, max(cases.total, 1))
        self._ui.batchProgressBar.value = cases.done
        self._say(casesText(cases))

    def onFinished(self, batch: Batch) -> None:
        """Show the table."""
        self._endOfRun()
        self._ending = _("Finished.")
        self.onOpened(batch)

    def onFailed(self, message: str, log: str) -> None:
        """Show the error in a dialog with the log, and the cases that are finished."""
        self._endOfRun()
        self._openOutput(message)
        slicer.util.errorDisplay(message, windowTitle=_("CovidSeverity"), **({"detailedText": log} if log else {}))

    def onCancelled(self) -> None:
        """Show the cases that are finished."""
        self._endOfRun()
        self._openOutput(_("Cancelled. Run it again to go on."))

    def onOpen(self, _checked: bool = False) -> None:
        """Show a batch that the user chooses."""
        title = _("Output folder of a batch")
        start = self._ui.batchOutputEdit.currentPath
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, start)
        if folder:
            self._ending = ""
            self._say(_("Reading the tables..."))
            self._logic.batches.open(Path(folder))

    def onOpened(self, batch: Batch) -> None:
        """Show a batch."""
        self._show(batch)
        count = _("{count} cases, {failed} failed.").format(count=len(batch.rows), failed=batch.failed)
        self._say(" ".join(filter(None, (self._ending, count))))

    def onNotOpened(self, message: str) -> None:
        """Tell why there is no table. The reason why a batch has ended is more important."""
        self._say(self._ending or message)

    def onLoadChosen(self, _checked: bool = False) -> None:
        """Load the case of the chosen row."""
        row = self._table.chosen()
        if row is not None:
            self.onLoad(row)

    def onLoad(self, row: BatchRow) -> None:
        """Load a case; for one that failed, tell why."""
        if row.failure:
            self._say(f"{row.case}: {row.failure}")
        elif not self._logic.cases.running:
            self._say(_("Loading {case}...").format(case=row.case))
            known = self._logic.batches.sourceOf(self._batch)
            self._logic.cases.load(row, self._source() if known is None else known)
            self.update()

    def onLoaded(self, result: Any) -> None:
        """The panel shows it."""
        self._say(_("Loaded {case}.").format(case=result.volumeNode.GetName()))
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
        ui, database = self._ui, self._fromDatabase()
        if database and not self._listed:
            self._patients.update()
        self._listed = database
        for widget in (ui.batchFolderLabel, ui.batchFolderEdit):
            widget.visible = not database
        for widget in (ui.batchPatientsLabel, ui.batchPatientsList, ui.batchNamesCheckBox):
            widget.visible = database
        self._updateRunButton(database)
        self._updateResume()
        self._updateResultButtons()

    def _connections(self) -> tuple[tuple[Any, Any], ...]:
        batches, cases = self._logic.batches, self._logic.cases
        return (
            (batches.progressed, self.onProgressed),
            (batches.counted, self.onCounted),
            (batches.said, self._said),
            (batches.finished, self.onFinished),
            (batches.failed, self.onFailed),
            (batches.cancelled, self.onCancelled),
            (batches.opened, self.onOpened),
            (batches.notOpened, self.onNotOpened),
            (cases.loaded, self.onLoaded),
            (cases.failed, self.onNotLoaded),
        )

    def _fromDatabase(self) -> bool:
        return self._parameters is not None and self._parameters.batchSource is BatchSource.DATABASE

    def _source(self) -> str | DatabaseSource:
        if not self._fromDatabase():
            return self._ui.batchFolderEdit.currentPath
        return DatabaseSource(openDatabase(), self._patients.chosen(), self._ui.batchNamesCheckBox.checked)

    def _updateRunButton(self, database: bool) -> None:
        button, running = self._ui.batchRunButton, self._logic.batches.running
        problem = self._problem(database)
        button.text = _("Cancel") if running else _("Run batch")
        button.enabled = running or not problem
        button.toolTip = (
            _("End the batch. What is finished stays, and another run goes on with it.")
            if running
            else problem or _("Analyze all CTs of the source, with the profile and the classifier of Advanced.")
        )

    def _problem(self, database: bool) -> str:
        """Why no batch can be run, in a sentence; empty if it can."""
        if self._parameters is None:
            return _("There is no scene.")
        if database and self._patients.problem:
            return self._patients.problem
        if not database and not self._ui.batchFolderEdit.currentPath:
            return _("Choose a folder with CTs above.")
        return "" if self._ui.batchOutputEdit.currentPath else _("Choose an output folder above.")

    def _updateResume(self) -> None:
        path = self._ui.batchOutputEdit.currentPath
        there = bool(path) and holdsBatch(Path(path).expanduser())
        box = self._ui.batchResumeCheckBox
        box.enabled = there and not self._logic.batches.running
        box.toolTip = (
            _("Keep what is whole in the output folder and do the rest. Not ticked: the batch is refused.")
            if there
            else _("The output folder has no batch yet, so that there is nothing to go on with.")
        )

    def _updateResultButtons(self) -> None:
        ui, batch, row = self._ui, self._batch, self._table.chosen()
        loadable = row is not None and not row.failure
        ui.batchLoadButton.enabled = loadable and not self._logic.cases.running
        ui.batchLoadButton.toolTip = (
            _("Bring the CT of the chosen case into the scene, with its result.")
            if loadable
            else _("Choose a case with a result in the table.")
        )
        ui.batchPageButton.enabled = batch is not None and batch.page.is_file()
        ui.batchPageButton.toolTip = (
            _("Open the page of the batch in a browser: a sortable table with thumbnails.")
            if ui.batchPageButton.enabled
            else _("There is no page yet. Run a batch, or open one.")
        )
        ui.batchFolderButton.enabled = batch is not None
        ui.batchFolderButton.toolTip = (
            _("Show the output folder.") if batch is not None else _("Run a batch, or open one.")
        )

    def _show(self, batch: Batch | None) -> None:
        self._batch = batch
        self._table.show(batch)
        self.update()

    def _openOutput(self, ending: str) -> None:
        self._ending = ending
        self._say(ending)
        self._logic.batches.open(self._output)

    def _endOfRun(self) -> None:
        self._ui.batchProgressBar.visible = False
        self._said(())
        self.update()

    def _said(self, lines: tuple[str, ...]) -> None:
        self._ui.batchSaidLabel.text = "\n".join(lines)
        self._ui.batchSaidLabel.visible = bool(lines)

    def _say(self, text: str) -> None:
        self._ui.batchStatusLabel.text = text
        self._ui.batchStatusLabel.visible = bool(text)


def _openInDesktop(path: Path) -> None:
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))


def _setting(name: str) -> str:
    return str(slicer.app.userSettings().value(name) or "")


def _keepSetting(name: str, value: str) -> None:
    slicer.app.userSettings().setValue(name, value)
