"""How the stand-in for ``slicer.parameterNodeWrapper`` checks values and keeps them in a vtkMRMLScriptedModuleNode."""

from __future__ import annotations

import enum
import pathlib
import typing

import slicer


class Validator:
    """Refuses a value by an exception."""

    def validate(self, value):
        raise NotImplementedError


class WithinRange(Validator):
    def __init__(self, minimum, maximum):
        self.minimum = minimum
        self.maximum = maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Minimum(Validator):
    def __init__(self, minimum):
        self.minimum = minimum

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, is {value}")


class Maximum(Validator):
    def __init__(self, maximum):
        self.maximum = maximum

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, is {value}")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be one of {self.choices}")


class Default:
    def __init__(self, value):
        self.value = value


def split_annotations(kind):
    """The bare type of ``Annotated[...]`` and what annotates it."""
    actual, *annotations, _ = typing.get_args(typing.Annotated[kind, None])
    return actual, annotations


def node_classes(kind):
    """The node classes of a type or of a union of them with None; empty for every other type."""
    actual, _ = split_annotations(kind)
    members = typing.get_args(actual) if typing.get_origin(actual) is typing.Union else (actual,)
    classes = [member for member in members if member is not type(None)]
    if all(isinstance(member, type) and issubclass(member, slicer.vtkMRMLNode) for member in classes):
        return tuple(classes)
    return ()


class Store:
    """Values of one type as parameters of the node: text."""

    def __init__(self, name, kind):
        self.name = name
        self.kind = kind
        self.allowed = (int, float) if kind is float else kind

    @property
    def default(self):
        return next(iter(self.kind)) if issubclass(self.kind, enum.Enum) else self.kind()

    def check(self, value):
        if not isinstance(value, self.allowed):
            raise TypeError(f"Value must be of type '{self.allowed}', is type '{type(value)}' value '{value}'")

    def is_in(self, node):
        return bool(node.HasParameter(self.name))

    def write(self, node, value):
        node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))

    def read(self, node):
        text = node.GetParameter(self.name)
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)


class NodeStore(Store):
    """Nodes as references, with an empty parameter beside them that says that None was meant."""

    default = None

    def check(self, value):
        if value is not None and not isinstance(value, node_classes(self.kind)):
            raise TypeError(f"Value must be of type '{self.kind}', is type '{type(value)}' value '{value}'")

    def write(self, node, value):
        node.SetParameter(self.name, "")
        node.SetNodeReferenceID(self.name, None if value is None else value.GetID())

    def read(self, node):
        return node.GetNodeReference(self.name)


def store_of(name, kind):
    """Where parameters of a type are kept.

    Raises TypeError for a type that the stand-in does not know: lists and parameter packs, for instance.
    """
    if node_classes(kind):
        return NodeStore(name, kind)
    simple = (bool, int, float, str, pathlib.Path)
    if isinstance(kind, type) and (kind in simple or issubclass(kind, enum.Enum)):
        return Store(name, kind)
    raise TypeError(f"the stand-in for parameterNodeWrapper keeps no {kind}")
