"""The table of a batch in the panel. Thousands of rows come in portions, so that the window is not held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import qt
from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.BatchTables import Batch, BatchRow
from CovidSeveritySlicer.events.Steps import Steps

CASE, CTSS, RANGE, SEVERITY, WARNINGS, REASON = range(6)
"""Columns of the table in ``CovidSeverity.ui``."""

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

    def finish(self) -> None:
        """Wait until all rows are there."""
        self._steps.finish()

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
            for column, value in enumerate(cellsOf(row)):
                if value is not None:
                    self._table.setItem(n, column, _item(value))
            yield
            if n == ROWS_MEASURED:
                self._table.resizeColumnsToContents()

    def _onFilled(self, error: Exception | None) -> None:
        if error is not None:
            raise error
        self._table.resizeColumnsToContents()
        self._table.setSortingEnabled(True)
        self._table.horizontalHeader().setSortIndicator(-1, qt.Qt.AscendingOrder)  # in the order of the source


def cellsOf(row: BatchRow) -> tuple[str | int | None, ...]:
    """Cells of a row. Numbers are sorted as numbers; None is an empty cell."""
    if row.failure:
        return row.case, None, None, _("failed"), None, row.failure
    ends = None if row.ctssRange is None else "{}\N{EN DASH}{}".format(*row.ctssRange)
    about = ", ".join(code.replace("_", " ") for code in row.codes)
    return row.case, row.ctss, ends, row.severity or None, row.warnings, about or None


def _item(value: str | int) -> Any:
    item = qt.QTableWidgetItem()
    item.setData(qt.Qt.DisplayRole, value)
    if isinstance(value, int):
        item.setTextAlignment(int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))
    else:
        item.setToolTip(value)
    return item
