"""The button that compares the result in the panel with an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.AnalysisLogic import AnalysisError
from CovidSeveritySlicer.scene.Comparison import ComparisonResult, showTable
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import resultOf

from .ResultNodes import obstacle
from .Stages import stageTitle


class ComparisonButton:
    """Connects button and selector with the logic.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    logic : CovidSeverityLogic
        Its ``comparisons`` compare.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._result: AnalysisResult | None = None
        self._toolTip = ui.compareButton.toolTip
        ui.compareButton.connect("clicked(bool)", self.onCompare)
        for signal, slot in self._connections():
            signal.connect(slot)
        self.update()

    def setResult(self, result: AnalysisResult | None) -> None:
        """Set the later result; None for no result."""
        self._result = result
        self.update()

    def update(self) -> None:
        """Text and state of the button."""
        running, problem = self._logic.comparisons.running, obstacle(self._result, "compareButton")
        self._ui.compareButton.text = _("Cancel") if running else _("Compare...")
        self._ui.compareButton.enabled = running or not problem
        self._ui.compareButton.toolTip = problem or self._toolTip

    def disconnect(self) -> None:
        """The panel is destroyed."""
        for signal, slot in self._connections():
            signal.disconnect(slot)

    def onCompare(self, _checked: bool = False) -> None:
        """Compare, or cancel the running comparison."""
        if self._logic.comparisons.running:
            self._ui.compareButton.enabled = False
            self._logic.comparisons.cancel()
            return
        problem = obstacle(self._result, "compareButton")
        if problem:
            slicer.util.showStatusMessage(problem, 5000)
        before = None if problem else self._chosen()
        if before is None:
            return
        try:
            self._logic.startComparison(before, self._result)
        except AnalysisError as error:
            slicer.util.errorDisplay(error.message, windowTitle=_("CovidSeverity"))
        else:
            self._say(_("Starting..."))
        self.update()

    def onProgressed(self, stage: str, _done: int, _total: int) -> None:
        """Show the stage."""
        self._say(stageTitle(stage) + "...")

    def onFinished(self, result: ComparisonResult) -> None:
        """Show the table, and under the button what changed and what the reader should know."""
        self.update()
        self._say("\n".join(changeSentences(result.report)))
        showTable(result.table)

    def onFailed(self, message: str, log: str) -> None:
        """Show the error in a dialog with the log."""
        self.update()
        self._say(message)
        slicer.util.errorDisplay(message, windowTitle=_("CovidSeverity"), **({"detailedText": log} if log else {}))

    def onCancelled(self) -> None:
        """Show that it was cancelled."""
        self.update()
        self._say(_("Cancelled. The scene is unchanged."))

    def _connections(self) -> tuple[tuple[Any, Any], ...]:
        made = self._logic.comparisons
        return (
            (made.progressed, self.onProgressed),
            (made.finished, self.onFinished),
            (made.failed, self.onFailed),
            (made.cancelled, self.onCancelled),
        )

    def _chosen(self) -> Path | AnalysisResult | None:
        """The chosen result of the scene, or else a folder that the user chooses; None for none."""
        node = self._ui.earlierResultSelector.currentNode()
        if node is None:
            parent = slicer.util.mainWindow()
            folder = qt.QFileDialog.getExistingDirectory(parent, _("Folder with the earlier result"))
            return Path(folder) if folder else None
        earlier = resultOf(node)
        if earlier is None or node is self._result.segmentationNode:
            text = _("The chosen segmentation is not an earlier result. Choose another one, or none for a folder.")
            slicer.util.errorDisplay(text, windowTitle=_("CovidSeverity"))
            return None
        return earlier

    def _say(self, text: str) -> None:
        self._ui.comparisonLabel.text = text
        self._ui.comparisonLabel.visible = bool(text)


def changeSentences(report: Mapping[str, Any]) -> Iterator[str]:
    """The changes of both lungs, each with whether it is more than the method's own repeatability, then warnings."""
    lungs = report["lungs"]
    for text, quantity in (
        (_("CTSS since then: {change} ({words})."), "ctss"),
        (_("Opacity since then: {change} % of the lungs ({words})."), "opacity_percent"),
    ):
        change = lungs[quantity]["change"]
        if change is not None:
            more = lungs[quantity]["more_than_repeatability"]
            words = _("more than repeatability") if more else _("within repeatability")
            shown = f"{change:+g}" if quantity == "ctss" else f"{change:+.1f}"
            yield text.format(change=shown, words=words)
    for note in report["quality"]:
        if note["severity"] == "warning":
            yield _("Warning: {message}").format(message=note["message"])
