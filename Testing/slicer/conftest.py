"""Real Slicer parts without a screen: a small host on top of the PyPI wheel ``slicer-core``.

The wheel brings every MRML class, the module logics and ``slicer.util``, but no application; this makes the scene and
the few singletons that ``slicer.util`` asks for. Where the wheel is not installed, the tests of this folder skip: a
file that imports the parts of the module begins with ``pytest.importorskip("slicer")``.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest

from CovidSeverityLib.reporting.report import write_report
from CovidSeverityLib.reporting.segmentation import write_segmentation
from CovidSeverityLib.reporting.tables import write_histogram, write_lobes, write_slices

MODULE_ROOT = Path(__file__).parents[2] / "CovidSeverity"
STAND_INS = Path(__file__).parent / "stand_ins"

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

STORAGE_CLASSES = {
    "VolumeFile": ("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeArchetypeStorageNode"),
    "LabelMapFile": ("vtkMRMLLabelMapVolumeNode", "vtkMRMLVolumeArchetypeStorageNode"),
    "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
    "TableFile": ("vtkMRMLTableNode", "vtkMRMLTableStorageNode"),
    "TransformFile": ("vtkMRMLTransformNode", "vtkMRMLTransformStorageNode"),
    "TextFile": ("vtkMRMLTextNode", "vtkMRMLTextStorageNode"),
}
MODULE_LOGICS = {
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Texts": "vtkSlicerTextsLogic",
}


def _stand_in(name: str, file_name: str) -> None:
    """Import ``stand_ins/<file_name>`` as a module that the wheel lacks."""
    if importlib.util.find_spec(name) is None:
        spec = importlib.util.spec_from_file_location(name, STAND_INS / file_name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, sys.modules[name])


for _folder in (MODULE_ROOT, STAND_INS.parent):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))
if importlib.util.find_spec("slicer") is not None and "slicer.i18n" not in sys.modules:
    _stand_in("slicer.i18n", "i18n.py")

from batch_fixtures import batch_folder, chest_file, dicom_database, dicom_folder  # noqa: E402, F401 (fixtures)
from model_fixtures import installed_models, model_job, model_site  # noqa: E402, F401 (fixtures)
from qt_fixtures import slicer_with_qt, wait_until  # noqa: E402, F401 (fixtures)
from run_fixtures import (  # noqa: E402, F401
    a_small_chest,
    a_volume_node,
    a_written_result,
    copying_job,
    module_file,
    python_job,
)


def pytest_collection_modifyitems(items):
    """Of vtk's ``numpy_support`` with new versions of numpy."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning"))


class IoManager:
    """The part of Slicer's IO manager that ``slicer.util.load*`` and ``save*`` call, on Slicer's own storage nodes."""

    def __init__(self, slicer):
        self._slicer = slicer

    def loadNodes(self, fileType, properties, collection, messages=None):  # noqa: N802, N803 (Slicer's names)
        if fileType == "SceneFile":
            return self._load_scene(properties["fileName"], properties.get("clear", False))
        kind = "LabelMapFile" if fileType == "VolumeFile" and properties.get("labelmap") else fileType
        node_class, storage_class = STORAGE_CLASSES[kind]
        scene, path = self._slicer.mrmlScene, properties["fileName"]
        storage = scene.AddNewNodeByClass(storage_class)
        storage.SetFileName(path)
        node = scene.AddNewNodeByClass(node_class, properties.get("name") or Path(path).name.split(".")[0])
        node.SetAndObserveStorageNodeID(storage.GetID())
        if not storage.ReadData(node):
            scene.RemoveNode(node)
            scene.RemoveNode(storage)
            return False
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        collection.AddItem(node)
        return True

    def saveNodes(self, fileType, properties, messages=None):  # noqa: N802, N803
        scene, path = self._slicer.mrmlScene, properties["fileName"]
        if path.endswith((".mrml", ".mrb")):
            return self._save_scene(path)
        node = scene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(path)
        node.GetStorageNode().SetFileName(path)
        if "useCompression" in properties:
            node.GetStorageNode().SetUseCompression(int(properties["useCompression"]))
        return bool(node.GetStorageNode().WriteData(node))

    def fileType(self, path):  # noqa: N802
        name = Path(path).name.lower()
        endings = {(".mrml", ".mrb"): "SceneFile", (".csv", ".tsv"): "TableFile", (".txt", ".json"): "TextFile"}
        if ".seg." in name:
            return "SegmentationFile"
        return next((kind for ends, kind in endings.items() if name.endswith(ends)), "VolumeFile")

    def fileWriterFileType(self, node):  # noqa: N802
        return node.GetClassName()

    def _load_scene(self, path, clear):
        scene = self._slicer.mrmlScene
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def _save_scene(self, path):
        scene = self._slicer.mrmlScene
        if path.endswith(".mrb"):
            return bool(scene.WriteToMRB(path))
        scene.SetRootDirectory(str(Path(path).parent))
        scene.SetURL(path)
        return bool(scene.Commit())


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
        self.logic.SetModuleLogic("Colors", self.logic.GetColorLogic())
        self._remote = _remote_io(slicer, self)
        self._io = IoManager(slicer)

    def applicationLogic(self):  # noqa: N802
        return self.logic

    def mrmlScene(self):  # noqa: N802
        return self.scene

    def coreIOManager(self):  # noqa: N802
        return self._io

    def layoutManager(self):  # noqa: N802
        return None

    def testingEnabled(self):  # noqa: N802
        return True

    def commandOptions(self):  # noqa: N802
        return types.SimpleNamespace(noMainWindow=True, testingEnabled=True)

    def processEvents(self):  # noqa: N802
        pass

    def pauseRender(self):  # noqa: N802
        pass

    def resumeRender(self):  # noqa: N802
        pass


def _remote_io(slicer, application):
    """The logics without which a scene reads no bundle (.mrb)."""
    remote, data = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
    for logic in (remote, data):
        logic.SetMRMLScene(application.scene)
        logic.SetMRMLApplicationLogic(application.logic)
    remote.GetCacheManager().SetRemoteCacheDirectory(application.temporaryPath)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    return remote, data


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


@pytest.fixture
def no_vtk_errors(slicer):
    """Fails a test in which VTK or MRML reported an error; most would only be read by who looks into the log."""
    import vtk

    texts = []

    @vtk.calldata_type(vtk.VTK_STRING)
    def note(_window, _event, text):
        texts.append(text)

    window = vtk.vtkOutputWindow.GetInstance()
    tag = window.AddObserver(vtk.vtkCommand.ErrorEvent, note)
    yield texts
    window.RemoveObserver(tag)
    assert not texts


@pytest.fixture
def ct_node(slicer):
    """A function that brings a CT of the library into the scene as it is stored."""

    def make(volume, name="CT"):
        stored = volume.storage.to_stored(volume.hu).copy()
        return slicer.util.addVolumeFromArray(
            stored, ijkToRAS=RAS_FROM_LPS @ volume.stored_geometry.ijk_to_lps, name=name
        )

    return make


@pytest.fixture
def result_folder(tmp_path):
    """A function that writes what the module reads of an analysis (its page is not drawn)."""

    def write(analysis, name="result"):
        folder = tmp_path / name
        folder.mkdir()
        with (folder / "segmentation.seg.nrrd").open("wb") as file:
            write_segmentation(analysis, file)
        texts = {
            "lobes.csv": write_lobes,
            "slices.csv": write_slices,
            "histogram.csv": write_histogram,
            "report.json": write_report,
        }
        for file_name, write_text in texts.items():
            with (folder / file_name).open("w", encoding="utf-8", newline="\n") as file:
                write_text(analysis, file)
        return folder

    return write
