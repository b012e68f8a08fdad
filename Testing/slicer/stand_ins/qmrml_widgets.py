"""Stands in for qMRML's widgets: the node selector, and the panel that hands the scene on."""

from __future__ import annotations

import weakref

import slicer
from PyQt5 import QtCore, QtWidgets

from .widget_parts import stands_in, stored

CLASSES = []
"""What is put into the module ``slicer``."""

_WITH_SCENE = weakref.WeakSet()


def forget_scenes():
    """No widget that is left over observes a scene."""
    for widget in tuple(_WITH_SCENE):
        widget._observe(None)


def _in_slicer(cls):
    CLASSES.append(cls)
    return stands_in(cls)


@_in_slicer
class qMRMLWidget(QtWidgets.QWidget):
    """Knows the scene; hands it on only through connections, which are those of the .ui file."""

    mrmlSceneChanged = QtCore.pyqtSignal(object)
    SIGNALS = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self._scene


@_in_slicer
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Chooses a node of the scene; greyed out until it has one."""

    currentNodeChanged = QtCore.pyqtSignal(object)
    currentNodeChangedValid = QtCore.pyqtSignal(bool)
    currentNodeIDChanged = QtCore.pyqtSignal(str)
    nodeAddedByUser = QtCore.pyqtSignal(object)
    nodeAddedByUserAction = QtCore.pyqtSignal(object)
    SIGNALS = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "currentNodeChangedValid",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction",
    }
    nodeTypes = stored("QStringList", (), "_list")
    hideChildNodeTypes = stored("QStringList", (), "_list")
    showHidden = stored(bool, False, "_list")
    showChildNodeTypes = stored(bool, True, "_list")
    noneEnabled = stored(bool, False, "_list")
    noneDisplay = stored(str, "None", "_list")
    baseName = stored(str, "")
    addEnabled = stored(bool, True)
    removeEnabled = stored(bool, True)
    editEnabled = stored(bool, False)
    renameEnabled = stored(bool, False)
    selectNodeUponCreation = stored(bool, True)
    interactionNodeSingletonTag = stored(str, "Singleton")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._tags, self._nodes, self._current, self._wanted = None, [], [], None, {}
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.activated.connect(lambda index: self._choose(self._nodes[index]))
        self.setEnabled(False)

    @QtCore.pyqtProperty(str)
    def currentNodeID(self):
        return "" if self._current is None else self._current.GetID()

    @currentNodeID.setter
    def currentNodeID(self, identifier):
        self.setCurrentNode(self._scene.GetNodeByID(identifier) if self._scene and identifier else None)

    def setMRMLScene(self, scene):
        self._observe(scene)
        self.setEnabled(scene is not None)
        self._list()

    def mrmlScene(self):
        return self._scene

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node):
        if node is not None and not hasattr(node, "GetID"):
            raise TypeError(f"setCurrentNode takes a node, not a {type(node).__name__}")
        self._choose(node if node in self._nodes else None)

    def nodes(self):
        return [node for node in self._nodes if node is not None]

    def nodeCount(self):
        return len(self.nodes())

    def nodeFromIndex(self, index):
        return self.nodes()[index] if 0 <= index < self.nodeCount() else None

    def setCurrentNodeIndex(self, index):
        self._choose(self.nodeFromIndex(index))

    def addAttribute(self, nodeType, name, value=None):
        self._wanted[nodeType, name] = value
        self._list()

    def addNode(self, nodeType=None):
        """As "Create new ..." of the menu does."""
        kind = nodeType or self.nodeTypes[0]
        base = self.baseName or self._scene.GetTagByClassName(kind)
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(base))
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        self.nodeAddedByUserAction.emit(node)
        return node

    def removeCurrentNode(self):
        self._scene.RemoveNode(self._current)

    def _observe(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        _WITH_SCENE.discard(self)
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent)
            self._tags = [scene.AddObserver(event, self._changed) for event in events]
            _WITH_SCENE.add(self)

    def _changed(self, scene, event):
        if not scene.IsBatchProcessing():
            self._list()

    def _list(self):
        scene = self._scene
        every = [] if scene is None else [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
        self._nodes = [None] * self.noneEnabled + [node for node in every if self._shown(node)]
        self._combo.blockSignals(True)
        self._combo.clear()
        self._combo.addItems([self.noneDisplay if node is None else node.GetName() or "" for node in self._nodes])
        self._combo.blockSignals(False)
        self._choose(self._current if self._current in self._nodes else next(iter(self._nodes), None))

    def _shown(self, node):
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if any(node.IsA(kind) for kind in self.hideChildNodeTypes):
            return False
        for (kind, name), value in self._wanted.items():
            if (
                node.IsA(kind)
                and node.GetAttribute(name) != value
                and (value is not None or not node.GetAttribute(name))
            ):
                return False
        return any(node.IsA(kind) if self.showChildNodeTypes else node.IsTypeOf(kind) for kind in self.nodeTypes)

    def _choose(self, node):
        self._combo.setCurrentIndex(self._nodes.index(node) if node in self._nodes else -1)
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)
            self.currentNodeChangedValid.emit(node is not None)
            self.currentNodeIDChanged.emit(self.currentNodeID)


def install():
    """Put the classes into the module ``slicer``."""
    for cls in CLASSES:
        setattr(slicer, cls.__name__, cls)
