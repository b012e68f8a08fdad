"""Transactions: changes of the scene that happen as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import slicer


class SceneTransaction:
    """A ``with`` block that undoes its changes after an error: new nodes are removed, kept nodes are restored.

    Discarded nodes are removed from the scene when the block ends without an error.
    """

    def __init__(self) -> None:
        self._new: list[Any] = []
        self._undo: list[Callable[[], None]] = []
        self._obsolete: list[Any] = []

    def __enter__(self) -> SceneTransaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            removeNodes(self._obsolete)
            return
        for undo in reversed(self._undo):
            undo()
        removeNodes(reversed(self._new))

    def add(self, className: str, name: str, unique: bool = True) -> Any:
        """Add a node to the scene.

        Parameters
        ----------
        className : str
            Class of the node.
        name : str
            Name that is shown. A number is appended if another node has it.
        unique : bool
            False: several nodes may have the name.
        """
        scene = slicer.mrmlScene
        node = scene.AddNewNodeByClass(className, scene.GenerateUniqueName(name) if unique else name)
        self._new.append(node)
        return node

    def adopt(self, node: Any) -> None:
        """Treat a node that Slicer created as new."""
        if node is not None:
            self._new.append(node)

    def keep(self, node: Any) -> None:
        """Remember a node, with references, attributes and content, for the case of an error."""
        self._undo.append(_restorer(node))

    def onError(self, undo: Callable[[], None]) -> None:
        """Call ``undo`` if an error ends the block."""
        self._undo.append(undo)

    def discard(self, nodes: Iterable[Any]) -> None:
        """Remove nodes from the scene at the end of the block."""
        self._obsolete.extend(nodes)


def removeNodes(nodes: Iterable[Any]) -> None:
    """Remove nodes, and their items in the subject hierarchy, from the scene."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)
        if slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)


def _restorer(node: Any) -> Callable[[], None]:
    restoreContent = _contentRestorer(node)
    if restoreContent is None:
        before = node.CreateNodeInstance()
        before.Copy(node)
        return lambda: node.Copy(before)
    attributes = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
    references = {role: _referenceIDs(node, role) for role in _roles(node)}

    def restore() -> None:
        """Give the node back its content, attributes and references."""
        with slicer.util.NodeModify(node):
            restoreContent()
            for name in {*node.GetAttributeNames(), *attributes}:
                node.SetAttribute(name, attributes.get(name))
            for role in {*_roles(node), *references}:
                _setReferenceIDs(node, role, references.get(role, []))

    return restore


def _contentRestorer(node: Any) -> Callable[[], None] | None:
    """Restores nodes whose content is a separate object that is replaced, not changed."""
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        return lambda: node.SetAndObserveSegmentation(segmentation)
    return _tableRestorer(node) if node.IsA("vtkMRMLTableNode") else None


def _tableRestorer(node: Any) -> Callable[[], None]:
    table, schema = node.GetTable(), node.GetSchema()
    locked, titles = node.GetLocked(), node.GetUseColumnTitleAsColumnHeader()

    def restore() -> None:
        """Give the node back its table and how it is shown."""
        node.SetAndObserveTable(table)
        node.SetAndObserveSchema(schema)
        node.SetLocked(locked)
        node.SetUseColumnTitleAsColumnHeader(titles)

    return restore


def _roles(node: Any) -> list[str]:
    return [node.GetNthNodeReferenceRole(n) for n in range(node.GetNumberOfNodeReferenceRoles())]


def _referenceIDs(node: Any, role: str) -> list[str]:
    return [node.GetNthNodeReferenceID(role, n) for n in range(node.GetNumberOfNodeReferences(role))]


def _setReferenceIDs(node: Any, role: str, nodeIDs: list[str]) -> None:
    if _referenceIDs(node, role) != nodeIDs:
        node.RemoveNodeReferenceIDs(role)
        for nodeID in nodeIDs:
            node.AddAndObserveNodeReferenceID(role, nodeID)
