"""The buttons under a result: views of it, saving and export."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.CorrectedPage import CorrectedPage
from CovidSeveritySlicer.corrections.LiveScore import openInSegmentEditor
from CovidSeveritySlicer.events.Background import Background
from CovidSeveritySlicer.scene.Comparison import showTable
from CovidSeveritySlicer.scene.ReportFiles import CORRECTED_PAGE, Report
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.ResultFiles import REPORT_FILE
from CovidSeveritySlicer.scene.SceneBridge import jumpTo, look, setShownIn3d, worstSlice

from .DicomExport import OBJECTS, ExportProblem, importObjects, objectsOf, openExport
from .ResultNodes import obstacle


class ResultButtons:
    """Connects the buttons of the result with their actions.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    logic : CovidSeverityLogic
        Its ``liveScores`` have the corrected numbers.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        self.ui = ui
        self.logic = logic
        self._result: AnalysisResult | None = None
        self._saving = Background()
        self._isSaving = False
        self._page = CorrectedPage()
        self._toolTips: dict[str, str] = {}
        for name, signal, slot in (
            ("show3dButton", "toggled(bool)", self.onShow3d),
            ("worstSliceButton", "clicked(bool)", self.onWorstSlice),
            ("editButton", "clicked(bool)", self.onEdit),
            ("tablesButton", "clicked(bool)", self.onTables),
            ("involvementChartButton", "clicked(bool)", self.onInvolvementChart),
            ("histogramChartButton", "clicked(bool)", self.onHistogramChart),
            ("saveReportButton", "clicked(bool)", self.onSaveReport),
            ("exportDicomButton", "clicked(bool)", self.onExportDicom),
        ):
            self._toolTips[name] = getattr(ui, name).toolTip
            getattr(ui, name).connect(signal, slot)
        self.update()

    @property
    def saving(self) -> bool:
        """Whether a report is being written."""
        return self._isSaving

    def setResult(self, result: AnalysisResult | None) -> None:
        """Set the result that the buttons act on; None for no result."""
        if result is not None and (
            self._result is None or result.segmentationNode is not self._result.segmentationNode
        ):
            self._check3d(_shownIn3d(result))
        self._result = result
        self.update()

    def update(self) -> None:
        """Disable the buttons whose nodes are missing; their tool tips say why."""
        for name, toolTip in self._toolTips.items():
            button, problem = getattr(self.ui, name), obstacle(self._result, name)
            button.enabled = not problem and not (name == "saveReportButton" and self._isSaving)
            button.toolTip = problem or toolTip

    def showFirst(self, result: AnalysisResult) -> None:
        """Show the CT of a new result in the slice views, unless one of them shows it, and what is to be seen first."""
        shown = {node.GetBackgroundVolumeID() for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
        if shown and result.volumeNode.GetID() not in shown:
            slicer.util.setSliceViewerLayers(background=result.volumeNode, fit=True)
        look(result)

    def onShow3d(self, shown: bool) -> None:
        """Show or hide the surfaces."""
        if not self._can("show3dButton"):
            self._check3d(False)
            return
        with slicer.util.tryWithErrorDisplay(_("The surfaces cannot be shown."), waitCursor=True):
            setShownIn3d(self._result, shown)
            manager = slicer.app.layoutManager()
            if shown and manager is not None and manager.threeDViewCount:
                manager.threeDWidget(0).threeDView().resetFocalPoint()

    def onWorstSlice(self, _checked: bool = False) -> None:
        """Show the slice with the largest area of opacity."""
        if not self._can("worstSliceButton"):
            return
        position = worstSlice(self._result)
        if position is None:
            slicer.util.showStatusMessage(_("No slice contains an opacity."), 5000)
            return
        jumpTo(position)

    def onEdit(self, _checked: bool = False) -> None:
        """Open the segmentation in the Segment Editor."""
        if self._can("editButton"):
            openInSegmentEditor(self._result)

    def onTables(self, _checked: bool = False) -> None:
        """Show the lobe table. The selector of the view has the other tables."""
        if self._can("tablesButton"):
            showTable(self._result.lobeTable)

    def onInvolvementChart(self, _checked: bool = False) -> None:
        """Show the share of opacity along the patient."""
        if self._can("involvementChartButton"):
            slicer.modules.plots.logic().ShowChartInLayout(self._result.involvementChart)

    def onHistogramChart(self, _checked: bool = False) -> None:
        """Show the histogram of the lungs."""
        if self._can("histogramChartButton"):
            slicer.modules.plots.logic().ShowChartInLayout(self._result.histogramChart)

    def onSaveReport(self, _checked: bool = False) -> None:
        """Write the report to a folder that the user chooses. A thread writes: meanwhile the button is disabled."""
        if not self._can("saveReportButton"):
            return
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the report"))
        if not folder or not _mayWriteTo(Path(folder)):
            return
        self.logic.liveScores.update()
        corrected = self.logic.liveScores.corrected(self._result.segmentationNode)
        with slicer.util.tryWithErrorDisplay(_("The report could not be saved."), waitCursor=True):
            report = Report(self._result, corrected)
            if corrected is None:
                self._save(report, folder)
            else:
                masks = self.logic.liveScores.masksWriter(self._result)
                self._page.draw(self._result, masks, lambda page, why: self._onPageDrawn(report, folder, page, why))
            self._isSaving = True
        self.update()

    def finish(self) -> None:
        """Wait for a report that is being written."""
        self._page.finish()
        self._saving.finish()

    def _can(self, button: str) -> bool:
        """Whether the nodes of a button are there. If not, the user is told: a script may click what is disabled."""
        problem = obstacle(self._result, button)
        if problem:
            slicer.util.showStatusMessage(problem, 5000)
        return not problem

    def _check3d(self, shown: bool) -> None:
        self.ui.show3dButton.blockSignals(True)
        self.ui.show3dButton.checked = shown
        self.ui.show3dButton.blockSignals(False)

    def _onPageDrawn(self, report: Report, folder: str, page: Path | None, problem: str) -> None:
        """Save the report, also where its page is missing; the user is told so."""
        if page is not None:
            report.addPage(page)
        self._save(report, folder)
        if page is None:
            text = _("The report is saved without {file}, the page with the corrected numbers: {reason}")
            slicer.util.errorDisplay(text.format(file=CORRECTED_PAGE, reason=problem))

    def _save(self, report: Report, folder: str) -> None:
        self._saving.run(lambda: report.save(Path(folder)), lambda saved: self._onSaved(folder, saved))

    def _onSaved(self, folder: str, saved: Future[Any]) -> None:
        self._isSaving = False
        self.update()
        with slicer.util.tryWithErrorDisplay(_("The report could not be saved.")):
            saved.result()
            slicer.util.showStatusMessage(_("The report is in {folder}").format(folder=folder), 5000)

    def onExportDicom(self, _checked: bool = False) -> None:
        """Import the DICOM objects of the library, where there are any, or open Slicer's export."""
        if not self._can("exportDicomButton"):
            return
        self.logic.liveScores.update()
        objects = None if self.logic.liveScores.corrected(self._result.segmentationNode) else objectsOf(self._result)
        try:
            if objects is not None and _wantsObjects(objects):
                importObjects(objects)
                slicer.util.showStatusMessage(_("Segmentation and measurements are in the DICOM database."), 5000)
            else:
                openExport(self._result)
        except ExportProblem as problem:
            slicer.util.errorDisplay(str(problem), windowTitle=_("CovidSeverity"))


def _shownIn3d(result: AnalysisResult) -> bool:
    display = result.segmentationNode.GetDisplayNode()
    segmentation = result.segmentationNode.GetSegmentation()
    surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    return bool(display and display.GetVisibility3D() and segmentation.ContainsRepresentation(surface))


def _mayWriteTo(folder: Path) -> bool:
    """Whether the folder has no report, or the user agrees to replace it."""
    if not (folder / REPORT_FILE).exists():
        return True
    question = _("The folder already contains a report. Its files will be replaced.")
    return slicer.util.confirmOkCancelDisplay(question, windowTitle=_("CovidSeverity"))


def _wantsObjects(folder: Path) -> bool:
    """Whether the user takes the objects of the library rather than Slicer's export."""
    question = _(
        "The analysis has written DICOM objects of this result, which name the patient: {names}. Copy them to Slicer's "
        "DICOM database? No opens Slicer's own export of the segmentation."
    )
    names = ", ".join(sorted(path.name for path in folder.glob(OBJECTS)))
    return slicer.util.confirmYesNoDisplay(question.format(names=names), windowTitle=_("CovidSeverity"))
