"""The table of a batch in the panel. Thousands of rows come in portions, so that the window is not held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import qt
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.BatchTables import Batch, BatchRow
from CovidSeveritySlicer.events.Steps import Steps

CASE = 0
"""Column of the case in the table in ``CovidSeverity.ui``."""

ROWS_MEASURED = 50
"""Rows that decide the width of a column."""


class BatchTable:
    """Fills the table and tells which case is chosen.

    Parameters
    ----------
    table : any
        QTableWidget.
    onChosen : callable
        Called when another row is chosen, or none.
    onActivated : callable
        Called with the case that was double-clicked.
    """

    def __init__(self, table: Any, onChosen: Callable[[], None], onActivated: Callable[[BatchRow], None]) -> None:
        self._table = table
        self._steps = Steps()
        self._rows: dict[str, BatchRow] = {}
        self._onActivated = onActivated
        table.connect("itemSelectionChanged()", onChosen)
        table.connect("cellActivated(int,int)", self.onActivated)  # a double click, or Enter
        table.horizontalHeader().setResizeContentsPrecision(ROWS_MEASURED)

    def show(self, batch: Batch | None) -> None:
        """Show a batch; None hides the table."""
        self._steps.forget()
        table = self._table
        self._rows = {} if batch is None else {row.case: row for row in batch.rows}
        table.visible = batch is not None
        table.setSortingEnabled(False)
        table.clearContents()
        table.rowCount = len(self._rows)
        self._steps.run(self._fill(list(self._rows.values())), self._onFilled)

    def clear(self) -> None:
        """Give up what is not shown yet."""
        self._steps.forget()

    def chosen(self) -> BatchRow | None:
        """The case of the chosen row."""
        return self._rowAt(self._table.currentRow()) if self._table.selectedItems() else None

    def onActivated(self, row: int, _column: int) -> None:
        """A row was double-clicked."""
        found = self._rowAt(row)
        if found is not None:
            self._onActivated(found)

    def _rowAt(self, row: int) -> BatchRow | None:
        item = self._table.item(row, CASE)
        return None if item is None else self._rows.get(item.text())

    def _fill(self, rows: list[BatchRow]) -> Iterator[None]:
        for n, row in enumerate(rows):
            for column, text in enumerate(cellsOf(row)):
                self._table.setItem(n, column, _item(text))
            yield
            if n == ROWS_MEASURED:
                self._table.resizeColumnsToContents()

    def _onFilled(self, error: Exception | None) -> None:
        if error is not None:
            raise error
        self._table.resizeColumnsToContents()
        self._table.setSortingEnabled(True)
        self._table.horizontalHeader().setSortIndicator(-1, qt.Qt.AscendingOrder)  # in the order of the source


def cellsOf(row: BatchRow) -> tuple[str, str, str, str]:
    """Cells of a row: case, CTSS with its range, severity, warnings or why it failed.

    The table sorts texts. Numbers have two places, so that they are sorted as numbers.
    """
    if row.failure:
        return row.case, "", _("failed"), row.failure
    score = "" if row.ctss is None else f"{row.ctss:2}"
    ends = "" if row.ctssRange is None else " ({}\N{EN DASH}{})".format(*row.ctssRange)
    about = ", ".join(code.replace("_", " ") for code in row.codes)
    return row.case, score + ends, row.severity, f"{row.warnings:2}: {about}" if row.warnings else ""


def _item(text: str) -> Any:
    item = qt.QTableWidgetItem(text)
    item.setToolTip(text.strip())
    return item
