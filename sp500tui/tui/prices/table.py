"""The live table of prices: a line-API widget that repaints only the cells whose content changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from sp500tui.model import Constituent
from sp500tui.pipeline.core.snapshot import LivePrice, MissingSymbol
from sp500tui.tui.prices.cells import STYLES, Cell, centred, header_cells, row_age, row_cells, sector_cells
from sp500tui.tui.prices.columns import PriceColumn, PriceLayout, price_layout
from sp500tui.tui.prices.export import PriceRecord, price_record
from sp500tui.tui.prices.model import PriceModel, PriceRow
from sp500tui.tui.prices.symbol_list import SymbolList
from sp500tui.tui.prices.view import (
    Line,
    PriceListView,
    SectorLine,
    ViewOptions,
    first_direction,
    next_column,
)
from sp500tui.tui.render.formats import clean

FLASH = timedelta(seconds=0.8)
RESORT = timedelta(seconds=1)
"""The order follows the prices at most once in this time, so that a row can be read."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)
ROWS_A_RESORT = 20_000
"""Rows for each of which, begun, that time is granted once, so that sorting stays a small part of it."""
TICK = 0.5
"""Seconds between two looks at ages and flashes."""
WAITING = "Waiting for the list of constituents"


def utc_now() -> datetime:
    """The time of day, UTC."""
    return datetime.now(UTC)


class PriceTable(SymbolList, can_focus=True):
    """All constituents with their newest prices, sorted, filtered and grouped as the person wishes."""

    HELP = """\
    ## Prices
    Click a column's title or press `s` to sort by it, again (or `R`) to reverse. `/` keeps only the rows whose
    symbol, name or sector contains every word you type. `b` groups by sector: each heading counts advancers and
    decliners and shows the change of one share of each member. Rows without a recent trade are dimmed.
    """
    BINDING_GROUP_TITLE = "Prices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", id="prices.filter", key_display="/"),
        Binding("s", "sort_next(1)", "Sort", id="prices.sort_next", tooltip="Sort by the next column"),
        Binding("S", "sort_next(-1)", "Sort back", id="prices.sort_previous", show=False),
        Binding("R", "reverse", "Reverse", id="prices.reverse", tooltip="Reverse the order"),
        Binding("b", "toggle_grouped", "By sector", id="prices.group"),
        Binding("F", "toggle_flashes", "Flash on change", id="prices.flash", show=False),
        Binding("escape", "release", "Clear filter", id="prices.release", show=False),
    ]
    PREFIX = "price"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"price--{style}" for style in STYLES}

    sort: var[PriceColumn] = var(PriceColumn.PERCENT, init=False)
    descending: var[bool] = var(True, init=False)
    filter_text: var[str] = var("", init=False)
    grouped: var[bool] = var(False, init=False)
    frozen: var[bool] = var(False, init=False)
    """The picture stands still; prices that arrive meanwhile are shown when it is set back."""
    flashes: var[bool] = var(True, init=False)
    """Prices light up for a moment when they change."""
    show_converted: var[bool] = var(False, init=False)
    """The second currency comes first: it stays where there is room for one price only."""
    notice: var[str] = var(WAITING, init=False)
    """Shown while there are no rows, a line each: what is waited for, or what failed."""

    @dataclass
    class Described(Message):
        """The words for what is shown and in which order changed."""

        text: str

    class FilterRequested(Message):
        """The person wants to type a filter."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._clock = clock
        self._now = clock()
        self._sorted_at = LONG_AGO
        self._book = PriceModel()
        self._view = PriceListView(self._book)
        self._held: dict[str, LivePrice] = {}
        self._listed: tuple[Constituent, ...] = ()
        self._words = ""

    # What comes in

    def set_constituents(self, constituents: Sequence[Constituent]) -> None:
        """Show this list; prices known already stay. The same list again, as every cycle brings it, costs nothing."""
        if self._listed == (listed := tuple(constituents)):
            return
        self._listed = listed
        self._book.set_constituents(constituents)
        self._sorted_at = LONG_AGO
        self._view.rebuild()
        self._lines_changed(None)

    def update_prices(self, prices: Sequence[LivePrice], now: datetime) -> None:
        """Take over newer prices. Costs in proportion to their number, not to the rows of the table."""
        if self.frozen:
            self._held.update((live.row.quote.symbol, live) for live in prices)
            return
        units = self._book.several_currencies
        self._view.touch(self._book.update(prices, now))
        if units != self._book.several_currencies:
            self.forget_lines()
            self.refresh()
        self.advance(now)

    def set_missing(self, missing: Sequence[MissingSymbol]) -> None:
        """Mark the symbols that have no price in this cycle."""
        self._view.touch(self._book.set_missing(missing))
        self.repaint_changed()

    def advance(self, now: datetime) -> None:
        """Bring order, ages and flashes to the time `now`; only lines that look different are repainted."""
        if self.frozen:
            return
        self._now = max(now, self._now)
        self._book.forget_moves(self._now - FLASH)
        self._settle()
        self.repaint_changed()

    # What goes out

    def rows(self) -> list[PriceRecord]:
        """The rows the filter lets through, in the order shown."""
        return [price_record(self._book.rows[line]) for line in self._view.lines if isinstance(line, str)]

    def row(self, symbol: str) -> PriceRow | None:
        """What is known of one symbol."""
        return self._book.rows.get(symbol)

    @property
    def cursor_record(self) -> PriceRecord | None:
        """The row under the cursor."""
        row = self._book.rows.get(self.cursor_symbol or "")
        return price_record(row) if row else None

    @property
    def columns(self) -> tuple[PriceColumn, ...]:
        """The columns that fit the present width."""
        return self._layout_now.columns

    # Order

    def _settle(self) -> None:
        """Follow the prices with the order, at most once in a while."""
        if self._now - self._sorted_at >= RESORT * (1 + self._view.shown // ROWS_A_RESORT):
            offset = self.cursor_offset()
            if self._view.settle():
                self._sorted_at = self._now
                self._lines_changed(offset)

    def _rearrange(self) -> None:
        """Show the rows as the reactive attributes now say."""
        offset = self.cursor_offset()
        self.forget_lines()
        self._view.arrange(ViewOptions(self.sort, self.descending, self.filter_text, self.grouped))
        self._lines_changed(offset)

    watch_sort = watch_descending = watch_filter_text = watch_grouped = _rearrange

    def _lines_changed(self, offset: int | None) -> None:
        """Fit scrolling, title and picture to other lines; the cursor's row stays at row `offset` of the screen."""
        lines = self._view.lines
        self.set_line_total(len(lines) + 1 if lines else 0)
        self.keep_cursor_at(offset)
        words = self._view.arrangement.words(self._view.shown, len(self._book.rows))
        if words != self._words:
            self._words = words
            self.post_message(self.Described(words))
        self.repaint_changed()

    def sort_by(self, column: PriceColumn) -> None:
        """Sort by `column` in its natural direction, or reverse when it is the sort column already."""
        if column is self.sort:
            self.descending = not self.descending
        else:
            self.set_reactive(PriceTable.descending, first_direction(column))
            self.sort = column

    # Picture

    @property
    def _layout_now(self) -> PriceLayout:
        return price_layout(self.line_width, self.show_converted, self.grouped, self._book.several_currencies)

    @property
    def lines(self) -> Sequence[Line]:
        """Everything below the header."""
        return self._view.lines

    def heading_clicked(self, x: int) -> None:
        """Sort by the column clicked."""
        column = self._layout_now.column_at(x)
        if column is not None and self.lines:
            self.sort_by(column)

    def line_key(self, y: int) -> Hashable:
        """A row is known by its revision, its age in words and what the cursor and time do to it."""
        line = self.line_at(y)
        if isinstance(line, str):
            row = self._book.rows[line]
            moved = self._moved(line)
            look = self.row_style(line)
            return row.revision, row_age(row, self._now), row.stale(self._now), moved, look
        if isinstance(line, SectorLine):
            tally = self._book.sectors[line.sector]
            return line, tally.members, tally.advancers, tally.decliners, tally.change, tally.previous
        if y == 0 and self._view.lines:
            book = self._book
            return self._view.arrangement, self.show_converted, book.currencies, book.several_currencies
        return y, self.line_count, self._message()

    def line_cells(self, y: int) -> tuple[str, Sequence[Cell]]:
        """The cells of a row, a sector's heading, the header or the message in an empty table."""
        line = self.line_at(y)
        layout = price_layout(
            self.drawn_width, self.show_converted, self.grouped, self._book.several_currencies
        )
        if isinstance(line, str):
            row, look = self._book.rows[line], self.row_style(line)
            return look, row_cells(row, layout, self._now, self._moved(line), look.startswith("cursor"))
        if isinstance(line, SectorLine):
            return "sector", sector_cells(line, self._book.sectors[line.sector], layout)
        if y == 0 and self._view.lines:
            return "header", header_cells(layout, self._view.arrangement, *self._book.currencies)
        return "row", centred(self._message(), y, self.drawn_width, self.line_count)

    def _moved(self, symbol: str) -> int:
        """+1 or -1 shortly after the price rose or fell, else 0."""
        return self._book.moved.get(symbol, (0, self._now))[0] if self.flashes else 0

    def _message(self) -> str:
        """What an empty table says."""
        if self._view.lines:
            return ""
        if self._book.rows:
            return f"No symbol, name or sector contains “{clean(self.filter_text.strip())}”\nescape shows all"
        return self.notice

    def watch_flashes(self) -> None:
        """Light up or calm down at once."""
        self.repaint_changed()

    watch_notice = watch_flashes

    def watch_show_converted(self) -> None:
        """Lay the columns out anew."""
        self.forget_lines()
        self.refresh()

    def watch_frozen(self, frozen: bool) -> None:
        """Catch up with what arrived while the picture stood still."""
        if not frozen:
            held, self._held = list(self._held.values()), {}
            self.update_prices(held, self._clock())

    def on_mount(self) -> None:
        """Watch the time: ages grow and flashes fade without any news."""
        self.set_interval(TICK, self._beat)

    def _beat(self) -> None:
        if self.is_on_screen:
            self.advance(self._clock())

    # Choices

    def action_filter(self) -> None:
        """Ask for the filter's input line."""
        self.post_message(self.FilterRequested())

    def action_release(self) -> None:
        """Clear the filter; without one let go of the cursor and return to the top."""
        if self.filter_text:
            self.filter_text = ""
        else:
            self.cursor_symbol = None
            self.scroll_to(y=0, animate=False)

    def action_sort_next(self, step: int) -> None:
        """Sort by the next or previous column."""
        column = next_column(self.sort, step)
        self.set_reactive(PriceTable.descending, first_direction(column))
        self.sort = column

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.descending = not self.descending

    def action_toggle_grouped(self) -> None:
        """Group by sector, or not."""
        self.grouped = not self.grouped

    def action_toggle_flashes(self) -> None:
        """Light up changes, or not."""
        self.flashes = not self.flashes
