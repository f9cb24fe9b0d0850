"""The symbol screen: quote, company, chart of the stored prices, and latest rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from sp500tui.errors import Sp500tuiError
from sp500tui.model import Constituent, ConvertedQuote
from sp500tui.pipeline.api import HistorySnapshot, PipelineControl
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot
from sp500tui.storage.history.candles import StoredCandles
from sp500tui.tui.messages import ConstituentsChanged
from sp500tui.tui.render.formats import clean, format_change, plural
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.render.stored_rows import stored_lines
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.price_reader import PostgresReader, PriceReader, StoredSymbol
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.symbol.bars_request import BarsRequest
from sp500tui.tui.symbol.candle_plot import candles_that_fit
from sp500tui.tui.symbol.candle_series import LiveCandles, descriptions
from sp500tui.tui.symbol.chart import Day, PriceChart
from sp500tui.tui.symbol.chart_series import ChartRange
from sp500tui.tui.symbol.details import company_lines, provenance_lines, quote_lines
from sp500tui.tui.symbol.quote_way import QuoteWay
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_ROWS = 60
"""Number of latest rows read; as many as fit are shown."""
_CANDLES_EVERY = timedelta(seconds=30)
"""Time between two reads of the candles, which the newest price updates in between."""
_SYMBOL = Binding.Group("Symbol", compact=True)
_LOADING = "Reading the stored prices …"
_FETCH = "symbol.fetch"


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one round of queries."""

    stored: StoredSymbol
    time_range: ChartRange
    candles: StoredCandles | None
    """None if they were not due."""
    room: int
    """Number of candles that fitted."""
    read_at: datetime
    number: int
    """Number of the query, from one."""
    progress: HistorySnapshot


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
        bind(_FETCH, "fetch_bars", "Fetch bars"),
        bind("symbol.copy", "copy_quote", "Copy", show=False),
    ]
    AUTO_FOCUS = "PriceChart"

    chart = getters.query_one(PriceChart)

    def __init__(self, symbol: str, reader: PriceReader | None = None) -> None:
        super().__init__()
        self.symbol = symbol
        self.time_range = ChartRange.DAY
        self._reader: PriceReader = reader or PostgresReader(self.database_url)
        self._constituents: dict[str, Constituent] = {}
        self.stored: StoredSymbol | None = None
        """The last result of the queries; None before the first one."""
        self.candles: LiveCandles | None = None
        """The candles of the range; None until they are read."""
        self._candles_read: tuple[datetime, int] | None = None
        """Time of the last read of the candles, and the number that fitted."""
        self._queries = 0
        """Number of queries made."""
        self._request = BarsRequest()

    def compose_panels(self) -> ComposeResult:
        """The quote above the company and the chart, the latest rows below."""
        yield LinesWidget(id="quote", classes="panel")
        with Horizontal(id="middle"):
            yield LinesWidget(id="facts", classes="panel")
            yield PriceChart(("USD", self.dashboard.settings.currency))
        with Horizontal(id="bottom"):
            yield LinesWidget(id="stored", classes="panel")
            yield QuoteWay()

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
        """Read the latest rows and the prices of the line, or the candles if they are due."""
        now, line = self.dashboard.clock(), self.time_range.is_line
        since = self.time_range.since(now) if line else now
        points = max(200, 2 * self.size.width)
        read_rows = partial(self._reader.read_symbol, self.symbol, since, points, _ROWS)
        room = self._room
        read_candles: Callable[[], StoredCandles] | None = None
        if not line and self._candles_due(now, room):
            read_candles = partial(self._reader.read_candles, self.symbol, self.time_range.days, now, room)
        self._queries += 1
        pipeline = self.dashboard.feed.pipeline
        return partial(_read, read_rows, self.time_range, read_candles, room, now, self._queries, pipeline)

    @property
    def _room(self) -> int:
        """Number of candles that fit the chart."""
        return candles_that_fit(self.chart.size.width or self.size.width)

    def _candles_due(self, now: datetime, room: int) -> bool:
        if self.candles is None or not self.candles.candles or self._request.active:
            return True
        return self._candles_read is None or (
            now - self._candles_read[0] >= _CANDLES_EVERY or room != self._candles_read[1]
        )

    def forget_answers(self) -> None:
        """Drop the candles and rows of the previous time."""
        self.stored = self.candles = None
        self.query_one(QuoteWay).read_again()

    def show_answer(self, answer: object) -> None:
        """Show the result of the queries."""
        if not isinstance(answer, Answer) or answer.stored.symbol != self.symbol:
            return
        self.stored, self.failure = answer.stored, ""
        self._request.update(answer.progress, answer.number)
        if answer.time_range is not self.time_range:
            return
        if answer.candles is not None:
            self.candles = LiveCandles(answer.candles)
            self._candles_read = answer.read_at, answer.room
            self._add_live()
        self.draw_panels()

    # Rendering

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Update the quote and its provenance."""
        self.query_one(QuoteWay).show(self.symbol)
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
            if self._add_live():
                self._draw_chart()
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

    def _add_live(self) -> bool:
        """Update the candles with the newest price; returns whether anything changed."""
        price = self._price()
        return self.candles is not None and price is not None and self.candles.add(price.row.quote)

    def draw_panels(self) -> None:
        """Show the chart and the rows, or why there are none."""
        stored, now = self.stored, self.dashboard.clock()
        self._draw_chart()
        rows = stored.rows if stored is not None else ()
        widget = self.query_one("#stored", LinesWidget)
        if rows:
            widget.show_lines(stored_lines(rows, now, *widget.size, with_symbol=False))
        else:
            text = self.failure or (_LOADING if stored is None else f"No rows of {self.symbol} stored yet")
            widget.show_lines([cut((Span(clean(text), Role.LABEL),), widget.size.width)])
        set_titles(widget, f"latest rows{self._stale or ' in PostgreSQL'}")

    @property
    def _stale(self) -> str:
        return f" · not read: {self.failure}" if self.failure and self.stored is not None else ""

    def _draw_chart(self) -> None:
        stored, shown = self.stored, self.time_range
        if shown.is_line:
            points = stored.points if stored is not None else ()
            text = f"No prices of {self.symbol} collected in {shown.description}" if stored else _LOADING
            self.chart.show_line(shown, points, self.failure or text, shown.since(self.dashboard.clock()))
            variants = [plural(self.chart.length, "collected price")]
        else:
            self.chart.show_candles(shown, self.candles, self.failure or self._nothing())
            variants = [""] if self.chart.series is None else descriptions(self.chart.series)
        currency = self.chart.currency
        rate = self.chart.day.rate
        if self.chart.converted and rate is not None and not shown.is_line:
            currency += f" at {rate:.4f}"
        note = self._fetch_text()
        if self.has_class("-narrow"):
            # Both share one border, and the key bar has the key that fetches bars.
            variants, note = [self._request.text] if self._request.text else variants, ""
        heads = [f"{shown.tab} in {currency}"] * len(variants) + [f"{shown.tab} in {self.chart.currency}"]
        title, *shorter = [
            " · ".join(filter(None, (head, each))) + self._stale
            for head, each in zip(heads, [*variants, variants[-1]], strict=True)
        ]
        set_titles(self.chart, title, note, shorter=shorter)

    def _nothing(self) -> str:
        """The text of a range without candles, with the key that fetches them."""
        if self.candles is None:
            return _LOADING
        text = f"Nothing of {self.symbol} is stored for {self.time_range.description}."
        if not self._can_fetch:
            return text
        key = self.dashboard.key_of(_FETCH)
        return f"{text} {key} fetches its {self.time_range.resolution} bars from Yahoo Finance."

    @property
    def _can_fetch(self) -> bool:
        """Whether the bars of the range can be requested from the pipeline."""
        return self.time_range.resolution is not None and self.dashboard.offers(_FETCH)

    def _fetch_text(self) -> str:
        """The progress or outcome of the last request for bars, or the key that requests them."""
        if self._request.text or not self._can_fetch:
            return self._request.text
        return f"{self.dashboard.key_of(_FETCH)} fetches {self.time_range.resolution} bars"

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw_panels)

    @on(PriceChart.Resized)
    def fill_chart(self) -> None:
        """Read as many candles as fit now."""
        if not self.time_range.is_line and (
            self._candles_read is None or self._candles_read[1] != self._room
        ):
            self.run_query()

    # Actions

    @on(PriceChart.RangeSelected)
    def select_range(self, message: PriceChart.RangeSelected) -> None:
        """Read another time range."""
        self.time_range = message.time_range
        if self.stored is not None:
            self.stored = StoredSymbol(self.symbol, (), self.stored.rows)
        self.candles, self._request.outcome = None, ""
        self._draw_chart()
        self.run_query()

    def action_fetch_bars(self) -> None:
        """Have the pipeline fetch the missing bars of the range."""
        resolution = self.time_range.resolution
        if resolution is None:
            key = self.dashboard.key_of("chart.span")
            self.show_message(f"Collected prices cannot be fetched later; {key} shows a range with bars")
            return
        now = self.dashboard.clock()
        self._request.begin()
        what = f"{resolution} bars of {self.symbol}, {self.time_range.description}"
        self.request_bars(resolution, self.time_range.since(now), now, (self.symbol,), what)

    def bars_requested(self, message: str, *, accepted: bool) -> None:
        """Follow an accepted request; otherwise show why it was rejected."""
        super().bars_requested(message, accepted=accepted)
        if accepted:
            self._request.accept(self._queries)
        else:
            self._request.refuse(message)
        self._draw_chart()

    def action_switch_currency(self) -> None:
        """Show the chart in the other currency."""
        self.chart.converted = not self.chart.converted
        self.draw_panels()

    def action_copy_quote(self) -> None:
        """Copy the text of the quote panel."""
        text = " ".join(" ".join(self.query_one("#quote", LinesWidget).lines_shown()).split())
        self.app.copy_to_clipboard(f"{self.symbol} {text}")
        self.notify(f"Copied: {self.symbol} {text}", markup=False)

    def action_step_symbol(self, steps: int) -> None:
        """Show the symbol `steps` further in the order of the price table, and move the table's cursor there."""
        order = self._order()
        if not order:
            return
        index = order.index(self.symbol) + steps if self.symbol in order else 0
        self.symbol = order[index % len(order)]
        self.stored, self.candles, self.failure = None, None, ""
        self._request.forget()
        self.chart.mark = None
        self.dashboard.select_symbol(self.symbol)
        self.draw_panels()
        self.show_snapshot(self.dashboard.snapshot)
        self.run_query()

    def _order(self) -> Sequence[str]:
        """The symbols in the order of the price table, or of the list if the table does not show this symbol."""
        shown = self.dashboard.listed_symbols()
        return shown if self.symbol in shown else list(self._constituents)

    def _position(self) -> tuple[int, int]:
        """Position of the symbol in that order, from one, or zero; and the number of symbols."""
        order = self._order()
        return (order.index(self.symbol) + 1 if self.symbol in order else 0), len(order)


def _day(row: ConvertedQuote) -> Day:
    """The day's change and previous close of a quote, for the chart."""
    quote = row.quote
    return Day(
        format_change(quote.percent_change),
        None if quote.change is None else float(quote.price - quote.change),
        row.fx_rate,
    )


def _read(
    read_rows: Callable[[], StoredSymbol],
    time_range: ChartRange,
    read_candles: Callable[[], StoredCandles] | None,
    room: int,
    now: datetime,
    number: int,
    pipeline: PipelineControl | None,
) -> Answer:
    """Read what is due, and the progress of the history stage; runs on a background thread."""
    stored = read_rows()
    candles = None if read_candles is None else read_candles()
    try:
        progress = HistorySnapshot() if pipeline is None else pipeline.history()
    except Sp500tuiError:
        # A pipeline in another process that does not answer; the status bar says so.
        progress = HistorySnapshot()
    return Answer(stored, time_range, candles, room, now, number, progress)
