"""Writing and reading typed columns of table nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

AUTOMATIC_PREFIX = "automatic_"
"""Prefix of a column with automatic values beside corrected ones."""

Value = int | float | str | None
Row = Mapping[str, Value]

_ARRAYS: Mapping[type, type] = {int: vtk.vtkIntArray, float: vtk.vtkDoubleArray, str: vtk.vtkStringArray}


@dataclass(frozen=True)
class Column:
    """A column: name (as in the file), title, type and unit of its values.

    The title has no unit: Slicer's table view writes ``title [unit]``.
    """

    name: str
    title: str
    kind: type = float
    unit: str = ""

    @property
    def automatic(self) -> Column:
        """Column of the automatic values for this column."""
        title = _("{title}, automatic").format(title=self.title)
        return replace(self, name=AUTOMATIC_PREFIX + self.name, title=title)


def fill(tableNode: Any, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Replace the content of a table. A column without any value is left out.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode.
    columns : sequence of Column
        Columns to fill.
    rows : sequence of Row
        Values by column name. None becomes NaN or empty text.
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
    """Add columns with automatic values.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode Filled with ``columns``.
    columns : sequence of Column
        Columns of the table.
    names : sequence of str
        Names of the columns that get an automatic one.
    rows : sequence of Row
        Automatic values by column name, in the order of the rows.
    """
    with slicer.util.NodeModify(tableNode):
        for column in columns:
            if column.name in names:
                _addColumn(tableNode, column.automatic, [row.get(column.name) for row in rows])


def rowsOf(tableNode: Any, columns: Sequence[Column]) -> tuple[dict[str, Value], ...]:
    """Rows of a table by column name. A cell without a value is None. Missing columns are left out.

    Parameters
    ----------
    tableNode : any
        VtkMRMLTableNode or None None has no rows.
    columns : sequence of Column
        Columns to read.
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
