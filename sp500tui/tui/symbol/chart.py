"""The chart of a symbol's stored prices, with tabs for its time range and a mark to read single prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive

from sp500tui.tui.render.bindings import bind
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.lines import Line, Role, Span, change_role, cut
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.symbol.chart_series import ChartRange, head_line, samples_of, series_role, tab_at
from sp500tui.tui.symbol.plot import Plot, Sample, chart_lines

if TYPE_CHECKING:
    from sp500tui.storage.reads import PricePoint

_HEAD = 1
"""Lines above the plot."""


@dataclass(frozen=True, slots=True)
class Day:
    """The day's change, which colours the chart, and the previous close, which it marks."""

    change: str = ""
    """In percent, as printed."""
    previous_close: float | None = None
    """In the quoted currency."""
    rate: float | None = None
    """Units of the second currency for one of the quoted one."""

    def level(self, *, converted: bool) -> float | None:
        """The previous close in the currency shown."""
        if self.previous_close is None or not converted:
            return self.previous_close
        return None if self.rate is None else self.previous_close * self.rate


class PriceChart(LinesWidget, can_focus=True):
    """Draws stored prices; requests another time range from its screen by a message."""

    BINDING_GROUP_TITLE = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("chart.span", "step_range(1)", "Range"),
        bind("chart.span_back", "step_range(-1)", "Previous range", show=False),
        bind("chart.back", "move_mark(-1)", "Earlier", show=False),
        bind("chart.on", "move_mark(1)", "Later", show=False),
    ]

    converted: reactive[bool] = reactive(False)
    """Whether the chart shows converted prices."""
    mark: reactive[int | None] = reactive[int | None](None)
    """Index of the marked sample."""
    day: reactive[Day] = reactive(Day())
    """What the chart takes from the current quote."""

    @dataclass
    class RangeSelected(Message):
        """Another time range was requested."""

        time_range: ChartRange

    def __init__(self, currencies: tuple[str, str]) -> None:
        """Create an empty chart; `currencies` are the codes of the quoted and the converted price."""
        super().__init__(id="chart", classes="panel")
        self.currencies = currencies
        self.time_range = ChartRange.HOUR
        self._points: Sequence[PricePoint] = ()
        self._samples: Sequence[Sample] = ()
        self._placeholder = ""
        self._since: float | None = None

    def show(
        self,
        time_range: ChartRange,
        points: Sequence[PricePoint],
        placeholder: str = "",
        since: datetime | None = None,
    ) -> None:
        """Draw these points, oldest first, or `placeholder` where there are none.

        The time axis starts at `since`; by default, and for the whole history, at the first point.
        """
        self._since = None if since is None or time_range is ChartRange.ALL else since.timestamp()
        if time_range is not self.time_range:
            self.mark = None
        self.time_range, self._points, self._placeholder = time_range, points, placeholder
        self._draw()

    def watch_converted(self) -> None:
        """Draw in the other currency."""
        self._draw()

    def watch_mark(self) -> None:
        """Draw the mark at its new position."""
        self._draw()

    def watch_day(self) -> None:
        """Draw in the colour of the day's change."""
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Draw for the new size."""
        self._draw()

    def action_step_range(self, direction: int) -> None:
        """Request a longer or shorter time range."""
        self.post_message(self.RangeSelected(self.time_range.step(direction)))

    def action_move_mark(self, steps: int) -> None:
        """Move the mark by a cell of the plot; the first step back marks the newest price."""
        plot, last = self._plot(), len(self._samples) - 1
        if plot is None:
            return
        if self.mark is None:
            self.mark = last if steps < 0 else None
            return
        cell = plot.column(self._samples[min(self.mark, last)].at) // 2
        target = plot.nearest(self._samples, max(0, cell + steps))
        if target == self.mark:
            target = max(0, target + steps)
        self.mark = None if target > last else target

    def on_click(self, event: events.Click) -> None:
        """Select the tab under the pointer."""
        offset = event.get_content_offset(self)
        selected = tab_at(offset.x) if offset is not None and offset.y == 0 else None
        if selected is not None:
            self.post_message(self.RangeSelected(selected))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Mark the price under the pointer."""
        offset, plot = event.get_content_offset(self), self._plot()
        if offset is not None and plot is not None and offset.y >= _HEAD and offset.x >= plot.left:
            self.mark = plot.nearest(self._samples, offset.x - plot.left)

    def on_leave(self) -> None:
        """Remove the mark."""
        self.mark = None

    @property
    def currency(self) -> str:
        """Code of the currency shown."""
        return self.currencies[self.converted]

    def _plot(self) -> Plot | None:
        return Plot.of(
            self._samples,
            self.size.width,
            self.size.height - _HEAD,
            since=self._since,
            level=self.day.level(converted=self.converted),
        )

    def _draw(self) -> None:
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        self._samples = samples_of(self._points, converted=self.converted)
        mark = min(self.mark, len(self._samples) - 1) if self.mark is not None and self._samples else None
        lines: list[Line] = [head_line(self.time_range, self._samples, self.currency, mark, width)]
        if self._samples:
            lines += chart_lines(
                self._samples,
                width,
                height - _HEAD,
                change_role(self.day.change) if self.day.change else series_role(self._samples),
                mark,
                since=self._since,
                level=self.day.level(converted=self.converted),
            )
        else:
            lines += [cut((), width), cut((Span(clean(self._placeholder), Role.LABEL),), width)]
        self.show_lines(lines[:height])
