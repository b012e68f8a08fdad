"""A row of the panel that says what a choice needs, with a button that gets it after consent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.ChildLogic import AnalysisError
from CovidSeveritySlicer.analysis.Install import InstallDeclined, InstallFailed
from CovidSeveritySlicer.analysis.Readiness import ModelOffer, Readiness

MEGABYTE = 1e6


class ReadinessRow:
    """Connects a label, a progress bar and a button.

    Parameters
    ----------
    ui : any
        Namespace Widgets of the panel.
    name : str
        Beginning of the names of the row's widgets. They are hidden while there is nothing to say.
    logic : CovidSeverityLogic
        Its ``downloads``, which several rows share, get missing models; its ``ensure`` installs missing packages.
    onChanged : callable
        Called when something was got: shows the choice anew.
    """

    def __init__(self, ui: Any, name: str, logic: Any, onChanged: Callable[[], None]) -> None:
        self._label, self._progressBar, self._button = (
            getattr(ui, name + kind) for kind in ("StatusLabel", "ProgressBar", "GetButton")
        )
        self._downloads = downloads = logic.downloads
        self._ensure = logic.ensure
        self._onChanged = onChanged
        self._readiness = Readiness()
        self._downloading = False
        self._signals = (
            (downloads.progressed, self.onProgressed),
            (downloads.listed, self.onListed),
            (downloads.finished, self.onFinished),
            (downloads.failed, self.onFailed),
            (downloads.cancelled, self.onCancelled),
        )
        for signal, slot in self._signals:
            signal.connect(slot)
        self._button.connect("clicked(bool)", self.onClicked)

    def disconnect(self) -> None:
        """The panel is destroyed."""
        for signal, slot in self._signals:
            signal.disconnect(slot)

    def show(self, readiness: Readiness) -> None:
        """Say what the choice needs. A download that this row has begun goes on and stays in view."""
        self._readiness = readiness
        if not self._downloading:
            self._say(readiness.sentence)
            self._showButton()

    def onClicked(self, _checked: bool = False) -> None:
        """Get what is missing, or cancel the download."""
        if self._downloading:
            self._button.enabled = False
            self._downloads.cancel()
        elif self._readiness.extension:
            _openExtension(self._readiness.extension)
        else:
            self._get(self._readiness)

    def onProgressed(self, name: str, done: int, total: int) -> None:
        """Show how much of a model is here."""
        if self._downloading:
            self._progressBar.value = int(100 * done / total) if total else 0
            text = _("Downloading {name}: {done} of {total} MB")
            self._say(text.format(name=name, done=f"{done / MEGABYTE:.1f}", total=f"{total / MEGABYTE:.1f}"))

    def onListed(self, name: str, paths: tuple[str, ...]) -> None:
        """Download the file of the authors' folder that the user chooses."""
        if not self._downloading:
            return
        path = paths[0] if len(paths) == 1 else _chosenOf(name, paths)
        if path:
            self._downloads.start([name], path)
        else:
            self.onCancelled()

    def onFinished(self) -> None:
        """Show the choice anew: it can be used now."""
        if self._end():
            self._onChanged()

    def onFailed(self, message: str, log: str) -> None:
        """Show why nothing was installed."""
        if self._end():
            self._onChanged()
            details = {"detailedText": log} if log else {}
            slicer.util.errorDisplay(message, windowTitle=_("CovidSeverity"), **details)

    def onCancelled(self) -> None:
        """Show the choice as it was before."""
        if self._end():
            self._onChanged()
            self._say(_("Cancelled. Nothing was installed.") + " " + self._readiness.sentence)

    def _get(self, readiness: Readiness) -> None:
        if self._downloads.running:
            slicer.util.infoDisplay(_("Another download is running. Wait until it ends, or cancel it."))
            return
        if readiness.models and not slicer.util.confirmOkCancelDisplay(
            consentText(readiness.models), windowTitle=_("CovidSeverity - Download")
        ):
            return
        try:
            for extra in readiness.extras:
                self._ensure(**{extra: True})
            if any(model.fromFolder for model in readiness.models):
                self._downloads.listFiles(readiness.models[0].name)
                self._begin()
            elif readiness.models:
                self._downloads.start([model.name for model in readiness.models])
                self._begin()
        except InstallDeclined as error:
            self._say(str(error))
            return
        except (InstallFailed, AnalysisError) as error:
            slicer.util.errorDisplay(str(error), windowTitle=_("CovidSeverity"))
        self._onChanged()

    def _begin(self) -> None:
        self._downloading = True
        self._progressBar.value = 0
        self._progressBar.visible = True
        self._say(_("Connecting..."))
        self._showButton()

    def _end(self) -> bool:
        """Whether it was this row's download that has ended."""
        ended, self._downloading = self._downloading, False
        self._progressBar.visible = False
        return ended

    def _showButton(self) -> None:
        self._button.enabled = True
        self._button.visible = self._downloading or not self._readiness.ready
        self._button.text = (
            _("Cancel")
            if self._downloading
            else _("Open {extension}...").format(extension=_placeOf(self._readiness.extension))
            if self._readiness.extension
            else _("Get it...")
        )

    def _say(self, text: str) -> None:
        self._label.text = text
        self._label.visible = bool(text)


def consentText(models: tuple[ModelOffer, ...]) -> str:
    """What a dialog asks before a download.

    Parameters
    ----------
    models : tuple of ModelOffer
        What would be downloaded.
    """
    lines = [_("To be downloaded and kept in your folder of models:"), ""]
    for model in models:
        text = _("{name}: {size}\nLicence: {licence}\nFrom: {source}\n")
        values = {"name": model.name, "size": model.sizeText, "licence": model.licenceText, "source": model.source}
        lines.append(text.format(**values))
    lines += [f"{model.conditions}\n" for model in models if model.conditions]
    lines.append(_("Nothing about you or your images is sent. Continue?"))
    return "\n".join(lines)


def _chosenOf(name: str, paths: tuple[str, ...]) -> str:
    """The file that the user chooses; empty if the user cancels."""
    dialog = qt.QInputDialog(slicer.util.mainWindow())
    dialog.setWindowTitle(_("CovidSeverity - Download"))
    dialog.setLabelText(_("The folder has several files. Which one is {name}?").format(name=name))
    dialog.setComboBoxItems(list(paths))
    return dialog.textValue() if dialog.exec_() else ""


def _openExtension(extension: str) -> None:
    """Open the module of an extension, or the Extensions Manager where the extension is not installed."""
    if hasattr(slicer.modules, extension.lower()):
        slicer.util.selectModule(extension)
    elif hasattr(slicer.app, "openExtensionsManagerDialog"):
        slicer.app.openExtensionsManagerDialog()
    else:
        text = _("This Slicer has no Extensions Manager. Install the extension {name} from its web page.")
        slicer.util.infoDisplay(text.format(name=extension))


def _placeOf(extension: str) -> str:
    return extension if hasattr(slicer.modules, extension.lower()) else _("Extensions Manager")
