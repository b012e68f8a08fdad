"""The panel: settings go to the parameters and the logic, and their state is shown."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError
from CovidSeveritySlicer.analysis.AnalysisSettings import AnalysisSettings
from CovidSeveritySlicer.analysis.Classifiers import NO_CLASSIFIER, installedClassifiers
from CovidSeveritySlicer.analysis.Engines import LungSource
from CovidSeveritySlicer.analysis.Install import InstallDeclined
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import Outputs, resultOf

from .BatchSection import BatchSection
from .ClassifierSelector import ClassifierSelector
from .ComparisonButton import ComparisonButton
from .EngineSelector import EngineSelector
from .PanelParameters import boundWidgets, latestResult, setOutputs
from .ResultButtons import ResultButtons
from .ResultCard import cardHtml, detailsHtml
from .Stages import overallPercent, stageTitle
from .TableViews import fitColumns


class Panel(VTKObservationMixin):
    """Connects the widgets of ``CovidSeverity.ui`` with the logic.

    Parameters
    ----------
    ui : any
        Namespace Widgets by their names, from ``slicer.util.childWidgetVariables``.
    logic : CovidSeverityLogic
        Runs the analysis.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self.logic = logic
        self.result: AnalysisResult | None = None
        self._buttons = ResultButtons(ui, logic)
        self._comparison = ComparisonButton(ui, logic)
        self._batch = BatchSection(ui, logic, self._settings)
        self._parameters: Any = None
        self._parameterNode: Any = None  # keeps the observers of the node from being collected as garbage
        self._guiTag: Any = None
        self._shownVolumeID: str | None = None
        self._engine = EngineSelector(ui, logic)
        self._classifier = ClassifierSelector(ui, logic, self.onClassifierChosen)
        self._classifies = False
        self._connectWidgets()
        self._connectLogic()

    def _connectWidgets(self) -> None:
        self.ui.analyzeButton.connect("clicked(bool)", self.onAnalyze)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)

    def _connectLogic(self) -> None:
        self.logic.started.connect(self.onStarted)
        self.logic.progressed.connect(self.onProgressed)
        self.logic.finished.connect(self.onFinished)
        self.logic.failed.connect(self.onFailed)
        self.logic.cancelled.connect(self.onCancelled)
        self.logic.liveScores.changed.connect(self.onCorrected)
        self.logic.cases.loaded.connect(self.onCaseLoaded)

    def enter(self) -> None:
        """The panel is shown. It stays connected when the user leaves it for the Segment Editor."""
        self._classifier.update()
        self.setParameters(self.logic.getParameterNode())

    def cleanup(self) -> None:
        """The panel is destroyed."""
        self._buttons.finish()
        self._comparison.disconnect()
        self._batch.disconnect()
        self._engine.disconnect()
        self._classifier.disconnect()
        self.setParameters(None)
        self.removeObservers()
        for signal, slot in (
            (self.logic.started, self.onStarted),
            (self.logic.progressed, self.onProgressed),
            (self.logic.finished, self.onFinished),
            (self.logic.failed, self.onFailed),
            (self.logic.cancelled, self.onCancelled),
            (self.logic.liveScores.changed, self.onCorrected),
            (self.logic.cases.loaded, self.onCaseLoaded),
        ):
            signal.disconnect(slot)

    def setParameters(self, parameters: Any) -> None:
        """Show a :class:`~CovidSeveritySlicer.Parameters.CovidSeverityParameters`; None shows an empty panel."""
        if self._parameters is not None:
            self._parameters.disconnectGui(self._guiTag)
            self.removeObserver(self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameters = parameters
        if parameters is not None:
            self._parameterNode = parameters.parameterNode
            self._guiTag = parameters.connectParametersToGui(boundWidgets(self.ui))
            self._shownVolumeID = _idOf(parameters.inputVolume)
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self._chooseFirstVolume()
        self._batch.setParameters(parameters)
        self.onParametersChanged()

    def onSceneStartClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Release the nodes of a scene that is about to be closed."""
        self.setParameters(None)

    def onSceneEndClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Show the parameters of the empty or loaded scene."""
        self.setParameters(self.logic.getParameterNode())

    def onNodeRemoved(self, _caller: Any = None, _event: Any = None) -> None:
        """Disable the buttons whose nodes have left the scene."""
        self._buttons.update()
        self._comparison.update()

    def onParametersChanged(self, _caller: Any = None, _event: Any = None) -> None:
        """Update the result, the buttons and the masks that would be used."""
        parameters = self._parameters
        if parameters is None:
            self._showResult(None)
            self._updateAnalyzeButton()
            return
        if _idOf(parameters.inputVolume) != self._shownVolumeID:
            self._shownVolumeID = _idOf(parameters.inputVolume)
            setOutputs(parameters, latestResult(parameters.inputVolume))
        self._showResult(None if parameters.outputSegmentation is None else resultOf(parameters.outputSegmentation))
        self._engine.show(parameters.lungSource, parameters.maskSegmentation)
        self._classifier.show(parameters.classifier)
        self._batch.update()
        self._updateAnalyzeButton()

    def onAnalyze(self, _checked: bool = False) -> None:
        """Start an analysis, or cancel the running one."""
        if self.logic.running:
            self.ui.analyzeButton.enabled = False
            self._say(_("Cancelling..."))
            self.logic.cancel()
            return
        parameters = self._parameters
        if parameters is None or not self._mayReplaceCorrections():
            return
        outputs = Outputs(
            segmentation=parameters.outputSegmentation,
            lobeTable=parameters.lobeTable,
            sliceTable=parameters.sliceTable,
            measurementTable=parameters.measurementTable,
        )
        masks = parameters.maskSegmentation if parameters.lungSource is LungSource.SCENE else None
        try:
            self.logic.start(parameters.inputVolume, self._settings(), outputs, masks)
        except AnalysisError as error:
            if isinstance(error.__cause__, InstallDeclined):
                self._endOfRun(error.message)
            else:
                self.onFailed(error.message, error.log)

    def onStarted(self) -> None:
        """Show the progress; the button now cancels."""
        chosen = "" if self._parameters is None else self._parameters.classifier
        self._classifies = chosen != NO_CLASSIFIER and (bool(chosen) or bool(installedClassifiers()))
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = True
        self._say(_("Starting..."))
        self._updateAnalyzeButton()

    def onProgressed(self, stage: str, done: int, total: int) -> None:
        """Show the stage and the progress of the whole."""
        percent = overallPercent(stage, done, total, self._classifies)
        if percent is not None:
            self.ui.progressBar.value = max(percent, self.ui.progressBar.value)
        self._say(stageTitle(stage) + "...")

    def onFinished(self, result: AnalysisResult) -> None:
        """Show the result if it belongs to the CT in the panel."""
        self._endOfRun("")
        self._buttons.showFirst(result)
        parameters = self._parameters or self.logic.getParameterNode()
        if result.volumeNode is parameters.inputVolume:
            setOutputs(parameters, result)
        self.onParametersChanged()

    def onFailed(self, message: str, log: str) -> None:
        """Show the error in the panel, and in a dialog with the log."""
        self._endOfRun(message)
        details = {"detailedText": log} if log else {}
        slicer.util.errorDisplay(message, windowTitle=_("CovidSeverity"), **details)

    def onCancelled(self) -> None:
        """Show that the analysis was cancelled."""
        self._endOfRun(_("Cancelled. The scene is unchanged."))

    def onCaseLoaded(self, result: AnalysisResult) -> None:
        """Show a case of a batch that has come into the scene."""
        self._buttons.showFirst(result)
        if self._parameters is not None:
            self._parameters.inputVolume = result.volumeNode  # it may have been chosen before its result was there
            setOutputs(self._parameters, result)
            self.onParametersChanged()

    def onCorrected(self, segmentationNode: Any) -> None:
        """Show the corrected numbers if they belong to the result in the panel."""
        if self.result is not None and self.result.segmentationNode is segmentationNode:
            self._showCard()
            fitColumns([getattr(self.result, name) for name in ("lobeTable", "sliceTable", "measurementTable")])

    def onClassifierChosen(self, classifier: str) -> None:
        """Remember the classifier."""
        if self._parameters is not None:
            self._parameters.classifier = classifier

    def _settings(self) -> AnalysisSettings | None:
        """The options that the panel shows; None without parameters."""
        parameters = self._parameters
        if parameters is None:
            return None
        return AnalysisSettings(
            profile=parameters.profile.value,
            classifier=parameters.classifier or None,
            independent_slices=parameters.independentSlices,
            force=parameters.force,
            lungs=parameters.lungSource,
        )

    def _chooseFirstVolume(self) -> None:
        if self._parameters.inputVolume is None:
            self._parameters.inputVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    def _showResult(self, result: AnalysisResult | None) -> None:
        self.result = result
        self._buttons.setResult(result)
        self._comparison.setResult(result)
        self.ui.resultCollapsibleButton.visible = result is not None
        self._showCard()

    def _showCard(self) -> None:
        if self.result is None:
            self.ui.cardLabel.text = self.ui.detailsLabel.text = ""
            return
        scores, node = self.logic.liveScores, self.result.segmentationNode
        corrected = scores.corrected(node)
        fields = None if corrected is None else corrected.fields
        self.ui.cardLabel.text = cardHtml(self.result.report, fields, scores.warnings(node))
        self.ui.detailsLabel.text = detailsHtml(self.result.report, fields)

    def _mayReplaceCorrections(self) -> bool:
        self.logic.liveScores.update()
        if self.result is None or self.logic.liveScores.corrected(self.result.segmentationNode) is None:
            return True
        return slicer.util.confirmOkCancelDisplay(
            _("The segmentation has manual corrections. A new analysis replaces them."),
            windowTitle=_("CovidSeverity"),
        )

    def _updateAnalyzeButton(self) -> None:
        button, running = self.ui.analyzeButton, self.logic.running
        ready = self._parameters is not None and self._parameters.inputVolume is not None
        button.text = _("Cancel") if running else _("Analyze")
        button.enabled = running or ready
        button.toolTip = (
            _("Stop the analysis. The scene stays unchanged.")
            if running
            else _("Find lungs, lobes and opacities in the chosen CT and score its severity.")
            if ready
            else _("Load a chest CT and choose it above.")
        )

    def _endOfRun(self, message: str) -> None:
        self.ui.progressBar.visible = False
        self._say(message)
        self._updateAnalyzeButton()

    def _say(self, text: str) -> None:
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)


def _idOf(node: Any) -> str | None:
    return None if node is None else node.GetID()
