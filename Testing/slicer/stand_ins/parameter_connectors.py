"""How the stand-in for ``slicer.parameterNodeWrapper`` ties parameters to widgets, one kind of widget at a time.

The originals ask for the very class: a ctkCheckBox is no QCheckBox to them, nor to these.
"""

from __future__ import annotations

import enum
import pathlib

import slicer

from .ctk_widgets import ctk
from .parameter_types import Choice, WithinRange, node_classes, split_annotations
from .pythonqt import qt


def _annotation(annotations, kind):
    return next((found for found in annotations if isinstance(found, kind)), None)


class Connector:
    """Reads and writes a property of a widget."""

    def __init__(self, widget, read, write, signal):
        self.widget = widget
        self.read = read
        self._write = write
        self._signal = signal
        self._callback = None

    def write(self, value):
        self._write(value)

    def onChanged(self, callback):
        if callback is None:
            self._signal.disconnect(self._changed)
        else:
            self._signal.connect(self._changed)
        self._callback = callback

    def _changed(self, *values):
        if self._callback is not None:
            self._callback()


def _of_property(widget, name, signal):
    return Connector(widget, lambda: getattr(widget, name), lambda value: setattr(widget, name, value), signal)


def _of_items(widget, items):
    widget.clear()
    for label, _ in items:
        widget.addItem(label)
    values = [value for _, value in items]

    def write(value):
        widget.currentIndex = values.index(value)

    return Connector(widget, lambda: values[widget.currentIndex], write, widget.currentIndexChanged)


def _of_combo_box(widget, kind, annotations):
    if issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda value: value.name)
        return _of_items(widget, [(label(value), value) for value in kind])
    choice = _annotation(annotations, Choice)
    if choice is None:
        raise RuntimeError("a QComboBox is connected to a parameter with the annotation Choice")
    return _of_items(widget, [(str(value), value) for value in choice.choices])


def _of_number(widget, kind, annotations):
    bounds = _annotation(annotations, WithinRange)
    if bounds is not None:
        widget.setRange(bounds.minimum, bounds.maximum)
    return _of_property(widget, "value", widget.valueChanged)


def _of_button(widget, kind, annotations):
    widget.checkable = True
    return _of_property(widget, "checked", widget.toggled)


def _of_path(widget, kind, annotations):
    read, write = (lambda: kind(widget.currentPath)), (lambda value: setattr(widget, "currentPath", str(value)))
    return Connector(widget, read, write, widget.currentPathChanged)


SIMPLE = {
    (qt.QCheckBox, bool): lambda widget, *_: _of_property(widget, "checked", widget.stateChanged),
    (qt.QPushButton, bool): _of_button,
    (qt.QSpinBox, int): _of_number,
    (qt.QSlider, int): _of_number,
    (qt.QDoubleSpinBox, float): _of_number,
    (qt.QLineEdit, str): lambda widget, *_: _of_property(widget, "text", widget.textChanged),
    (ctk.ctkPathLineEdit, pathlib.Path): _of_path,
}


def connector_of(widget, datatype):
    """Ties a widget to a parameter of ``datatype``.

    Raises RuntimeError where Slicer has no connector of that widget and type.
    """
    kind, annotations = split_annotations(datatype)
    if type(widget) is slicer.qMRMLNodeComboBox and node_classes(kind):
        widget.nodeTypes = [cls().GetClassName() for cls in node_classes(kind)]
        return Connector(widget, widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged)
    if type(widget) is qt.QComboBox and isinstance(kind, type) and issubclass(kind, (str, int, float, bool, enum.Enum)):
        return _of_combo_box(widget, kind, annotations)
    make = SIMPLE.get((type(widget), kind))
    if make is None:
        raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'")
    return make(widget, kind, annotations)
