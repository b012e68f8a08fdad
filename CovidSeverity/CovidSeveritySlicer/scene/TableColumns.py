"""Typed columns of table nodes: written, and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

AUTOMATIC_PREFIX = "automatic_"
"""Of a column with the values of the analysis beside corrected ones."""

Value = int | float | str | None
Row = Mapping[str, Value]

_ARRAYS: Mapping[type, type] = {int: vtk.vtkIntArray, float: vtk.vtkDoubleArray, str: vtk.vtkStringArray}


@dataclass(frozen=True)
class Column:
    """A column: its name (as in the file), the title that is shown, the kind and unit of its values."""

    name: str
    title: str
    kind: type = float
    unit: str = ""

    @property
    def automatic(self) -> Column:
        """The column of the automatic values beside this one."""
        title = _("{title}, automatic").format(title=self.title)
        return replace(self, name=AUTOMATIC_PREFIX + self.name, title=title)


def fill(tableNode: Any, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Replace the content of a table by another; a column without any value is left out.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode.
    columns : which to fill.
    rows : by name of the column; None for a cell without a value (NaN, or an empty text).
    """
    with slicer.util.NodeModify(tableNode):
        tableNode.SetAndObserveSchema(None)
        tableNode.SetAndObserveTable(vtk.vtkTable())
        tableNode.SetUseColumnTitleAsColumnHeader(True)
        for column in columns:
            values = [row.get(column.name) for row in rows]
            if any(value is not None for value in values):
                _addColumn(tableNode, column, values)
        tableNode.SetLocked(True)


def addAutomatic(tableNode: Any, columns: Sequence[Column], names: Sequence[str], rows: Sequence[Row]) -> None:
    """Add columns with the values of the analysis.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode that was filled with ``columns``.
    columns, names : of them, those that get an automatic one.
    rows : automatic values by name of the column, row for row.
    """
    with slicer.util.NodeModify(tableNode):
        for column in columns:
            if column.name in names:
                _addColumn(tableNode, column.automatic, [row.get(column.name) for row in rows])


def rowsOf(tableNode: Any, columns: Sequence[Column]) -> tuple[dict[str, Value], ...]:
    """The rows of a table by name of the column; a cell without a value is None, a column that is not there left out.

    Parameters
    ----------
    tableNode : vtkMRMLTableNode, or None for no rows.
    columns : which to read.
    """
    if tableNode is None:
        return ()
    table = tableNode.GetTable()
    arrays = {column.name: table.GetColumnByName(column.name) for column in columns}
    kinds = {column.name: column.kind for column in columns if arrays[column.name] is not None}
    return tuple(
        {name: _value(arrays[name].GetValue(n), kind) for name, kind in kinds.items()}
        for n in range(table.GetNumberOfRows())
    )


def _addColumn(tableNode: Any, column: Column, values: Sequence[Value]) -> None:
    whole = column.kind is int and all(value is not None for value in values)
    kind = float if column.kind is int and not whole else column.kind
    array = _ARRAYS[kind]()
    array.SetName(column.name)
    empty = "" if kind is str else math.nan
    for value in values:
        array.InsertNextValue(empty if value is None else kind(value))
    tableNode.AddColumn(array)
    tableNode.SetColumnTitle(
        column.name, column.title
    )  # a table with properties is saved with the types of its columns
    if column.unit:
        tableNode.SetColumnUnitLabel(column.name, column.unit)


def _value(value: Any, kind: type) -> Value:
    if kind is str:
        return str(value) or None
    number = float(value)
    return None if math.isnan(number) else kind(number)
