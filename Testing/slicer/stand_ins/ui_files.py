"""Stands in for ``qt.QUiLoader``: .ui files with widgets of CTK and qMRML, loaded by PyQt5's own reader.

The connections of the file that hand the scene on are made as they are written: a node selector that the file forgets
stays without a scene, as it does in Slicer.
"""

from __future__ import annotations

import io
import sys
import types
import xml.etree.ElementTree as ET

from PyQt5 import QtCore, uic

from .ctk_widgets import ctk
from .pythonqt import native_calls, qt
from .qmrml_widgets import CLASSES

HEADER = "stand_in_widgets"


def _custom_widgets():
    module = types.ModuleType(HEADER)
    vars(module).update({name: value for name, value in vars(ctk).items() if name.startswith("ctk")})
    vars(module).update({cls.__name__: cls for cls in CLASSES})
    return module


def _own_headers(root, module):
    for custom in root.iter("customwidget"):
        name = custom.find("class").text
        if not hasattr(module, name):
            raise RuntimeError(f"no stand-in for the widget {name}")
        custom.find("header").text = HEADER


def _scene_connections(root):
    """Take those connections out of the file that PyQt5 does not know the types of."""
    taken = []
    for parent in root.findall("connections"):
        for connection in list(parent):
            parts = {part: connection.find(part).text for part in ("sender", "signal", "receiver", "slot")}
            if "vtk" in parts["signal"]:
                parent.remove(connection)
                taken.append(parts)
    return taken


def _connect(widget, parts):
    named = {child.objectName: child for child in widget.findChildren(QtCore.QObject)} | {widget.objectName: widget}
    receiver = named[parts["receiver"]]
    slot = getattr(receiver, parts["slot"].partition("(")[0])
    named[parts["sender"]].connect(parts["signal"], lambda scene: slot(scene))


class QUiLoader:
    """Makes the widget of a .ui file."""

    def load(self, file, parent=None):
        root = ET.fromstring(bytes(file.readAll()).decode("utf-8"))
        module = _custom_widgets()
        _own_headers(root, module)
        taken = _scene_connections(root)
        sys.modules[HEADER] = module
        with native_calls():
            widget = uic.loadUi(io.StringIO(ET.tostring(root, encoding="unicode")))
        if parent is not None:
            widget.setParent(parent)
        for parts in taken:
            _connect(widget, parts)
        return widget


qt.QUiLoader = QUiLoader
