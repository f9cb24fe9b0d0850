"""Everything about one symbol: its quote, its company, its stored prices as a chart, its newest rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from sp500tui.model import Constituent
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot
from sp500tui.tui.messages import ConstituentsChanged
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.stored_rows import stored_lines
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.price_reader import PostgresReader, PriceReader, StoredSymbol
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.symbol.chart import PriceChart
from sp500tui.tui.symbol.chart_series import ChartRange
from sp500tui.tui.symbol.details import company_lines, provenance_lines, quote_lines

_ROWS = 60
"""Newest rows read; as many as fit are shown."""
_SYMBOL = Binding.Group("Symbol", compact=True)
_LOADING = "Reading the stored prices …"


class SymbolScreen(BaseScreen):
    """The details of the symbol under the cursor of the price table, and of its neighbours there.

    Args:
        symbol: As listed: `BRK.B`.
        archive: Where the stored prices are read; the pipeline's database by default.
    """

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("symbol.tcss")]
    BINDING_GROUP_TITLE = "Symbol"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "down,j",
            "step_symbol(1)",
            "Next symbol",
            group=_SYMBOL,
            id="symbol.next",
            tooltip="The next symbol of the table",
        ),
        Binding(
            "up,k",
            "step_symbol(-1)",
            "Previous symbol",
            group=_SYMBOL,
            id="symbol.previous",
            tooltip="The symbol before in the table",
        ),
        Binding(
            "c", "switch_currency", "Currency", id="symbol.currency", tooltip="Chart in the other currency"
        ),
        Binding("y", "copy_quote", "Copy", show=False, id="symbol.copy", tooltip="Copy the quote shown"),
    ]
    AUTO_FOCUS = "PriceChart"

    chart = getters.query_one(PriceChart)

    def __init__(self, symbol: str, reader: PriceReader | None = None) -> None:
        super().__init__()
        self.symbol = symbol
        self.time_range = ChartRange.HOUR
        self._archive: PriceReader = reader or PostgresReader(self.database_url)
        self._listed: dict[str, Constituent] = {}
        self._stored: StoredSymbol | None = None
        self._trouble = ""

    def compose_panels(self) -> ComposeResult:
        """The quote over the facts and the chart, the stored rows below."""
        yield LinesWidget(id="quote", classes="panel")
        with Horizontal(id="middle"):
            yield LinesWidget(id="facts", classes="panel")
            yield PriceChart(("USD", self.dashboard.settings.currency))
        yield LinesWidget(id="stored", classes="panel")

    def on_mount(self) -> None:
        """Know the companies; start the chart in the currency of the table."""
        pipeline = self.dashboard.feed.pipeline
        self._list(pipeline.constituents() if pipeline is not None else ())
        self.chart.converted = self.dashboard.prices_converted_first

    def on_unmount(self) -> None:
        """Close the connection on a background thread: a query may still be using it."""
        start_in_background("reader-closing", self._archive.close)

    def _list(self, constituents: Sequence[Constituent]) -> None:
        self._listed = {constituent.symbol: constituent for constituent in constituents}

    @on(ConstituentsChanged)
    def know_constituents(self, message: ConstituentsChanged) -> None:
        """Another list is in force."""
        self._list(message.constituents)

    # Reading

    def question(self) -> Callable[[], object]:
        """The prices of the span, at most two a cell, and the newest rows."""
        since = self.time_range.since(self.dashboard.clock())
        points = max(200, 2 * self.size.width)
        return partial(self._archive.read_symbol, self.symbol, since, points, _ROWS)

    @on(BaseScreen.QuerySucceeded)
    def show_stored(self, message: BaseScreen.QuerySucceeded) -> None:
        """Draw what was read back."""
        answer = message.answer
        if isinstance(answer, StoredSymbol) and answer.symbol == self.symbol:
            self._stored, self._trouble = answer, ""
            self._draw_stored()

    @on(BaseScreen.QueryFailed)
    def show_refusal(self, message: BaseScreen.QueryFailed) -> None:
        """Keep what is there and say why nothing newer comes."""
        self._trouble = message.reason
        self._draw_stored()

    # Drawing

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring the quote up to date."""
        price = self._price()
        missing = next((entry for entry in snapshot.missing if entry.symbol == self.symbol), None)
        listed = self._listed.get(self.symbol)
        now = self.dashboard.clock()
        quote = self.query_one("#quote", LinesWidget)
        quote.show_lines(quote_lines(price, missing, now, quote.size.width))
        facts = self.query_one("#facts", LinesWidget)
        newest = self._stored.rows[0] if self._stored is not None and self._stored.rows else None
        width = facts.size.width
        about = company_lines(listed, width)
        way = provenance_lines(price, newest, now, width)
        gap: list[Line] = [cut((), width)] if facts.size.height > len(about) + len(way) else []
        facts.show_lines([*about, *gap, *way])
        if price is not None:
            self.chart.currencies = (price.row.quote.currency, price.row.converted_currency)
        self._entitle(listed)

    def _price(self) -> LivePrice | None:
        pipeline = self.dashboard.feed.pipeline
        return None if pipeline is None else pipeline.price_of(self.symbol)

    def _entitle(self, listed: Constituent | None) -> None:
        place, total = self._place()
        name = f"{self.symbol} · {listed.name}" if listed is not None else self.symbol
        where = f" · {place} of {total}" if place else ""
        set_titles(self.query_one("#quote"), name + where)
        set_titles(self.query_one("#facts"), "company · quote provenance")

    def _draw_stored(self) -> None:
        """The chart and the rows, or what is waited for, or why there is nothing."""
        stored, now = self._stored, self.dashboard.clock()
        points, rows = (stored.points, stored.rows) if stored is not None else ((), ())
        none = f"No prices of {self.symbol} stored in {self.time_range.description}" if stored else _LOADING
        self.chart.show(self.time_range, points, self._trouble or none)
        stale = f" · not read: {self._trouble}" if self._trouble and stored is not None else ""
        set_titles(
            self.chart, f"stored prices in {self.chart.currency} · {self.time_range.description}{stale}"
        )
        canvas = self.query_one("#stored", LinesWidget)
        if rows:
            canvas.show_lines(stored_lines(rows, now, *canvas.size, with_symbol=False))
        else:
            words = self._trouble or (_LOADING if stored is None else f"No rows of {self.symbol} stored yet")
            canvas.show_lines([cut((Span(clean(words), Role.LABEL),), canvas.size.width)])
        set_titles(canvas, f"latest rows in PostgreSQL{stale}")

    def on_resize(self) -> None:
        """Lay everything out for the new size."""
        self.call_after_refresh(self._draw_stored)

    # Keys

    @on(PriceChart.RangeSelected)
    def select_range(self, message: PriceChart.RangeSelected) -> None:
        """Read another span."""
        self.time_range = message.time_range
        if self._stored is not None:
            self._stored = StoredSymbol(self.symbol, (), self._stored.rows)
        self.chart.show(self.time_range, (), _LOADING)
        self.ask()

    def action_switch_currency(self) -> None:
        """Draw the chart in the other currency."""
        self.chart.converted = not self.chart.converted
        self._draw_stored()

    def action_copy_quote(self) -> None:
        """Copy what the quote panel says."""
        text = " ".join(" ".join(self.query_one("#quote", LinesWidget).lines_shown()).split())
        self.app.copy_to_clipboard(f"{self.symbol} {text}")
        self.notify(f"Copied: {self.symbol} {text}", markup=False)

    def action_step_symbol(self, steps: int) -> None:
        """Go to a neighbour in the order of the price table, and take its cursor along."""
        order = self._order()
        if not order:
            return
        place = order.index(self.symbol) + steps if self.symbol in order else 0
        self.symbol = order[place % len(order)]
        self._stored, self._trouble = None, ""
        self.chart.mark = None
        self.dashboard.select_symbol(self.symbol)
        self._draw_stored()
        self.show_snapshot(self.dashboard.snapshot)
        self.ask()

    def _order(self) -> Sequence[str]:
        """The symbols as the price table has them now, or the list in force where it shows none."""
        shown = self.dashboard.listed_symbols()
        return shown if self.symbol in shown else list(self._listed)

    def _place(self) -> tuple[int, int]:
        """Number of the symbol in that order, from one, and the length of the order."""
        order = self._order()
        return (order.index(self.symbol) + 1 if self.symbol in order else 0), len(order)
