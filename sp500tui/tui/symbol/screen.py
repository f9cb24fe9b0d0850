"""The symbol screen: quote, company, chart of the stored prices, and latest rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from sp500tui.model import Constituent, ConvertedQuote
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot
from sp500tui.tui.messages import ConstituentsChanged
from sp500tui.tui.render.bindings import bind
from sp500tui.tui.render.formats import clean, format_change
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.stored_rows import stored_lines
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.price_reader import PostgresReader, PriceReader, StoredSymbol
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.symbol.chart import Day, PriceChart
from sp500tui.tui.symbol.chart_series import ChartRange
from sp500tui.tui.symbol.details import company_lines, provenance_lines, quote_lines

_ROWS = 60
"""Latest rows read; as many as fit are shown."""
_SYMBOL = Binding.Group("Symbol", compact=True)
_LOADING = "Reading the stored prices …"


class SymbolScreen(BaseScreen):
    """The details of one symbol; keys step through the symbols in the order of the price table.

    Args:
        symbol: As listed: `BRK.B`.
        reader: Reads the stored prices; from the pipeline's database by default.
    """

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("symbol.tcss")]
    BINDING_GROUP_TITLE = "Symbol"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("symbol.next", "step_symbol(1)", "Next symbol", group=_SYMBOL),
        bind("symbol.previous", "step_symbol(-1)", "Previous symbol", group=_SYMBOL),
        bind("symbol.currency", "switch_currency", "Currency"),
        bind("symbol.copy", "copy_quote", "Copy", show=False),
    ]
    AUTO_FOCUS = "PriceChart"

    chart = getters.query_one(PriceChart)

    def __init__(self, symbol: str, reader: PriceReader | None = None) -> None:
        super().__init__()
        self.symbol = symbol
        self.time_range = ChartRange.HOUR
        self._reader: PriceReader = reader or PostgresReader(self.database_url)
        self._constituents: dict[str, Constituent] = {}
        self.stored: StoredSymbol | None = None
        """The last result of the queries; None before the first one."""
        self._error = ""

    def compose_panels(self) -> ComposeResult:
        """The quote above the company and the chart, the latest rows below."""
        yield LinesWidget(id="quote", classes="panel")
        with Horizontal(id="middle"):
            yield LinesWidget(id="facts", classes="panel")
            yield PriceChart(("USD", self.dashboard.settings.currency))
        yield LinesWidget(id="stored", classes="panel")

    def on_mount(self) -> None:
        """Load the companies; start the chart in the currency of the table."""
        pipeline = self.dashboard.feed.pipeline
        self._set_constituents(pipeline.constituents() if pipeline is not None else ())
        self.chart.converted = self.dashboard.prices_converted_first

    def on_unmount(self) -> None:
        """Close the connection on a background thread: a query may still be using it."""
        start_in_background("reader-closing", self._reader.close)

    def _set_constituents(self, constituents: Sequence[Constituent]) -> None:
        self._constituents = {constituent.symbol: constituent for constituent in constituents}

    @on(ConstituentsChanged)
    def update_constituents(self, message: ConstituentsChanged) -> None:
        """Use another list of constituents."""
        self._set_constituents(message.constituents)

    # Queries

    def current_query(self) -> Callable[[], object]:
        """Read the prices of the range, at most two per cell, and the latest rows."""
        since = self.time_range.since(self.dashboard.clock())
        points = max(200, 2 * self.size.width)
        return partial(self._reader.read_symbol, self.symbol, since, points, _ROWS)

    @on(BaseScreen.QuerySucceeded)
    def show_stored(self, message: BaseScreen.QuerySucceeded) -> None:
        """Show the result of the queries."""
        answer = message.answer
        if isinstance(answer, StoredSymbol) and answer.symbol == self.symbol:
            self.stored, self._error = answer, ""
            self._draw_stored()

    @on(BaseScreen.QueryFailed)
    def show_refusal(self, message: BaseScreen.QueryFailed) -> None:
        """Keep the last result and show the error."""
        self._error = message.reason
        self._draw_stored()

    # Rendering

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Update the quote and its provenance."""
        price = self._price()
        missing = next((entry for entry in snapshot.missing if entry.symbol == self.symbol), None)
        listed = self._constituents.get(self.symbol)
        now = self.dashboard.clock()
        quote = self.query_one("#quote", LinesWidget)
        quote.show_lines(quote_lines(price, missing, now, quote.size.width))
        facts = self.query_one("#facts", LinesWidget)
        newest = self.stored.rows[0] if self.stored is not None and self.stored.rows else None
        width = facts.size.width
        company = company_lines(listed, width)
        provenance = provenance_lines(price, newest, now, width)
        gap: list[Line] = [cut((), width)] if facts.size.height > len(company) + len(provenance) else []
        facts.show_lines([*company, *gap, *provenance])
        if price is not None:
            self.chart.currencies = (price.row.quote.currency, price.row.converted_currency)
            self.chart.day = _day(price.row)
        self._update_titles(listed)

    def _price(self) -> LivePrice | None:
        pipeline = self.dashboard.feed.pipeline
        return None if pipeline is None else pipeline.price_of(self.symbol)

    def _update_titles(self, listed: Constituent | None) -> None:
        number, total = self._position()
        name = f"{self.symbol} · {listed.name}" if listed is not None else self.symbol
        position = f" · {number} of {total}" if number else ""
        set_titles(self.query_one("#quote"), name + position)
        set_titles(self.query_one("#facts"), "company · quote provenance")

    def _draw_stored(self) -> None:
        """Show the chart and the rows, or why there are none."""
        stored, now = self.stored, self.dashboard.clock()
        points, rows = (stored.points, stored.rows) if stored is not None else ((), ())
        none = f"No prices of {self.symbol} stored in {self.time_range.description}" if stored else _LOADING
        since = self.time_range.since(now)
        self.chart.show(self.time_range, points, self._error or none, since)
        stale = f" · not read: {self._error}" if self._error and stored is not None else ""
        set_titles(
            self.chart, f"stored prices in {self.chart.currency} · {self.time_range.description}{stale}"
        )
        widget = self.query_one("#stored", LinesWidget)
        if rows:
            widget.show_lines(stored_lines(rows, now, *widget.size, with_symbol=False))
        else:
            text = self._error or (_LOADING if stored is None else f"No rows of {self.symbol} stored yet")
            widget.show_lines([cut((Span(clean(text), Role.LABEL),), widget.size.width)])
        set_titles(widget, f"latest rows in PostgreSQL{stale}")

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._draw_stored)

    # Actions

    @on(PriceChart.RangeSelected)
    def select_range(self, message: PriceChart.RangeSelected) -> None:
        """Read another time range."""
        self.time_range = message.time_range
        if self.stored is not None:
            self.stored = StoredSymbol(self.symbol, (), self.stored.rows)
        self.chart.show(self.time_range, (), _LOADING)
        self.run_query()

    def action_switch_currency(self) -> None:
        """Show the chart in the other currency."""
        self.chart.converted = not self.chart.converted
        self._draw_stored()

    def action_copy_quote(self) -> None:
        """Copy the text of the quote panel."""
        text = " ".join(" ".join(self.query_one("#quote", LinesWidget).lines_shown()).split())
        self.app.copy_to_clipboard(f"{self.symbol} {text}")
        self.notify(f"Copied: {self.symbol} {text}", markup=False)

    def action_step_symbol(self, steps: int) -> None:
        """Show the symbol `steps` further in the order of the price table, and move its cursor there."""
        order = self._order()
        if not order:
            return
        index = order.index(self.symbol) + steps if self.symbol in order else 0
        self.symbol = order[index % len(order)]
        self.stored, self._error = None, ""
        self.chart.mark = None
        self.dashboard.select_symbol(self.symbol)
        self._draw_stored()
        self.show_snapshot(self.dashboard.snapshot)
        self.run_query()

    def _order(self) -> Sequence[str]:
        """The symbols in the order of the price table, or of the list if the table does not show this symbol."""
        shown = self.dashboard.listed_symbols()
        return shown if self.symbol in shown else list(self._constituents)

    def _position(self) -> tuple[int, int]:
        """Number of the symbol in that order, from one, or zero; and the number of symbols."""
        order = self._order()
        return (order.index(self.symbol) + 1 if self.symbol in order else 0), len(order)


def _day(row: ConvertedQuote) -> Day:
    """What the chart takes from a quote."""
    quote = row.quote
    return Day(
        format_change(quote.percent_change),
        None if quote.change is None else float(quote.price - quote.change),
        None if row.fx_rate is None else float(row.fx_rate),
    )
