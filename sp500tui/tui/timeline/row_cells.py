"""The cells of a row, made from its spans or kept from an earlier drawing."""

from __future__ import annotations

from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.tui.timeline.cells import Cell, Cells, Window, cells_of, combined, of_batch
from sp500tui.tui.timeline.rows import Row


def row_cells(row: Row, window: Window, batch: int | None = None) -> Cells:
    """The cells of a row in a window; with a fetch batch, everything else is idle."""
    rows = [row.spans_of(worker) for worker in row.workers]
    found = [cells_of(spans if batch is None else of_batch(spans, batch), window) for spans in rows]
    return combined(found, window.columns) if row.is_heading else found[0]


class CellCache:
    """The complete columns of each row, which do not change while the window moves on with the present."""

    def __init__(self) -> None:
        self._view: tuple[float, int, int | None] | None = None
        """What the cells depend on."""
        self._rows: dict[str, tuple[int, list[Cell | None]]] = {}
        """The number of the first column, counted from the beginning of the clock, and the cells from there on."""

    def row_cells(self, row: Row, report: SpanReport, window: Window, batch: int | None = None) -> Cells:
        """As the function `row_cells`, for a window that was made by `Window.up_to`.

        The span of a cell has the end that it had when the cell was made.
        """
        length = window.column_seconds
        if (view := (length, report.pid, batch)) != self._view:
            self._view, self._rows = view, {}
        first = round(window.begin / length)
        known_first, known = self._rows.get(row.key, (first, []))
        kept = known[first - known_first :] if first >= known_first else []
        rest = window.without(len(kept))
        cells = [*kept, *(row_cells(row, rest, batch) if rest.columns else ())]
        complete = int((row.settled(report.monotonic) - window.begin) // length)
        self._rows[row.key] = first, cells[: max(0, complete)]
        return cells


class WindowCache:
    """The cells of the rows in one window of one report, kept while only the cursor moves."""

    def __init__(self) -> None:
        self._view: tuple[SpanReport, Window, int | None] | None = None
        """What the cells depend on."""
        self._rows: dict[str, Cells] = {}

    def row_cells(self, row: Row, report: SpanReport, window: Window, batch: int | None = None) -> Cells:
        """As the function `row_cells`."""
        view = self._view
        # Reports are compared by identity: to compare all their spans takes as long as to divide them.
        if view is None or view[0] is not report or view[1:] != (window, batch):
            self._view, self._rows = (report, window, batch), {}
        cells = self._rows.get(row.key)
        if cells is None:
            cells = self._rows[row.key] = row_cells(row, window, batch)
        return cells
