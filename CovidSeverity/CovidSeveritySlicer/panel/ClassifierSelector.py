"""Choosing a classifier in the panel: an installed model, one to download, a file of weights, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.Classifiers import (
    NO_CLASSIFIER,
    classifierReadiness,
    installedClassifiers,
    offeredClassifiers,
)

from .ReadinessRow import ReadinessRow


class ClassifierSelector:
    """Connects the selector of classifiers, its button for files and its row for what is missing.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    logic : CovidSeverityLogic
        Its ``downloads`` get what is missing.
    onChosen : callable
        Called with the chosen classifier: "" for the installed model, "none", the name of a model, or a file.
    """

    def __init__(self, ui: Any, logic: Any, onChosen: Callable[[str], None]) -> None:
        self.ui = ui
        self._onChosen = onChosen
        self._classifiers: list[str] = []
        self._classifier = ""
        self._row = ReadinessRow(ui, "classifier", logic, self.onGot)
        ui.classifierSelector.connect("currentIndexChanged(int)", self.onIndexChanged)
        ui.classifierFileButton.connect("clicked(bool)", self.onChooseFile)

    def disconnect(self) -> None:
        """The panel is destroyed."""
        self._row.disconnect()

    def update(self) -> None:
        """List the models that are installed now, and those that can be downloaded."""
        selector, names, offered = self.ui.classifierSelector, installedClassifiers(), offeredClassifiers()
        self._classifiers = ["", NO_CLASSIFIER, *names, *offered]
        titles = [_("The installed model, if there is one"), _("None: no diagnosis"), *names]
        titles += [_("{name} (not installed)").format(name=name) for name in offered]
        selector.blockSignals(True)
        selector.clear()
        for title in titles:
            selector.addItem(title)
        selector.blockSignals(False)

    def show(self, classifier: str) -> None:
        """Select a classifier and show what it needs. A file is added to the list."""
        self._classifier = classifier
        if classifier not in self._classifiers:
            self._classifiers.append(classifier)
            self.ui.classifierSelector.addItem(qt.QFileInfo(classifier).fileName())
        self.ui.classifierSelector.currentIndex = self._classifiers.index(classifier)
        self._row.show(classifierReadiness(classifier))

    def onGot(self) -> None:
        """Show the list anew: a model may have come."""
        self.update()
        self.show(self._classifier)

    def onIndexChanged(self, index: int) -> None:
        """The user chooses an entry of the list."""
        if 0 <= index < len(self._classifiers):
            self._onChosen(self._classifiers[index])

    def onChooseFile(self, _checked: bool = False) -> None:
        """Let the user choose a file of weights."""
        title, kinds = _("Weights of a classifier"), _("Keras weights") + " (*.hdf5 *.h5)"
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kinds)
        if path:
            self._onChosen(path)
