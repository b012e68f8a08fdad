"""The panel: what the user sets goes to the parameters and the logic, what they answer is shown."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import SlicerParameterNamePropertyName
from slicer.util import VTKObservationMixin

from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError, AnalysisSettings
from CovidSeveritySlicer.analysis.Classifiers import NO_CLASSIFIER, installedClassifiers
from CovidSeveritySlicer.analysis.Install import InstallDeclined
from CovidSeveritySlicer.nodes.Masks import findMasks
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import Outputs, resultOf

from .ResultCard import cardHtml
from .ResultViews import ResultViews
from .Stages import overallPercent, stageTitle

OUTPUT_PARAMETERS = {
    "outputSegmentation": "segmentationNode",
    "lobeTable": "lobeTable",
    "sliceTable": "sliceTable",
    "measurementTable": "measurementTable",
}
"""Parameters that name outputs, and the result's nodes that belong there."""


class Panel(VTKObservationMixin):
    """Connects the widgets of ``CovidSeverity.ui`` with the logic.

    Parameters
    ----------
    ui : namespace of the widgets by their names, as ``slicer.util.childWidgetVariables`` gives it.
    logic : :class:`~.AnalysisLogic.AnalysisLogic` with ``getParameterNode()`` and ``liveScores``.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self.logic = logic
        self.result: AnalysisResult | None = None
        self._views = ResultViews(ui, logic)
        self._parameters: Any = None
        self._parameterNode: Any = None  # while Python knows it, its garbage collector spares the node's observers
        self._guiTag: Any = None
        self._shownVolumeID: str | None = None
        self._classifiers: list[str] = []
        self._classifies = False
        self._connectWidgets()
        self._connectLogic()

    def _connectWidgets(self) -> None:
        self.ui.analyzeButton.connect("clicked(bool)", self.onAnalyze)
        self.ui.classifierSelector.connect("currentIndexChanged(int)", self.onClassifierChosen)
        self.ui.classifierFileButton.connect("clicked(bool)", self.onChooseClassifierFile)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndClose)

    def _connectLogic(self) -> None:
        self.logic.started.connect(self.onStarted)
        self.logic.progressed.connect(self.onProgressed)
        self.logic.finished.connect(self.onFinished)
        self.logic.failed.connect(self.onFailed)
        self.logic.cancelled.connect(self.onCancelled)
        self.logic.liveScores.changed.connect(self.onCorrected)

    def enter(self) -> None:
        """The panel is shown. It follows the scene also when it is left: scores are corrected in another module."""
        self._listClassifiers()
        self.setParameters(self.logic.getParameterNode())

    def cleanup(self) -> None:
        """The panel goes."""
        self.setParameters(None)
        self.removeObservers()
        for signal, slot in (
            (self.logic.started, self.onStarted),
            (self.logic.progressed, self.onProgressed),
            (self.logic.finished, self.onFinished),
            (self.logic.failed, self.onFailed),
            (self.logic.cancelled, self.onCancelled),
            (self.logic.liveScores.changed, self.onCorrected),
        ):
            signal.disconnect(slot)

    def setParameters(self, parameters: Any) -> None:
        """Show these parameters, a :class:`~.Parameters.CovidSeverityParameters`; None shows none."""
        if self._parameters is not None:
            self._parameters.disconnectGui(self._guiTag)
            self.removeObserver(self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameters = parameters
        if parameters is not None:
            self._parameterNode = parameters.parameterNode
            self._guiTag = parameters.connectParametersToGui(_boundWidgets(self.ui))
            self._shownVolumeID = _idOf(parameters.inputVolume)
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self._chooseFirstVolume()
        self.onParametersChanged()

    def onSceneStartClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Let go of the nodes of a scene that is about to be closed."""
        self.setParameters(None)

    def onSceneEndClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Begin anew in the empty scene, or in the one that was loaded."""
        self.setParameters(self.logic.getParameterNode())

    def onParametersChanged(self, _caller: Any = None, _event: Any = None) -> None:
        """Show what follows from the parameters: the result, the buttons, the masks that would be taken."""
        parameters = self._parameters
        if parameters is None:
            self._showResult(None)
            self._updateAnalyzeButton()
            return
        if _idOf(parameters.inputVolume) != self._shownVolumeID:
            self._shownVolumeID = _idOf(parameters.inputVolume)
            _setOutputs(parameters, _latestResult(parameters.inputVolume))
        self._showResult(None if parameters.outputSegmentation is None else resultOf(parameters.outputSegmentation))
        self._showMasks(parameters.maskSegmentation)
        self._showClassifier(parameters.classifier)
        self._updateAnalyzeButton()

    def onAnalyze(self, _checked: bool = False) -> None:
        """Start an analysis, or cancel the one that runs."""
        if self.logic.running:
            self.ui.analyzeButton.enabled = False
            self._say(_("Cancelling..."))
            self.logic.cancel()
            return
        parameters = self._parameters
        if parameters is None or not self._mayReplaceCorrections():
            return
        settings = AnalysisSettings(
            profile=parameters.profile.value,
            classifier=parameters.classifier or None,
            independent_slices=parameters.independentSlices,
            force=parameters.force,
        )
        outputs = Outputs(
            segmentation=parameters.outputSegmentation,
            lobeTable=parameters.lobeTable,
            sliceTable=parameters.sliceTable,
            measurementTable=parameters.measurementTable,
        )
        try:
            self.logic.start(parameters.inputVolume, settings, outputs, parameters.maskSegmentation)
        except AnalysisError as error:
            if isinstance(error.__cause__, InstallDeclined):
                self._endOfRun(error.message)
            else:
                self.onFailed(error.message, error.log)

    def onStarted(self) -> None:
        """The button cancels from now on."""
        chosen = "" if self._parameters is None else self._parameters.classifier
        self._classifies = chosen != NO_CLASSIFIER and (bool(chosen) or bool(installedClassifiers()))
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = True
        self._say(_("Starting..."))
        self._updateAnalyzeButton()

    def onProgressed(self, stage: str, done: int, total: int) -> None:
        """Show the stage and how far the whole has come."""
        percent = overallPercent(stage, done, total, self._classifies)
        if percent is not None:
            self.ui.progressBar.value = max(percent, self.ui.progressBar.value)
        self._say(stageTitle(stage) + "...")

    def onFinished(self, result: AnalysisResult) -> None:
        """Show the result, if it is of the CT that the panel shows."""
        self._endOfRun("")
        self._views.showFirst(result)
        parameters = self._parameters or self.logic.getParameterNode()
        if result.volumeNode is parameters.inputVolume:
            _setOutputs(parameters, result)
        self.onParametersChanged()

    def onFailed(self, message: str, log: str) -> None:
        """Tell what went wrong, in the panel and in a dialog that holds the log."""
        self._endOfRun(message)
        details = {"detailedText": log} if log else {}
        slicer.util.errorDisplay(message, windowTitle=_("CovidSeverity"), **details)

    def onCancelled(self) -> None:
        """Nothing has changed in the scene."""
        self._endOfRun(_("Cancelled; the scene is as it was."))

    def onCorrected(self, segmentationNode: Any) -> None:
        """Show the corrected numbers if they are of the result that is shown."""
        if self.result is not None and self.result.segmentationNode is segmentationNode:
            self._showCard()

    def onClassifierChosen(self, index: int) -> None:
        """Remember the classifier."""
        if self._parameters is not None and 0 <= index < len(self._classifiers):
            self._parameters.classifier = self._classifiers[index]

    def onChooseClassifierFile(self, _checked: bool = False) -> None:
        """Let the user choose a file of weights."""
        title, kinds = _("Weights of a classifier"), _("Keras weights") + " (*.hdf5 *.h5)"
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kinds)
        if path and self._parameters is not None:
            self._parameters.classifier = path

    def _chooseFirstVolume(self) -> None:
        if self._parameters.inputVolume is None:
            self._parameters.inputVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    def _showResult(self, result: AnalysisResult | None) -> None:
        self.result = result
        self._views.setResult(result)
        self.ui.resultCollapsibleButton.visible = result is not None
        self._showCard()

    def _showCard(self) -> None:
        if self.result is None:
            self.ui.cardLabel.text = ""
            return
        scores, node = self.logic.liveScores, self.result.segmentationNode
        corrected = scores.corrected(node)
        fields = None if corrected is None else corrected.fields
        self.ui.cardLabel.text = cardHtml(self.result.report, fields, scores.warnings(node))

    def _showMasks(self, segmentationNode: Any) -> None:
        label = self.ui.maskStatusLabel
        label.visible = segmentationNode is not None
        if segmentationNode is None:
            return
        found = findMasks(segmentationNode)
        if found.completeLobes:
            label.text = _("Takes its five lobes.")
        elif found.completeLungs:
            label.text = _("Takes its lungs; lobes are found.")
        else:
            label.text = _("Neither both lungs nor five lobes are in it, by terminology.")

    def _listClassifiers(self) -> None:
        names = installedClassifiers()
        self._classifiers = ["", NO_CLASSIFIER, *names]
        self.ui.classifierSelector.blockSignals(True)
        self.ui.classifierSelector.clear()
        self.ui.classifierSelector.addItem(_("The installed model, if there is one"))
        self.ui.classifierSelector.addItem(_("None: leave the diagnosis open"))
        for name in names:
            self.ui.classifierSelector.addItem(name)
        self.ui.classifierSelector.blockSignals(False)

    def _showClassifier(self, chosen: str) -> None:
        if chosen not in self._classifiers:
            self._classifiers.append(chosen)
            self.ui.classifierSelector.addItem(qt.QFileInfo(chosen).fileName())
        self.ui.classifierSelector.currentIndex = self._classifiers.index(chosen)

    def _mayReplaceCorrections(self) -> bool:
        if self.result is None or self.logic.liveScores.corrected(self.result.segmentationNode) is None:
            return True
        return slicer.util.confirmOkCancelDisplay(
            _("The segmentation holds corrections by hand. A new analysis replaces them."),
            windowTitle=_("CovidSeverity"),
        )

    def _updateAnalyzeButton(self) -> None:
        button, running = self.ui.analyzeButton, self.logic.running
        ready = self._parameters is not None and self._parameters.inputVolume is not None
        button.text = _("Cancel") if running else _("Analyze")
        button.enabled = running or ready
        button.toolTip = (
            _("Stop the analysis; the scene stays as it is.")
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


def _boundWidgets(ui: Any) -> dict[str, Any]:
    """The widgets that are bound to parameters, by the names of these.

    ``connectGui`` finds them itself, but up to Slicer 5.10 it tells no tag to disconnect them with.
    """
    named = {widget.property(SlicerParameterNamePropertyName): widget for widget in vars(ui).values()}
    return {name: widget for name, widget in named.items() if name}


def _setOutputs(parameters: Any, result: AnalysisResult | None) -> None:
    with slicer.util.NodeModify(parameters.parameterNode):  # one change, not four
        for parameter, node in OUTPUT_PARAMETERS.items():
            setattr(parameters, parameter, None if result is None else getattr(result, node))


def _idOf(node: Any) -> str | None:
    return None if node is None else node.GetID()


def _latestResult(volumeNode: Any) -> AnalysisResult | None:
    """The result of this CT that came last into the scene."""
    for node in reversed(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")):
        result = resultOf(node)
        if result is not None and volumeNode is not None and result.volumeNode is volumeNode:
            return result
    return None
