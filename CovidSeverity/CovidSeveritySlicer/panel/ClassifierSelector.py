"""Choosing a classifier in the panel: an installed model, a file of weights, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.Classifiers import NO_CLASSIFIER, installedClassifiers


class ClassifierSelector:
    """Connects the selector of classifiers and its button for files.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    onChosen : callable
        Called with the chosen classifier: "" for the installed model, "none", the name of a model, or a file.
    """

    def __init__(self, ui: Any, onChosen: Callable[[str], None]) -> None:
        self.ui = ui
        self._onChosen = onChosen
        self._classifiers: list[str] = []
        ui.classifierSelector.connect("currentIndexChanged(int)", self.onIndexChanged)
        ui.classifierFileButton.connect("clicked(bool)", self.onChooseFile)

    def update(self) -> None:
        """List the models that are installed now."""
        selector, names = self.ui.classifierSelector, installedClassifiers()
        self._classifiers = ["", NO_CLASSIFIER, *names]
        selector.blockSignals(True)
        selector.clear()
        for title in (_("The installed model, if there is one"), _("None: no diagnosis"), *names):
            selector.addItem(title)
        selector.blockSignals(False)

    def show(self, classifier: str) -> None:
        """Select a classifier. A file is added to the list."""
        if classifier not in self._classifiers:
            self._classifiers.append(classifier)
            self.ui.classifierSelector.addItem(qt.QFileInfo(classifier).fileName())
        self.ui.classifierSelector.currentIndex = self._classifiers.index(classifier)

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
