"""The stand-ins for Slicer's Qt refuse what Slicer would refuse, so that the tests of the panel mean something."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

MODULE = """
from typing import Annotated

import qt
import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *


class Small(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Small"
        slicer.app.connect("startupCompleted()", lambda: started.append(slicer.modules.small.title))


started = []


@parameterNodeWrapper
class Parameters:
    volume: vtkMRMLScalarVolumeNode
    profile: Annotated[str, Choice(["default", "reference"])] = "default"
    deep: bool = False
    percent: Annotated[float, WithinRange(0, 100)] = 40


class SmallWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/Small.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = SmallLogic()
        self.parameters = Parameters(self.logic.getParameterNode())
        self.parameters.connectGui(self.ui)
        self.clicks = []
        self.ui.applyButton.connect("clicked(bool)", self.onApply)

    def onApply(self):
        self.clicks.append(self.parameters.volume.GetName())


class SmallLogic(ScriptedLoadableModuleLogic):
    pass
"""

PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Small</class><widget class="qMRMLWidget" name="Small"><layout class="QVBoxLayout" name="rows">
<item><widget class="ctkCollapsibleButton" name="inputs"><property name="text"><string>Inputs</string></property>
<layout class="QVBoxLayout" name="inputRows">
<item><widget class="qMRMLNodeComboBox" name="volumeSelector">
<property name="SlicerParameterName" stdset="0"><string>volume</string></property></widget></item>
<item><widget class="qMRMLNodeComboBox" name="forgotten"/></item>
<item><widget class="QComboBox" name="profileBox">
<property name="SlicerParameterName" stdset="0"><string>profile</string></property></widget></item>
<item><widget class="QCheckBox" name="deepBox">
<property name="SlicerParameterName" stdset="0"><string>deep</string></property></widget></item>
<item><widget class="QDoubleSpinBox" name="percentBox">
<property name="SlicerParameterName" stdset="0"><string>percent</string></property></widget></item>
</layout></widget></item>
<item><widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string></property></widget>
</item></layout></widget>
<customwidgets>
<customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><header>ctkCollapsibleButton.h</header>
<container>1</container></customwidget>
<customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>qMRMLNodeComboBox.h</header>
</customwidget>
<customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header>
<container>1</container></customwidget>
</customwidgets>
<connections><connection><sender>Small</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>volumeSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>
"""


@pytest.fixture
def small(slicer_with_qt, tmp_path):
    """The panel of a small module, loaded as Slicer loads one."""
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    (tmp_path / "Resources" / "UI" / "Small.ui").write_text(PANEL, encoding="utf-8")
    (tmp_path / "Small.py").write_text(MODULE, encoding="utf-8")
    slicer_with_qt.app.moduleManager().load(tmp_path / "Small.py")
    return slicer_with_qt.util.getModuleWidget("Small")


@pytest.fixture
def qt(slicer_with_qt):
    import qt

    return qt


def test_properties_are_attributes_of_their_own_type(qt):
    button = qt.QPushButton("before")
    button.text = "after"
    assert button.text == "after"
    with pytest.raises(TypeError, match="not callable"):
        button.text()
    with pytest.raises(ValueError, match="'text' of type 'QString' does not accept a dict"):
        button.text = {}


def test_widgets_can_be_painted(qt):
    window = qt.QWidget()
    rows = qt.QVBoxLayout(window)
    for widget in (qt.QProgressBar(), qt.QLabel("text"), qt.QComboBox(), qt.QPushButton("text"), qt.QCheckBox("text")):
        rows.addWidget(widget)
    assert not window.grab().isNull()


def test_attributes_that_a_widget_lacks_are_refused(qt):
    with pytest.raises(AttributeError, match="'caption' does not exist"):
        qt.QPushButton().caption = "Analyze"


def test_signals_need_their_signature(qt):
    with pytest.raises(AttributeError, match=r"signal 'pressed\(int\)' does not exist on QPushButton"):
        qt.QPushButton().connect("pressed(int)", print)


def test_a_function_gets_as_many_arguments_as_it_takes(qt):
    button, calls = qt.QPushButton(), []
    button.connect("clicked(bool)", lambda: calls.append("none"))
    button.connect("clicked(bool)", lambda checked, other="kept": calls.append((checked, other)))
    button.connect("clicked()", lambda name="default": calls.append(name))
    button.click()
    assert calls == ["none", (False, "kept"), "default"]


def test_the_panel_follows_the_scene_and_the_parameters(small, slicer_with_qt):
    volume = slicer_with_qt.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    assert small.ui.volumeSelector.currentNode() is small.parameters.volume is volume
    small.ui.profileBox.currentIndex = 1
    small.ui.deepBox.checked = True
    assert (small.parameters.profile, small.parameters.deep) == ("reference", True)
    small.parameters.percent = 12.5
    assert small.ui.percentBox.value == 12.5
    with pytest.raises(ValueError, match="within range"):
        small.parameters.percent = 101.0
    small.ui.applyButton.click()
    assert small.clicks == ["CT"]


def test_parameters_are_those_of_the_scene(small, slicer_with_qt):
    small.parameters.profile = "reference"
    again = type(small.parameters)(small.logic.getParameterNode())
    assert again.profile == "reference"
    assert small.logic.getParameterNode().GetParameter("profile") == "reference"


def test_a_selector_that_the_file_connects_to_no_scene_has_none(small):
    assert small.ui.volumeSelector.enabled
    assert not small.ui.forgotten.enabled


def test_the_application_finds_module_logic_and_path(small, slicer_with_qt, tmp_path):
    assert slicer_with_qt.util.getModuleLogic("Small") is small.logic
    assert slicer_with_qt.util.modulePath("Small") == str(tmp_path / "Small.py")
    with pytest.raises(RuntimeError, match="Large"):
        slicer_with_qt.util.getModule("Large")


def test_start_up_reaches_the_module(small):
    import Small

    assert Small.started == ["Small"]


def test_an_exception_in_a_function_that_qt_calls_is_noticed(qt, slicer_with_qt):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    (error,) = slicer_with_qt.app.errors
    assert isinstance(error, ZeroDivisionError)
    slicer_with_qt.app.errors.clear()
