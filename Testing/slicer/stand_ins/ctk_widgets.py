"""Stands in for the module ``ctk``: the few widgets that a panel of a scripted module is made of."""

from __future__ import annotations

import types

from PyQt5 import QtCore, QtWidgets

from .widget_parts import stands_in, stored


def _widgets_in(widget):
    return [child for child in widget.children() if child.isWidgetType()]


@stands_in
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A headline that hides and shows what is laid out below it."""

    contentsCollapsed = QtCore.pyqtSignal(bool)
    collapsed = stored(bool, False, "_fold")
    contentsFrameShape = stored(int, 0)
    contentsMargin = stored(int, 0)

    def __init__(self, text="", parent=None):
        super().__init__(None if isinstance(text, str) else text)
        if parent is not None:
            self.setParent(parent)
        self.setText(text if isinstance(text, str) else "")
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self._headline(), 0, 0)
        self.toggled.connect(lambda shown: self.setCollapsed(not shown))

    def _headline(self):
        return self.fontMetrics().height() + 10

    def childEvent(self, event):
        if event.added() and event.child().isWidgetType():
            event.child().installEventFilter(self)

    def eventFilter(self, child, event):
        """A child that is hidden stays so when the button unfolds; one that is shown stays hidden until then."""
        shown = {QtCore.QEvent.ShowToParent: True, QtCore.QEvent.HideToParent: False}.get(event.type())
        if shown is not None and not self.__dict__.get("_forcing"):
            child.setProperty("visibilityToParent", shown)
            self._fit(child)
        return False

    def _fit(self, child):
        self.__dict__["_forcing"] = True
        child.setVisible(not self.collapsed and child.property("visibilityToParent") is not False)
        self.__dict__["_forcing"] = False

    def _fold(self):
        for child in _widgets_in(self):
            self._fit(child)
        self.setMaximumHeight(self._headline() if self.collapsed else QtWidgets.QWIDGETSIZE_MAX)
        self.setChecked(not self.collapsed)
        self.contentsCollapsed.emit(self.collapsed)

    def showEvent(self, event):
        for child in _widgets_in(self) if self.collapsed else ():
            self._fit(child)

    def sizeHint(self):
        headline = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text) + 40, self._headline())
        return headline if self.collapsed else headline.expandedTo(QtWidgets.QWidget.sizeHint(self))

    def minimumSizeHint(self):
        return self.sizeHint()

    def paintEvent(self, event):
        painter = QtWidgets.QStylePainter(self)
        headline = self.rect.adjusted(0, 0, 0, self._headline() - self.rect.height())
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = headline
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowRight if self.collapsed else QtWidgets.QStyle.PE_IndicatorArrowDown
        option.rect = QtCore.QRect(6, headline.height() // 2 - 6, 12, 12)
        painter.drawPrimitive(arrow, option)
        painter.drawText(headline.adjusted(24, 0, 0, 0), QtCore.Qt.AlignVCenter, self.text)


@stands_in
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group that hides its contents."""

    collapsed = stored(bool, False, "_fold")

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setCheckable(True)
        self.toggled.connect(lambda shown: self.setCollapsed(not shown))

    def _fold(self):
        for child in _widgets_in(self):
            child.setVisible(not self.collapsed)
        self.setChecked(not self.collapsed)


@stands_in
class ctkComboBox(QtWidgets.QComboBox):
    """No ``qt.QComboBox`` for the connectors of a parameter node, which ask for the very class."""

    defaultText = stored(str, "")
    scrollWheelEnabled = stored(bool, True)


@stands_in
class ctkCheckBox(QtWidgets.QCheckBox):
    """No ``qt.QCheckBox`` for the connectors of a parameter node either."""


@stands_in
class ctkPathLineEdit(QtWidgets.QLineEdit):
    """A line with a path."""

    currentPathChanged = QtCore.pyqtSignal(str)
    filters = stored(int, 0)
    settingKey = stored(str, "")
    currentPath = stored(str, "", "_told")
    Dirs, Files, Readable, Writable = 0x001, 0x002, 0x010, 0x020  # of QDir::Filter, as in CTK

    def __init__(self, parent=None):
        super().__init__(parent)
        self.textEdited.connect(self.setCurrentPath)  # what a person types

    def _told(self):
        if self.text != self.currentPath:
            self.setText(self.currentPath)
        self.currentPathChanged.emit(self.currentPath)


@stands_in
class ctkMessageBox(QtWidgets.QMessageBox):
    """What ``slicer.util.messageBox`` shows outside of tests."""

    dontShowAgainSettingsKey = stored(str, "")


ctk = types.ModuleType("ctk", __doc__)
vars(ctk).update({name: value for name, value in globals().items() if name.startswith("ctk") and name != "ctk"})
