"""The section "Batch" of the panel: many CTs at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError
from CovidSeveritySlicer.analysis.AnalysisSettings import AnalysisSettings
from CovidSeveritySlicer.analysis.BatchLogic import SERIES_STAGE, BatchSource, Source
from CovidSeveritySlicer.analysis.BatchTables import Batch, holdsBatch
from CovidSeveritySlicer.analysis.ChildOutput import CaseProgress
from CovidSeveritySlicer.analysis.DicomSeries import DatabaseSource, openDatabase
from CovidSeveritySlicer.analysis.InputFiles import UnusableInput
from CovidSeveritySlicer.analysis.Install import InstallDeclined

from .BatchResults import BatchResults
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
        Its ``batches`` run.
    settings : callable
        The options of the panel for an analysis; None without parameters.
    """

    def __init__(self, ui: Any, logic: Any, settings: Callable[[], AnalysisSettings | None]) -> None:
        self._ui = ui
        self._logic = logic
        self._settings = settings
        self._parameters: Any = None
        self._output: Path | None = None
        self._listed = False
        self._results = BatchResults(ui, logic, self._source, self._say)
        self._patients = PatientList(ui.batchPatientsList, self.update)
        for edit, name in ((ui.batchFolderEdit, FOLDER_SETTING), (ui.batchOutputEdit, OUTPUT_SETTING)):
            edit.currentPath = str(slicer.app.userSettings().value(name) or "")
            edit.connect("currentPathChanged(QString)", self.onPathChanged)
        ui.batchRunButton.connect("clicked(bool)", self.onRun)
        for signal, slot in self._connections():
            signal.connect(slot)

    def setParameters(self, parameters: Any) -> None:
        """Show a :class:`~CovidSeveritySlicer.Parameters.CovidSeverityParameters`; None for none."""
        self._parameters = parameters
        self._listed = False
        self.update()

    def disconnect(self) -> None:
        """The panel is destroyed."""
        self._results.disconnect()
        self._patients.stop()
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
            self._say(_("Cancelling: the tables of the finished cases are written..."))
            batches.cancel()
            return
        settings = self._settings()
        if settings is None:
            return
        self._remember()
        output, parameters = self._ui.batchOutputEdit.currentPath, self._parameters
        try:
            batches.start(self._source(), output, settings, parameters.batchWorkers, parameters.batchResume)
        except (AnalysisError, UnusableInput) as error:
            self._say(str(error))
            if not isinstance(error.__cause__, InstallDeclined):
                slicer.util.errorDisplay(str(error), windowTitle=_("CovidSeverity"))
            return
        self._output = Path(output).expanduser().absolute()
        self._showRun()

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
        self._results.show(batch, _("Finished."))

    def onFailed(self, message: str, log: str) -> None:
        """Show the error in a dialog with the log, and the cases that are finished."""
        self._endOfRun()
        self._results.open(self._output, message)
        slicer.util.errorDisplay(message, windowTitle=_("CovidSeverity"), **({"detailedText": log} if log else {}))

    def onCancelled(self) -> None:
        """Show the cases that are finished."""
        self._endOfRun()
        self._results.open(self._output, _("Cancelled. Run it again to go on."))

    def update(self) -> None:
        """Show what can be done now; tooltips say why the rest cannot."""
        database = self._fromDatabase()
        if database and not self._listed:
            self._patients.update()
        self._listed = database
        self._updatePlace(database)
        self._updateRunButton(database)
        self._updateResume()

    def _connections(self) -> tuple[tuple[Any, Any], ...]:
        made = self._logic.batches
        return (
            (made.progressed, self.onProgressed),
            (made.counted, self.onCounted),
            (made.said, self._showSaid),
            (made.finished, self.onFinished),
            (made.failed, self.onFailed),
            (made.cancelled, self.onCancelled),
        )

    def _fromDatabase(self) -> bool:
        return self._parameters is not None and self._parameters.batchSource is BatchSource.DATABASE

    def _source(self) -> Source:
        if not self._fromDatabase():
            return self._ui.batchFolderEdit.currentPath
        return DatabaseSource(openDatabase(), self._patients.chosen(), self._ui.batchNamesCheckBox.checked)

    def _remember(self) -> None:
        settings = slicer.app.userSettings()
        settings.setValue(FOLDER_SETTING, self._ui.batchFolderEdit.currentPath)
        settings.setValue(OUTPUT_SETTING, self._ui.batchOutputEdit.currentPath)

    def _updatePlace(self, database: bool) -> None:
        ui, problem = self._ui, self._patients.problem if database else ""
        ui.batchFolderLabel.text = _("Patients:") if database else _("Folder:")
        ui.batchFolderEdit.visible = not database
        ui.batchPatientsList.visible = ui.batchNamesCheckBox.visible = database and not problem
        ui.batchPatientsStatusLabel.visible = database
        ui.batchPatientsStatusLabel.text = problem or self._patients.count

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
        there, running = bool(path) and holdsBatch(Path(path).expanduser()), self._logic.batches.running
        box = self._ui.batchResumeCheckBox
        box.enabled = there and not running
        box.toolTip = (
            _("A batch is running.")
            if running
            else _("Keep what is whole in the output folder, and do the rest. Not ticked: the folder is refused.")
            if there
            else _("The output folder has no batch yet that could be gone on with.")
        )

    def _showRun(self) -> None:
        self._results.show(None)
        self._ui.batchProgressBar.setRange(0, 0)  # a bar that moves until the number of cases is known
        self._ui.batchProgressBar.visible = True
        self._showSaid(())
        self._say(_("Starting..."))
        self.update()

    def _endOfRun(self) -> None:
        self._ui.batchProgressBar.visible = False
        self._showSaid(())
        self.update()

    def _showSaid(self, lines: tuple[str, ...]) -> None:
        self._ui.batchSaidLabel.text = "\n".join(lines)
        self._ui.batchSaidLabel.visible = bool(lines)

    def _say(self, text: str) -> None:
        self._ui.batchStatusLabel.text = text
        self._ui.batchStatusLabel.visible = bool(text)
