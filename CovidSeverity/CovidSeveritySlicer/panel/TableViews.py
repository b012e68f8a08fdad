"""Table views of the layout."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import slicer


def fitColumns(tables: Collection[Any]) -> None:
    """Make the columns as wide as their content where a view shows one of these tables.

    Slicer does so when a view gets another table, not when the table changes.

    Parameters
    ----------
    tables : collection of vtkMRMLTableNode or None
        Tables that have changed.
    """
    manager = slicer.app.layoutManager()
    for n in range(0 if manager is None else manager.tableViewCount):
        view = manager.tableWidget(n).tableView()
        shown = view.mrmlTableNode()
        if shown is not None and shown in tables:
            view.resizeColumnsToContents()
