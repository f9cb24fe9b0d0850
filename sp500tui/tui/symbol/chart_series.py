"""The chart's series: its time range, its currency and the line of tabs and statistics above the plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from sp500tui.model import Resolution
from sp500tui.price_text import price_text
from sp500tui.storage.history.periods import window_start
from sp500tui.tui.render.formats import clean, format_change, plural, short_span
from sp500tui.tui.render.lines import Line, Role, Span, joined, longest_that_fits, spread, width_of
from sp500tui.tui.symbol.plot import Sample

if TYPE_CHECKING:
    from sp500tui.storage.reads import PricePoint

_GAP = 1
"""Cells between two tabs."""


class ChartRange(Enum):
    """How far back the chart reaches: an hour as a line of collected prices, longer ranges as candles."""

    HOUR = ("1h", "the last hour", 0, None)
    DAY = ("1d", "the last trading day", 1, Resolution.MINUTE)
    DAYS = ("5d", "the last five trading days", 7, Resolution.FIVE_MINUTES)
    MONTH = ("1m", "the last month", 31, Resolution.QUARTER_HOUR)
    HALF_YEAR = ("6m", "the last six months", 183, Resolution.DAY)
    YEAR = ("1y", "the last year", 366, Resolution.DAY)
    ALL = ("max", "the whole history", None, Resolution.DAY)

    def __init__(self, tab: str, description: str, days: int | None, resolution: Resolution | None) -> None:
        self.tab = tab
        self.description = description
        self.days = days
        """Calendar days up to the newest data; None for everything stored."""
        self.resolution = resolution
        """The bars to fetch for the range; None if there are none."""

    @property
    def is_line(self) -> bool:
        """Whether single prices are drawn instead of candles."""
        return self is ChartRange.HOUR

    def since(self, now: datetime) -> datetime:
        """Start of the range before `now`, UTC: for the line, and for the bars to fetch."""
        if self.is_line:
            return now - timedelta(hours=1)
        if self.days is None:
            return datetime(1970, 1, 1, tzinfo=UTC)
        return window_start(self.days, now, now)

    def step(self, direction: int) -> ChartRange:
        """The next longer (+1) or shorter (-1) range, wrapping around."""
        ranges = list(ChartRange)
        return ranges[(ranges.index(self) + direction) % len(ranges)]


def samples_of(points: Sequence[PricePoint], *, converted: bool) -> list[Sample]:
    """The samples in the quoted or the converted currency; points without that price are left out."""
    values = ((point.time, point.converted_price if converted else point.price) for point in points)
    return [Sample(time.timestamp(), float(value)) for time, value in values if value is not None]


def traded_volumes(points: Sequence[PricePoint], column: Callable[[float], int], cells: int) -> list[int]:
    """The shares traded in each cell of a plot; `column` returns the cell of a time.

    A quote has the shares traded since the opening, so those traded between two quotes are the difference.
    """
    volumes = [0] * cells
    before: int | None = None
    for point in points:
        if point.volume is None:
            continue
        if before is not None:
            cell = max(0, min(cells - 1, column(point.time.timestamp())))
            volumes[cell] += point.volume - before if point.volume >= before else point.volume
        before = point.volume
    return volumes


def series_role(samples: Sequence[Sample]) -> Role:
    """Role of the plotted line, by the direction of the change over the range."""
    if len(samples) < 2 or samples[-1].value == samples[0].value:
        return Role.ACCENT
    return Role.GOOD if samples[-1].value > samples[0].value else Role.BAD


def tab_at(x: int) -> ChartRange | None:
    """The range whose tab is at cell `x` of the first line."""
    left = 0
    for candidate in ChartRange:
        right = left + len(candidate.tab) + 2
        if left <= x < right:
            return candidate
        left = right + _GAP
    return None


def head_line(chosen: ChartRange, variants: Sequence[Line], width: int) -> Line:
    """The tabs, followed by the longest text that fits."""
    tabs: list[Span] = []
    for candidate in ChartRange:
        role = Role.SELECTED if candidate is chosen else Role.LABEL
        tabs += [Span(f" {candidate.tab} ", role), Span(" " * _GAP)]
    room = width - width_of(tabs) - 1
    text = longest_that_fits([*variants, ()], max(room, 0))
    return spread(tuple(tabs), tuple(piece for piece in text if piece.text.strip() or piece.role), width)


def line_summary(samples: Sequence[Sample], currency: str) -> list[Line]:
    """Change, low, high and number of the samples, from long to short."""
    first, last = samples[0], samples[-1]
    values = [sample.value for sample in samples]
    percent = (last.value / first.value - 1) * 100 if first.value else None
    over: Line = (
        Span(format_change(percent, " %"), series_role(samples)),
        Span(f" over {short_span(last.at - first.at)}", Role.LABEL),
    )
    low = (Span("low ", Role.LABEL), Span(_amount(min(values))))
    high = (Span("high ", Role.LABEL), Span(_amount(max(values))), Span(f" {clean(currency)}", Role.LABEL))
    drawn = (Span(plural(len(samples), "point"), Role.LABEL),)
    return [joined((over, low, high, drawn)), joined((over, low, high)), over]


def line_reading(samples: Sequence[Sample], currency: str, mark: int) -> list[Line]:
    """One sample as text, from long to short."""
    sample = samples[min(mark, len(samples) - 1)]
    local = datetime.fromtimestamp(sample.at, UTC).astimezone()
    price = (Span(_amount(sample.value), Role.TITLE), Span(f" {clean(currency)}", Role.LABEL))
    since = (sample.value / samples[0].value - 1) * 100 if samples[0].value else None
    long: Line = (Span(f"{local:%Y-%m-%d %H:%M:%S}"),)
    short: Line = (Span(f"{local:%H:%M:%S}"),)
    change: Line = (
        Span(format_change(since, " %"), series_role((samples[0], sample))),
        Span(" since start of chart", Role.LABEL),
    )
    return [joined((long, price, change)), joined((long, price)), joined((short, price))]


def _amount(value: float) -> str:
    return price_text(Decimal(repr(value)))
