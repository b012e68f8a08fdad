"""How the widgets that stand in for those of CTK and qMRML get their properties."""

from __future__ import annotations

from PyQt5 import QtCore

from .pythonqt import adapt


def stored(kind, default, changed=None):
    """A property of Qt that only remembers its value; ``changed`` names the method that is told of a new one."""

    def get(self):
        return self.__dict__.get(f"_{_name(self, prop)}", default)

    def put(self, value):
        before = get(self)
        self.__dict__[f"_{_name(self, prop)}"] = value
        if changed is not None and value != before:
            getattr(self, changed)()

    prop = QtCore.pyqtProperty(kind, get, put)
    return prop


def _name(instance, prop):
    owners = (vars(cls) for cls in type(instance).__mro__)
    return next(name for names in owners for name, value in names.items() if value is prop)


def _setter(name):
    def put(self, value):
        setattr(self, name, value)

    return put


def stands_in(cls):
    """Complete a class: it takes no new attributes, and every property has a ``setX`` beside it, as in C++."""
    cls.stands_in = True
    for name, value in list(vars(cls).items()):
        setter = f"set{name[0].upper()}{name[1:]}"
        if isinstance(value, QtCore.pyqtProperty) and not hasattr(cls, setter):
            setattr(cls, setter, _setter(name))
    return adapt(cls)
