"""Real Slicer parts without a screen: a small host on top of the PyPI wheel ``slicer-core``.

The wheel brings every MRML class, the module logics and ``slicer.util``, but no application; this makes the scene and
the few singletons that ``slicer.util`` asks for. Where the wheel is not installed, the tests of this folder skip.
"""

from __future__ import annotations

import tempfile
import types
from pathlib import Path

import pytest

STORAGE_CLASSES = {
    "VolumeFile": ("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeArchetypeStorageNode"),
    "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
}
MODULE_LOGICS = {
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
}


class IoManager:
    """The part of Slicer's IO manager that ``slicer.util.load*`` calls, on Slicer's own storage nodes."""

    def __init__(self, slicer):
        self._slicer = slicer

    def loadNodes(self, fileType, properties, collection, messages=None):  # noqa: N802, N803 (Slicer's names)
        node_class, storage_class = STORAGE_CLASSES[fileType]
        scene, path = self._slicer.mrmlScene, properties["fileName"]
        storage = scene.AddNewNodeByClass(storage_class)
        storage.SetFileName(path)
        node = scene.AddNewNodeByClass(node_class, properties.get("name") or Path(path).name.split(".")[0])
        node.SetAndObserveStorageNodeID(storage.GetID())
        if not storage.ReadData(node):
            return False
        node.CreateDefaultDisplayNodes()
        collection.AddItem(node)
        return True


class Application:
    """What ``slicer.util`` expects of ``slicer.app``."""

    applicationName = "slicer-core test host"  # noqa: N815

    def __init__(self, slicer):
        self._folder = tempfile.TemporaryDirectory()
        self.temporaryPath = self._folder.name
        self.scene = slicer.vtkMRMLScene()
        self.logic = slicer.vtkSlicerApplicationLogic()
        self.logic.SetMRMLScene(self.scene)
        self.logic.SetTemporaryPath(self.temporaryPath)
        self.logic.GetColorLogic().SetMRMLScene(self.scene)
        self.logic.GetColorLogic().AddDefaultColorNodes()
        self._io = IoManager(slicer)

    def applicationLogic(self):  # noqa: N802
        return self.logic

    def mrmlScene(self):  # noqa: N802
        return self.scene

    def coreIOManager(self):  # noqa: N802
        return self._io

    def processEvents(self):  # noqa: N802
        pass


def _register_logics(slicer, application):
    modules = types.SimpleNamespace()
    for name, class_name in MODULE_LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application.logic)
        logic.SetMRMLScene(application.scene)
        application.logic.SetModuleLogic(name, logic)
        setattr(modules, name.lower(), types.SimpleNamespace(logic=lambda logic=logic: logic))
    return modules


@pytest.fixture(scope="session")
def slicer_host():
    """The ``slicer`` namespace with a scene, an application and the module logics."""
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")
    pytest.importorskip("slicer.util", reason="slicer is installed without slicer.util")
    if getattr(slicer, "app", None) is None:
        slicer.app = Application(slicer)
        slicer.mrmlScene = slicer.app.scene
        slicer.modules = _register_logics(slicer, slicer.app)
    return slicer


@pytest.fixture
def slicer(slicer_host):
    """The same with an empty scene."""
    slicer_host.mrmlScene.Clear(0)
    yield slicer_host
    slicer_host.mrmlScene.Clear(0)
