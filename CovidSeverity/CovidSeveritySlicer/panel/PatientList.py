"""The list of patients of Slicer's DICOM database in the panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.DicomSeries import SeriesDatabase, openDatabase, patientLabels
from CovidSeveritySlicer.analysis.InputFiles import UnusableInput
from CovidSeveritySlicer.events.Steps import Steps


class PatientList:
    """Fills the list, and tells which patients are chosen.

    Parameters
    ----------
    widget : any
        QListWidget.
    onChanged : callable
        Called when the patients are listed, and when others are chosen.
    """

    def __init__(self, widget: Any, onChanged: Callable[[], None]) -> None:
        self._widget = widget
        self._tell = onChanged
        self._steps = Steps()
        self._labels: list[tuple[str, str]] = []
        self._keys: list[str] = []
        widget.connect("itemSelectionChanged()", onChanged)

    @property
    def count(self) -> str:
        """How many patients are chosen, in words."""
        chosen, total = len(self.chosen()), len(self._keys)
        if self._steps.running:
            return _("Reading the database...")
        if not chosen:
            return _("All {total} patients").format(total=total)
        return _("{chosen} of {total} patients").format(chosen=chosen, total=total)

    @property
    def problem(self) -> str:
        """Why there is nothing to choose from, in a sentence; empty if there is."""
        try:
            openDatabase()
        except UnusableInput as error:
            return str(error)
        if self._steps.running or self._keys:
            return ""
        return _("Slicer's DICOM database has no patients. Import images in the DICOM module, or choose a folder.")

    def update(self) -> None:
        """List the patients that are in the database now."""
        self._labels = []
        try:
            database: SeriesDatabase = openDatabase()
        except UnusableInput:
            self._show()
            return
        self._steps.run(patientLabels(database, self._labels), self._onListed)

    def stop(self) -> None:
        """Give up listing."""
        self._steps.forget()

    def chosen(self) -> tuple[str, ...]:
        """Keys of the chosen patients. Empty: all of them."""
        return tuple(key for n, key in enumerate(self._keys) if self._widget.item(n).isSelected())

    def _onListed(self, error: Exception | None) -> None:
        if error is not None:
            raise error
        self._show()
        self._tell()

    def _show(self) -> None:
        """Keep the choice where the patients are the same."""
        ordered = sorted(self._labels, key=lambda pair: pair[1].casefold())
        keys = [key for key, _label in ordered]
        if keys == self._keys:
            return
        chosen = set(self.chosen())
        self._keys = []
        self._widget.clear()
        for n, (key, label) in enumerate(ordered):
            self._widget.addItem(label)
            self._widget.item(n).setSelected(key in chosen)
        self._keys = keys
