"""Large texts of a node. They are in text nodes that it refers to: attributes are for short values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import slicer

from .SceneTransaction import SceneTransaction


def textOf(node: Any, role: str) -> str | None:
    """The text that a node keeps under a role; None without one.

    Parameters
    ----------
    node : any
        VtkMRMLNode.
    role : str
        Role of the reference. A scene of an earlier version has the text in an attribute of that name.
    """
    kept = node.GetNodeReference(role)
    return node.GetAttribute(role) if kept is None else kept.GetText()


def putText(node: Any, role: str, text: str | None, change: SceneTransaction | None = None) -> None:
    """Keep a text under a role.

    Parameters
    ----------
    node : any
        VtkMRMLNode In the scene.
    role : str
        Role of the reference.
    text : str or None
        None removes it.
    change : SceneTransaction or None
        Undoes it if an error follows.
    """
    node.RemoveAttribute(role)
    kept = node.GetNodeReference(role)
    if text is None:
        _remove(node, role, kept, change)
        return
    if kept is None:
        kept = _textNode(role, change)
        node.SetNodeReferenceID(role, kept.GetID())
    elif change is not None:
        change.keep(kept)
    kept.SetText(text)


def removeTexts(node: Any, roles: Iterable[str], scene: Any) -> None:
    """Remove the texts of a node that has left its scene.

    Parameters
    ----------
    node : any
        VtkMRMLNode It keeps the identifiers of its references.
    roles : iterable of str
        Roles of the references.
    scene : any
        VtkMRMLScene That it has left.
    """
    for role in roles:
        identifier = node.GetNodeReferenceID(role)
        kept = scene.GetNodeByID(identifier) if identifier else None
        if kept is not None and kept.IsA("vtkMRMLTextNode"):
            scene.RemoveNode(kept)


def _textNode(role: str, change: SceneTransaction | None) -> Any:
    """A hidden text node. Its text is in the scene's own file: Slicer offers no file of a hidden node for saving."""
    if change is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", role)
    else:
        node = change.add("vtkMRMLTextNode", role, unique=False)
    node.SetForceCreateStorageNode(node.CreateStorageNodeNever)
    node.SetHideFromEditors(True)
    return node


def _remove(node: Any, role: str, kept: Any, change: SceneTransaction | None) -> None:
    if kept is None:
        return
    node.RemoveNodeReferenceIDs(role)
    if change is None:
        slicer.mrmlScene.RemoveNode(kept)
    else:
        change.discard([kept])
