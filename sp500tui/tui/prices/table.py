"""The live table of prices: a line-API widget that repaints only the cells whose content changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.reactive import var

from sp500tui.model import Constituent
from sp500tui.pipeline.core.snapshot import LivePrice, MissingSymbol
from sp500tui.tui.prices.cells import (
    STYLES,
    Cell,
    render_header,
    render_message,
    render_row,
    render_sector_heading,
    row_age,
)
from sp500tui.tui.prices.columns import PriceColumn, PriceLayout, price_layout
from sp500tui.tui.prices.export import PriceRecord, price_record
from sp500tui.tui.prices.model import ChangeStats, PriceModel, PriceRow
from sp500tui.tui.prices.sort_picker import SortPicker
from sp500tui.tui.prices.symbol_list import SymbolList
from sp500tui.tui.prices.view import (
    Line,
    PriceListView,
    SectorLine,
    ViewOptions,
    starts_descending,
)
from sp500tui.tui.render.formats import clean
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.search_panel import SearchPanel

FLASH_DURATION = timedelta(seconds=0.8)
SORT_INTERVAL = timedelta(seconds=1)
"""Time between two sorts, so that rows stay long enough to be read."""
NEVER = datetime.min.replace(tzinfo=UTC)
ROWS_PER_SORT_INTERVAL = 20_000
"""The interval doubles at this number of rows, triples at twice that, and so on, to bound the cost of sorting."""
TIMER_INTERVAL = 0.5
"""Seconds between two updates of ages and flashes."""
WAITING_TEXT = "Waiting for the list of constituents"


def utc_now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


class PriceTable(SymbolList, can_focus=True):
    """All constituents with their newest prices, which can be sorted, filtered and grouped by sector."""

    BINDING_GROUP_TITLE = "Prices"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("prices.filter", "filter", "Filter"),
        bind("prices.sort", "choose_sort", "Sort"),
        bind("prices.reverse", "reverse", "Reverse"),
        bind("prices.group", "toggle_grouped", "By sector"),
        bind("prices.flash", "toggle_flashes", "Flash on change", show=False),
        bind("prices.release", "release", "Clear filter", show=False),
    ]
    PREFIX = "price"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"price--{style}" for style in STYLES}

    sort: var[PriceColumn] = var(PriceColumn.PERCENT, init=False)
    descending: var[bool] = var(True, init=False)
    filter_text: var[str] = var("", init=False)
    grouped: var[bool] = var(False, init=False)
    frozen: var[bool] = var(False, init=False)
    """Whether the table is paused; prices that arrive are kept and shown when it resumes."""
    flashes: var[bool] = var(True, init=False)
    """Whether prices flash when they change."""
    show_converted: var[bool] = var(False, init=False)
    """Whether the converted price is shown if only one price fits."""
    notice: var[str] = var(WAITING_TEXT, init=False)
    """Shown while there are no rows: what the table waits for, or what failed."""

    @dataclass
    class SummaryChanged(Message):
        """The summary of sort order, filter and grouping changed."""

        text: str

    @dataclass
    class StatisticsChanged(Message):
        """Advancers, decliners or weighted changes differ; posted at most once per `SORT_INTERVAL`."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._clock = clock
        self._now = clock()
        self._sorted_at = NEVER
        self._model = PriceModel()
        self._view = PriceListView(self._model)
        self._pending: dict[str, LivePrice] = {}
        self._constituents: tuple[Constituent, ...] = ()
        self._summary = ""
        self._statistics: tuple[datetime, Hashable] = (NEVER, None)
        """Time of the last report of the statistics, and their key."""
        self.release_key = "escape"
        """The key that clears the filter, for the message of an empty result."""

    # Input

    def set_constituents(self, constituents: Sequence[Constituent]) -> None:
        """Show this list and keep known prices; an unchanged list, which every cycle brings, costs nothing."""
        if self._constituents == (listed := tuple(constituents)):
            return
        self._constituents = listed
        self._model.set_constituents(constituents)
        self._sorted_at = NEVER
        self._view.rebuild()
        self._lines_changed(None)

    def update_prices(self, prices: Sequence[LivePrice], now: datetime) -> None:
        """Apply newer prices; the cost depends on their number, not on the number of rows."""
        if self.frozen:
            self._pending.update((live.row.quote.symbol, live) for live in prices)
            return
        mixed = self._model.mixed_currencies
        self._view.mark_changed(self._model.update(prices, now))
        if mixed != self._model.mixed_currencies:
            self.forget_lines()
            self.refresh()
        self.advance(now)

    def forget_prices(self) -> None:
        """Forget prices and their history before another time is shown; the list and the options stay."""
        self._now = self._clock()
        self._sorted_at, self._statistics = NEVER, (NEVER, None)
        self._pending.clear()
        self._model = PriceModel()
        self._model.set_constituents(self._constituents)
        self._view = PriceListView(self._model)
        self._view.set_options(ViewOptions(self.sort, self.descending, self.filter_text, self.grouped))
        self.forget_lines()
        self._lines_changed(self.cursor_offset())

    def set_missing(self, missing: Sequence[MissingSymbol]) -> None:
        """Mark the symbols that have no price in this cycle."""
        if changed := self._model.set_missing(missing):
            self._view.mark_changed(changed)
            self.repaint_changed()

    def advance(self, now: datetime) -> None:
        """Update order, ages and flashes to `now` and repaint the lines that changed."""
        if self.frozen:
            return
        self._now = max(now, self._now)
        self._model.expire_changes(self._now - FLASH_DURATION)
        self._resort_if_due()
        self._report_statistics()
        self.repaint_changed()

    def _report_statistics(self) -> None:
        at, reported = self._statistics
        if self._now - at < SORT_INTERVAL:
            return
        total = self._model.total
        if reported != total.key:
            # The first prices are reported at once, whenever the list was reported.
            self._statistics = self._now if total.counted else NEVER, total.key
            self.post_message(self.StatisticsChanged())

    # Output

    @property
    def statistics(self) -> tuple[ChangeStats, Mapping[str, ChangeStats]]:
        """Statistics of all rows, and by sector."""
        return self._model.total, self._model.sectors

    def all_rows(self) -> Iterable[PriceRow]:
        """The rows of all symbols, whatever the filter."""
        return self._model.rows.values()

    def rows(self) -> list[PriceRecord]:
        """The rows that match the filter, in the order shown."""
        return [price_record(self._model.rows[line]) for line in self._view.lines if isinstance(line, str)]

    def row(self, symbol: str) -> PriceRow | None:
        """One symbol's row; None for an unknown symbol."""
        return self._model.rows.get(symbol)

    def visible_record(self) -> PriceRecord | None:
        """The row under the cursor, or the first one on the screen, as exported; None if no row is shown."""
        row = self._model.rows.get(self.visible_symbol() or "")
        return price_record(row) if row else None

    @property
    def columns(self) -> tuple[PriceColumn, ...]:
        """The columns that fit the current width."""
        return self._current_layout.columns

    # Order

    def _resort_if_due(self) -> None:
        """Sort the changed rows if the interval has passed."""
        if self._now - self._sorted_at >= SORT_INTERVAL * (1 + self._view.shown // ROWS_PER_SORT_INTERVAL):
            offset = self.cursor_offset()
            if self._view.apply_changes():
                self._sorted_at = self._now
                self._lines_changed(offset)

    def _apply_options(self) -> None:
        """Apply sort order, filter and grouping, and show the result from its first line."""
        self.forget_lines()
        self._view.set_options(ViewOptions(self.sort, self.descending, self.filter_text, self.grouped))
        self._lines_changed(None)
        self.scroll_to(y=0, animate=False, force=True)

    watch_sort = watch_descending = watch_filter_text = watch_grouped = _apply_options

    def _lines_changed(self, offset: int | None) -> None:
        """Update scrolling, title and screen after the lines changed; the cursor stays `offset` rows from the top."""
        lines = self._view.lines
        self.set_line_total(len(lines) + 1 if lines else 0)
        self.keep_cursor_at(offset)
        summary = self._view.options.summary(self._view.shown, len(self._model.rows))
        if summary != self._summary:
            self._summary = summary
            self.post_message(self.SummaryChanged(summary))
        self.repaint_changed()

    def sort_by(self, column: PriceColumn) -> None:
        """Sort by `column` in its natural direction, or reverse if it is the sort column already."""
        if column is self.sort:
            self.descending = not self.descending
        else:
            self.set_reactive(PriceTable.descending, starts_descending(column))
            self.sort = column

    # Rendering

    @property
    def _current_layout(self) -> PriceLayout:
        return self._layout_of(self.line_width)

    def _layout_of(self, width: int) -> PriceLayout:
        return price_layout(
            width,
            self.sort,
            converted_first=self.show_converted,
            grouped=self.grouped,
            units=self._model.mixed_currencies,
        )

    @property
    def lines(self) -> Sequence[Line]:
        """Everything below the header."""
        return self._view.lines

    def heading_clicked(self, x: int) -> None:
        """Sort by the column clicked."""
        column = self._current_layout.column_at(x)
        if column is not None and self.lines:
            self.sort_by(column)

    def line_key(self, y: int) -> Hashable:
        """A row's revision, age, flash and style; a heading's statistics; the header's options."""
        line = self.line_at(y)
        if isinstance(line, str):
            row = self._model.rows[line]
            stale = row.stale(self._now)
            return row.revision, row_age(row, self._now), stale, self._flash(line), self.row_style(line)
        if isinstance(line, SectorLine):
            return line, self._model.sectors[line.sector].key
        if y == 0 and self._view.lines:
            model = self._model
            return self._view.options, self.show_converted, model.currencies, model.mixed_currencies
        return y, self.line_count, self._empty_text()

    def line_cells(self, y: int) -> tuple[str, Sequence[Cell]]:
        """The cells of a row, a sector's heading, the header or the message in an empty table."""
        line = self.line_at(y)
        layout = self._layout_of(self.drawn_width)
        if isinstance(line, str):
            row, style = self._model.rows[line], self.row_style(line)
            marked = style.startswith("cursor")
            return style, render_row(row, layout, self._now, self._flash(line), marked)
        if isinstance(line, SectorLine):
            return "sector", render_sector_heading(line, self._model.sectors[line.sector], layout)
        if y == 0 and self._view.lines:
            return "header", render_header(layout, self._view.options, *self._model.currencies)
        return "row", render_message(self._empty_text(), y, self.drawn_width, self.line_count)

    def _flash(self, symbol: str) -> int:
        """+1 or -1 shortly after the price rose or fell, else 0."""
        return self._model.recent_changes.get(symbol, (0, self._now))[0] if self.flashes else 0

    def _empty_text(self) -> str:
        """The message of an empty table."""
        if self._view.lines:
            return ""
        if self._model.rows:
            words = clean(self.filter_text.strip())
            return f"No symbol, name or sector contains “{words}”\nPress {self.release_key} to show all"
        return self.notice

    def watch_flashes(self) -> None:
        """Show or clear the flashes."""
        self.repaint_changed()

    watch_notice = watch_flashes

    def watch_show_converted(self) -> None:
        """Lay out the columns again."""
        self.forget_lines()
        self.refresh()

    def watch_frozen(self, frozen: bool) -> None:
        """Apply the prices that arrived while the table was paused."""
        if not frozen:
            arrived, self._pending = list(self._pending.values()), {}
            self.update_prices(arrived, self._clock())

    def on_mount(self) -> None:
        """Start the timer: ages grow and flashes end without new prices."""
        self.set_interval(TIMER_INTERVAL, self._update_time)

    def _update_time(self) -> None:
        now = self._clock()
        # Prices that arrived just now have advanced it already.
        if self.is_on_screen and now - self._now >= timedelta(seconds=TIMER_INTERVAL):
            self.advance(now)

    # Actions

    def action_filter(self) -> None:
        """Request the filter's input line."""
        self.post_message(SearchPanel.Requested())

    def action_release(self) -> None:
        """Clear the filter; without one, clear the cursor and return to the top."""
        if self.filter_text:
            self.filter_text = ""
        else:
            self.cursor_symbol = None
            self.scroll_to(y=0, animate=False)

    def action_choose_sort(self) -> None:
        """Open the list of columns."""
        self.app.push_screen(SortPicker(self.sort, descending=self.descending), self._sort_chosen)

    def _sort_chosen(self, column: PriceColumn | None) -> None:
        if column is not None:
            self.sort_by(column)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.descending = not self.descending

    def action_toggle_grouped(self) -> None:
        """Switch grouping by sector on or off."""
        self.grouped = not self.grouped

    def action_toggle_flashes(self) -> None:
        """Switch the flashes on or off."""
        self.flashes = not self.flashes
