"""Stands in for the part of Slicer's application that finds scripted modules, loads them and shows their panels."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import slicer

from .pythonqt import application, qt
from .qmrml_widgets import qMRMLWidget


class Signals:
    """Signals of an object of C++ that only have to be heard."""

    known: tuple[str, ...] = ()

    def __init__(self):
        self._functions = {signal: [] for signal in self.known}

    def connect(self, signal, function):
        if signal not in self._functions:
            raise AttributeError(f"signal '{signal}' does not exist on {type(self).__name__}")
        self._functions[signal].append(function)
        return True

    def disconnect(self, signal, function):
        if function in self._functions[signal]:
            self._functions[signal].remove(function)

    def send(self, signal, *values):
        for function in tuple(self._functions[signal]):
            function(*values)


class ApplicationSignals(Signals):
    known = ("startupCompleted()", "aboutToQuit()", "lastWindowClosed()")


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The widget that a module's panel is laid out in."""

    def self(self):
        return self._python


class qSlicerScriptedLoadableModule:
    """What a module's Python class is given as its parent; it takes no other attributes."""

    __slots__ = (
        "_source",
        "_widget",
        "acknowledgementText",
        "associatedNodeTypes",
        "categories",
        "contributors",
        "dependencies",
        "helpText",
        "hidden",
        "icon",
        "name",
        "path",
        "title",
        "widgetRepresentationCreationEnabled",
    )

    def __init__(self, path):
        self.path = str(path)
        self.name = Path(path).stem
        self.title = ""
        self.categories = self.dependencies = self.contributors = []
        self.helpText = self.acknowledgementText = ""
        self.hidden = False
        self._widget = None
        self._source = _loaded(self.name, Path(path))
        setattr(slicer.modules, f"{self.name}Instance", getattr(self._source, self.name)(self))

    def widgetRepresentation(self):
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget()
            self._widget.setLayout(qt.QVBoxLayout())
            self._widget._python = getattr(self._source, f"{self.name}Widget")(self._widget)
            setattr(slicer.modules, f"{self.name}Widget", self._widget._python)
            self._widget._python.setup()
            self._widget.setMRMLScene(slicer.mrmlScene)
        return self._widget


def _loaded(name, path):
    if str(path.parent) not in sys.path:  # as Slicer does with the folder of every scripted module
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class ModuleManager(Signals):
    """``slicer.app.moduleManager()``."""

    known = ("moduleAboutToBeUnloaded(QString)", "moduleLoaded(QString)")

    def __init__(self):
        super().__init__()
        self._modules = {}

    def load(self, path):
        """The module of a file; the application starts up with it."""
        module = qSlicerScriptedLoadableModule(path)
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        slicer.app.signals.send("startupCompleted()")
        return module

    def unload(self, name):
        """As at the end of the application."""
        self.send("moduleAboutToBeUnloaded(QString)", name)
        module = self._modules.pop(name)
        if module._widget is not None:
            module._widget.deleteLater()
            application.processEvents()

    def unloadModules(self):
        for name in tuple(self._modules):
            self.unload(name)

    def module(self, name):
        return self._modules.get(name)

    def factoryManager(self):
        return self

    def loadedModuleNames(self):
        return list(self._modules)
