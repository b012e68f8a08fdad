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
from CovidSeveritySlicer.scene.ReportFiles import CORRECTED_PAGE, Report
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.ResultFiles import REPORT_FILE
from CovidSeveritySlicer.scene.SceneBridge import jumpTo, setShownIn3d, studyForExport, worstSlice


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
        self._page = CorrectedPage()
        ui.show3dButton.connect("toggled(bool)", self.onShow3d)
        ui.worstSliceButton.connect("clicked(bool)", self.onWorstSlice)
        ui.editButton.connect("clicked(bool)", self.onEdit)
        ui.tablesButton.connect("clicked(bool)", self.onTables)
        ui.involvementChartButton.connect("clicked(bool)", self.onInvolvementChart)
        ui.histogramChartButton.connect("clicked(bool)", self.onHistogramChart)
        ui.saveReportButton.connect("clicked(bool)", self.onSaveReport)
        ui.exportDicomButton.connect("clicked(bool)", self.onExportDicom)

    def setResult(self, result: AnalysisResult | None) -> None:
        """Set the result that the buttons act on; None for no result."""
        if result is not None and (
            self._result is None or result.segmentationNode is not self._result.segmentationNode
        ):
            self.ui.show3dButton.blockSignals(True)
            self.ui.show3dButton.checked = _shownIn3d(result)
            self.ui.show3dButton.blockSignals(False)
        self._result = result

    def showFirst(self, result: AnalysisResult) -> None:
        """Show the CT of a new result in the slice views, unless one of them shows it already."""
        shown = {node.GetBackgroundVolumeID() for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
        if shown and result.volumeNode.GetID() not in shown:
            slicer.util.setSliceViewerLayers(background=result.volumeNode, fit=True)

    def onShow3d(self, shown: bool) -> None:
        """Show or hide the surfaces."""
        with slicer.util.tryWithErrorDisplay(_("The surfaces cannot be shown."), waitCursor=True):
            setShownIn3d(self._result, shown)
            manager = slicer.app.layoutManager()
            if shown and manager is not None and manager.threeDViewCount:
                manager.threeDWidget(0).threeDView().resetFocalPoint()

    def onWorstSlice(self, _checked: bool = False) -> None:
        """Show the slice with the largest area of opacity."""
        position = worstSlice(self._result)
        if position is None:
            slicer.util.showStatusMessage(_("No slice contains an opacity."), 5000)
            return
        jumpTo(position)

    def onEdit(self, _checked: bool = False) -> None:
        """Open the segmentation in the Segment Editor."""
        openInSegmentEditor(self._result)

    def onTables(self, _checked: bool = False) -> None:
        """Show the lobe table. The selector of the view has the other tables."""
        if not _isThere(self._result.lobeTable):
            return
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
        application = slicer.app.applicationLogic()
        application.GetSelectionNode().SetActiveTableID(self._result.lobeTable.GetID())
        application.PropagateTableSelection()

    def onInvolvementChart(self, _checked: bool = False) -> None:
        """Show the share of opacity along the patient."""
        _showChart(self._result.involvementChart)

    def onHistogramChart(self, _checked: bool = False) -> None:
        """Show the histogram of the lungs."""
        _showChart(self._result.histogramChart)

    def onSaveReport(self, _checked: bool = False) -> None:
        """Write the report to a folder that the user chooses. A thread writes: meanwhile the button is disabled."""
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
            self.ui.saveReportButton.enabled = False

    def finish(self) -> None:
        """Wait for a report that is being written."""
        self._page.finish()
        self._saving.finish()

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
        self.ui.saveReportButton.enabled = True
        with slicer.util.tryWithErrorDisplay(_("The report could not be saved.")):
            saved.result()
            slicer.util.showStatusMessage(_("The report is in {folder}").format(folder=folder), 5000)

    def onExportDicom(self, _checked: bool = False) -> None:
        """Open Slicer's export for the study of the CT."""
        with slicer.util.tryWithErrorDisplay(_("The DICOM export could not be opened.")):
            study = studyForExport(self._result)
            dialog = slicer.qSlicerDICOMExportDialog(None)
            dialog.setMRMLScene(slicer.mrmlScene)
            dialog.execDialog(study)


def _showChart(chart: Any) -> None:
    if _isThere(chart):
        slicer.modules.plots.logic().ShowChartInLayout(chart)


def _isThere(node: Any) -> bool:
    """Whether a node of a result is still in the scene. If not, the user gets a message."""
    if node is not None and node.GetScene() is not None:
        return True
    slicer.util.showStatusMessage(_("It was deleted from the scene. Analyze again to get a new one."), 5000)
    return False


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
