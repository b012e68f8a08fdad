"""Stands in for ``slicer.parameterNodeWrapper``: typed parameters of a module, in the scene and in its widgets."""

from __future__ import annotations

import logging
import typing
import weakref

import slicer.util
import vtk

from .parameter_connectors import connector_of
from .parameter_types import (
    Choice,
    Default,
    Maximum,
    Minimum,
    Validator,
    WithinRange,
    split_annotations,
    store_of,
)

__all__ = [
    "Choice",
    "Default",
    "Maximum",
    "Minimum",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]

SlicerParameterNamePropertyName = "SlicerParameterName"


class _Description:
    """A parameter of a wrapper's class."""

    def __init__(self, cls, name, hint):
        self.hint = hint
        kind, annotations = split_annotations(hint)
        self.store = store_of(name, kind)
        self._validators = [found for found in annotations if isinstance(found, Validator)]
        given = next((found.value for found in annotations if isinstance(found, Default)), self.store.default)
        self.default = getattr(cls, name, given)
        unused = [found for found in annotations if not isinstance(found, (Validator, Default))]
        if unused:
            logging.warning("Unused annotations: %s", unused)

    def write(self, node, value):
        self.store.check(value)
        for validator in self._validators:
            validator.validate(value)
        self.store.write(node, value)

    def read(self, node):
        if not self.store.is_in(node):
            self.write(node, self.default)
        return self.store.read(node)


class _Value:
    """A parameter's value in one node, read again whenever the node says that it was modified."""

    def __init__(self, description, node):
        self._description = description
        self._node = node
        self._writing = False
        self.value = description.read(node)
        itself = weakref.ref(self)
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: itself() and itself()._modified())

    def __del__(self):
        self._node.RemoveObserver(self._tag)

    def _modified(self):
        if not self._writing:
            self.value = self._description.read(self._node)

    def write(self, value):
        self._writing = True
        try:
            with slicer.util.NodeModify(self._node):
                self._description.write(self._node, value)
                self.value = self._description.read(self._node)
        finally:
            self._writing = False


class _Wrapper:
    """What every wrapper can do, with Slicer's names."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis = {}
        self._next_tag = 0
        self._updating = False
        self._values = {name: _Value(known, parameterNode) for name, known in self.allParameters.items()}

    def getValue(self, name):
        self._check(name)
        return self._values[name].value

    def setValue(self, name, value):
        self._check(name)
        self._values[name].write(value)

    def default(self, name):
        self._check(name)
        return Default(self.allParameters[name].default)

    def dataType(self, name):
        self._check(name)
        return self.allParameters[name].hint

    def connectGui(self, gui):
        """Returns no tag, as up to Slicer 5.10: what it connects cannot be disconnected."""
        widgets = gui.findChildren() if hasattr(gui, "findChildren") else vars(gui).values()
        named = [(widget.property(SlicerParameterNamePropertyName), widget) for widget in widgets]
        self.connectParametersToGui({name: widget for name, widget in named if name})

    def connectParametersToGui(self, mapping):
        for name in mapping:
            self._check(name)
        connectors = {name: connector_of(widget, self.dataType(name)) for name, widget in mapping.items()}
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(lambda name=name, connector=connector: self._read_widget(name, connector))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._write_widgets())
        return tag

    def disconnectGui(self, tag):
        for connector in self._guis.pop(tag, {}).values():
            connector.onChanged(None)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        return self.parameterNode.Modified()

    def _check(self, name):
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}; there are {list(self.allParameters)}")

    def _read_widget(self, name, connector):
        with slicer.util.NodeModify(self):
            if not self._updating:
                self.setValue(name, connector.read())

    def _write_widgets(self):
        if self._updating:
            return
        self._updating = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in self._guis.values():
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updating = False


def _attribute(name):
    return property(lambda self: self._values[name].value, lambda self, value: self._values[name].write(value))


def _wrapped(cls):
    hints = typing.get_type_hints(cls, include_extras=True)
    reserved = [name for name in vars(_Wrapper) if not name.startswith("__") and hasattr(cls, name)]
    if reserved:
        raise ValueError(f"Cannot use reserved name '{reserved[0]}' in a parameterNodeWrapper")
    cls.allParameters = {name: _Description(cls, name, hint) for name, hint in hints.items()}
    for name in hints:
        setattr(cls, name, _attribute(name))
    for name, value in vars(_Wrapper).items():
        if name == "__init__" or not name.startswith("__"):
            setattr(cls, name, value)
    return cls


def isParameterNodeWrapper(thing):
    return hasattr(thing, "allParameters")


def parameterNodeWrapper(cls=None):
    return _wrapped if cls is None else _wrapped(cls)
