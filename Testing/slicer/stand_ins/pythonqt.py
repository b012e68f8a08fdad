"""Stands in for the module ``qt``: PyQt5 in the calling style of PythonQt.

Properties are attributes (``button.text = "Analyze"``), signals are named by their C++ signature
(``button.connect("clicked(bool)", function)``), an attribute that a widget does not have cannot be set, and a function
that takes fewer arguments than its signal gives gets fewer, as PythonQt counts them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from functools import partial

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt5 import QtCore, QtGui, QtWidgets

VARIABLE_ARGUMENTS = 0x04
"""Flag of a code object that takes ``*args``."""

STAY_METHODS = {"singleShot", "objectName"}
"""``QTimer.singleShot`` is called far more often than set; ``objectName`` has a property of its own below."""

VIRTUAL = {"sizeHint", "minimumSizeHint", "duration", "QProgressBar.text", "QStackedLayout.count"}
"""Properties that are read by virtual methods: Qt would call the property in place of the method, and hang."""


class _Calls:
    """Whether properties are to be methods, as PyQt5's own loader of .ui files expects them."""

    native = False


@contextlib.contextmanager
def native_calls():
    """PyQt5's own calling style, for PyQt5's own Python."""
    _Calls.native = True
    try:
        yield
    finally:
        _Calls.native = False


class QtProperty:
    """An attribute that reads and writes a property of Qt."""

    def __init__(self, name, method):
        self._name = name
        self._method = method

    def __get__(self, instance, owner=None):
        if instance is None:
            return self._method
        return partial(self._method, instance) if _Calls.native else QtCore.QObject.property(instance, self._name)

    def __set__(self, instance, value):
        meta = instance.metaObject()
        described = meta.property(meta.indexOfProperty(self._name))
        if not described.isWritable():
            raise AttributeError(f"Property '{self._name}' of {type(instance).__name__} is not writable")
        if not QtCore.QObject.setProperty(instance, self._name, value):
            raise ValueError(
                f"Property '{self._name}' of type '{described.typeName()}' does not accept a {type(value).__name__}"
            )


class _Name:
    """The name of an object, which PythonQt has as ``objectName`` and Slicer also as ``name``."""

    _method = QtCore.QObject.objectName

    def __get__(self, instance, owner=None):
        if instance is None:
            return self._method
        return partial(self._method, instance) if _Calls.native else self._method(instance)

    def __set__(self, instance, value):
        instance.setObjectName(value)


def _own_properties(cls):
    meta = cls.staticMetaObject
    names = (meta.property(index).name() for index in range(meta.propertyOffset(), meta.propertyCount()))
    return [name if isinstance(name, str) else bytes(name).decode() for name in names]


def adapt(cls):
    """Give ``cls`` its properties as attributes; classes written in Python are adapted once they are complete."""
    for name in _own_properties(cls):
        if {name, f"{cls.__name__}.{name}"} & (STAY_METHODS | VIRTUAL):
            continue
        if not isinstance(vars(cls).get(name), QtCore.pyqtProperty):
            setattr(cls, name, QtProperty(name, getattr(cls, name, None)))
    return cls


def _is_of_cpp(instance):
    return type(instance).__module__.startswith("PyQt5.") or getattr(type(instance), "stands_in", False)


def _set_attribute(self, name, value):
    if not _Calls.native and _is_of_cpp(self) and not name.startswith("_") and not hasattr(type(self), name):
        if name.encode() not in [bytes(known) for known in self.dynamicPropertyNames()]:
            raise AttributeError(
                f"Attribute '{name}' does not exist and creating new attributes on C++ objects is not allowed"
            )
        self.setProperty(name, value)
        return
    object.__setattr__(self, name, value)


def _arguments_taken(function):
    """How many arguments PythonQt gives to ``function``; None for all."""
    plain = getattr(function, "__func__", function)
    code = getattr(plain, "__code__", None)
    if code is None or code.co_flags & VARIABLE_ARGUMENTS:
        return None
    return code.co_argcount - (plain is not function)


def _signal(sender, signature):
    """The bound signal of a C++ signature."""
    stood_in = getattr(type(sender), "SIGNALS", {})
    if signature in stood_in:
        return getattr(sender, stood_in[signature])
    normalised = bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()
    if "(" not in signature or sender.metaObject().indexOfSignal(normalised) < 0:
        raise AttributeError(f"signal '{signature}' does not exist on {type(sender).__name__}")
    name, _, arguments = normalised.rstrip(")").partition("(")
    signal = getattr(sender, name)
    with contextlib.suppress(KeyError, TypeError):
        return signal[tuple(arguments.split(","))] if "," in arguments else signal[arguments]
    return signal


def _connect(self, signature, *target):
    if len(target) == 2:
        function = getattr(target[0], target[1].partition("(")[0])
    else:
        (function,) = target
    if not callable(function):
        raise TypeError(f"{function!r} cannot be called by the signal {signature}")
    taken = _arguments_taken(function)
    empty = signature.endswith("()")

    def slot(*values):
        return function(*(() if empty else values[:taken]))

    connections = self.__dict__.setdefault("_connections", {})
    connections.setdefault((signature, function), []).append(slot)
    _signal(self, signature).connect(slot)
    return True


def _disconnect(self, signature, *target):
    function = getattr(target[0], target[1].partition("(")[0]) if len(target) == 2 else target[0]
    slots = self.__dict__.get("_connections", {}).pop((signature, function), [])
    for slot in slots:
        _signal(self, signature).disconnect(slot)
    return bool(slots)


def _children(self, *arguments, _find=QtCore.QObject.findChildren):
    return _find(self, *(arguments or (QtCore.QObject,)))


def _adapt_pyqt5():
    for module in (QtCore, QtGui, QtWidgets):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, QtCore.QObject):
                adapt(value)
    QtCore.QObject.name = QtCore.QObject.objectName = _Name()
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.connect = _connect
    QtCore.QObject.disconnect = _disconnect
    QtCore.QObject.findChildren = _children
    QtCore.QObject.__setattr__ = _set_attribute
    QtCore.QObject.__bool__ = lambda self: True  # PyQt5 has an empty QComboBox be false


def _without_filter(method):
    """PythonQt's file dialogs return the name alone, not the filter that was chosen."""
    return staticmethod(lambda *arguments: method(*arguments)[0])


_adapt_pyqt5()
for _name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName"):
    setattr(QtWidgets.QFileDialog, _name, _without_filter(getattr(QtWidgets.QFileDialog, _name)))
application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([sys.argv[0]])

qt = types.ModuleType("qt", __doc__)
for _module in (QtCore, QtGui, QtWidgets):
    vars(qt).update({name: value for name, value in vars(_module).items() if name.startswith("Q")})
