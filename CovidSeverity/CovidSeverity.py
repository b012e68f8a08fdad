"""The module CovidSeverity of 3D Slicer: load a chest CT, click Analyze."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

OWN_PACKAGES = ("CovidSeveritySlicer", "CovidSeverityLib")

for _folder in (Path(__file__).resolve().parent, Path(__file__).resolve().parents[1]):
    # the installed library is beside this file, that of the repository beside the folder of this file
    if any((_folder / name / "__init__.py").is_file() for name in OWN_PACKAGES) and str(_folder) not in sys.path:
        sys.path.append(str(_folder))

from CovidSeveritySlicer import SelfTest  # noqa: E402 (it is on the path only now)


class CovidSeverity(ScriptedLoadableModule):
    """Title, category and help text of the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("CovidSeverity")
        parent.categories = [_("Chest Imaging Platform")]
        parent.dependencies = []
        parent.contributors = [_("The CovidSeverity developers")]
        parent.helpText = _(
            "Finds lungs, lobes, ground glass and consolidation in a chest CT, scores its severity (CT severity score, "
            "CTSS 0-25) and, with the weights of a classifier, distinguishes COVID-19, community-acquired pneumonia "
            "and normal. Load a CT, choose it, click Analyze. Research use only: not a medical device."
        )
        parent.acknowledgementText = _(
            "Implements and extends the published method for identification and severity assessment of COVID-19 in "
            "lung CT scans; see the citation file of the extension."
        )
        slicer.app.connect("startupCompleted()", _onStartupCompleted)


def _onStartupCompleted() -> None:
    from CovidSeveritySlicer.SampleDataSources import registerSampleData

    registerSampleData()


class CovidSeverityWidget(ScriptedLoadableModuleWidget):
    """The panel."""

    def __init__(self, parent: Any = None) -> None:
        self.logic = None
        self.panel = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        """Build the panel. Nothing is installed or computed."""
        from CovidSeveritySlicer.nodes.Terminology import registerTerminology
        from CovidSeveritySlicer.panel.Widget import Panel

        registerTerminology()
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/CovidSeverity.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = CovidSeverityLogic()
        self.logic.liveScores.followScene()
        self.panel = Panel(self.ui, self.logic)
        self.panel.enter()

    def enter(self) -> None:
        """The user opens the module."""
        self.panel.enter()

    def cleanup(self) -> None:
        """The module is unloaded or reloaded, or Slicer exits."""
        if self.panel is not None:
            self.panel.cleanup()
            self.logic.cleanup()

    def onReload(self) -> None:
        """Reload the module with all its packages."""
        for name in [name for name in sys.modules if name.split(".")[0] in OWN_PACKAGES]:
            del sys.modules[name]
        importlib.invalidate_caches()
        ScriptedLoadableModuleWidget.onReload(self)


class CovidSeverityLogic(ScriptedLoadableModuleLogic):
    """What the module can do, for the panel and for scripts; ``slicer.util.getModuleLogic("CovidSeverity")``.

    It has all methods, signals and parts of :class:`CovidSeveritySlicer.ModuleLogic.ModuleLogic`: ``analyze``,
    ``start``, ``cancel``, ``compare``, ``batches``, ``cases``, ``liveScores``. That file, and with it the library, is
    imported when the first logic is made, and not when Slicer starts. A new logic observes no node, and has no timer
    and no file.

    Parameters
    ----------
    **parts : dict
        Arguments of :class:`CovidSeveritySlicer.analysis.AnalysisLogic.AnalysisLogic`.
    """

    def __init__(self, **parts: Any) -> None:
        from CovidSeveritySlicer.ModuleLogic import ModuleLogic

        ScriptedLoadableModuleLogic.__init__(self)
        self._logic = ModuleLogic(**parts)
        self._parameters: Any = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._logic, name)

    def getParameterNode(self) -> Any:
        """Parameters of the panel in this scene: one object for each parameter node.

        In Slicer 5.10 the object leaves observers on the node. If Python collects the object while the node lives, the
        next change of the node crashes Slicer.
        """
        from CovidSeveritySlicer.Parameters import CovidSeverityParameters

        node = ScriptedLoadableModuleLogic.getParameterNode(self)
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = CovidSeverityParameters(node)
        return self._parameters


class CovidSeverityTest(SelfTest.SelfTest):
    """The tests of "Reload and Test"."""
