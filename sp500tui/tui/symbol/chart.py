"""The chart of a symbol's stored prices, with tabs for how far back it reaches and a mark to read it by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.symbol.chart_lines import Plot, Sample, chart_lines
from sp500tui.tui.symbol.chart_series import ChartSpan, curve_role, head_line, samples_of, tab_at

if TYPE_CHECKING:
    from sp500tui.storage.reads import PricePoint

_HEAD = 1
"""Lines above the curve."""


class PriceChart(LinesWidget, can_focus=True):
    """Draws what was read back; asks its screen for another span by a message."""

    BINDING_GROUP_TITLE = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "t", "step_span(1)", "Span", id="chart.span", tooltip="One hour, one day or everything stored"
        ),
        Binding(
            "T", "step_span(-1)", "Span back", show=False, id="chart.span_back", tooltip="The span before"
        ),
        Binding(
            "left,h",
            "move_mark(-1)",
            "Read back",
            show=False,
            id="chart.back",
            tooltip="Mark an earlier price",
        ),
        Binding(
            "right,l",
            "move_mark(1)",
            "Read on",
            show=False,
            id="chart.on",
            tooltip="Mark a later price; past the last one the mark goes",
        ),
    ]

    converted: reactive[bool] = reactive(False)
    """Whether the curve is in the second currency."""
    mark: reactive[int | None] = reactive[int | None](None)
    """Index of the marked sample."""

    @dataclass
    class SpanChosen(Message):
        """Another span is wanted."""

        span: ChartSpan

    def __init__(self, currencies: tuple[str, str]) -> None:
        """Make a chart of prices in the quoted and the second currency."""
        super().__init__(id="chart", classes="panel")
        self.currencies = currencies
        self.span = ChartSpan.HOUR
        self._points: Sequence[PricePoint] = ()
        self._samples: Sequence[Sample] = ()
        self._words = ""

    def show(self, span: ChartSpan, points: Sequence[PricePoint], words: str = "") -> None:
        """Draw these points, oldest first; `words` stand where there are none."""
        if span is not self.span:
            self.mark = None
        self.span, self._points, self._words = span, points, words
        self._draw()

    def watch_converted(self) -> None:
        """Draw in the other currency."""
        self._draw()

    def watch_mark(self) -> None:
        """Draw the mark where it is now."""
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the curve out for the new size."""
        self._draw()

    def action_step_span(self, direction: int) -> None:
        """Ask for a longer or shorter span."""
        self.post_message(self.SpanChosen(self.span.step(direction)))

    def action_move_mark(self, steps: int) -> None:
        """Move the mark by a cell of the plot; from nowhere it goes to the newest price."""
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
        """Choose the tab under the pointer."""
        offset = event.get_content_offset(self)
        chosen = tab_at(offset.x) if offset is not None and offset.y == 0 else None
        if chosen is not None:
            self.post_message(self.SpanChosen(chosen))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Mark the price under the pointer."""
        offset, plot = event.get_content_offset(self), self._plot()
        if offset is not None and plot is not None and offset.y >= _HEAD and offset.x >= plot.left:
            self.mark = plot.nearest(self._samples, offset.x - plot.left)

    def on_leave(self) -> None:
        """The pointer marks nothing any more."""
        self.mark = None

    @property
    def currency(self) -> str:
        """The one the curve is in."""
        return self.currencies[self.converted]

    def _plot(self) -> Plot | None:
        return Plot.of(self._samples, self.size.width, self.size.height - _HEAD)

    def _draw(self) -> None:
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        self._samples = samples_of(self._points, converted=self.converted)
        mark = min(self.mark, len(self._samples) - 1) if self.mark is not None and self._samples else None
        lines: list[Line] = [head_line(self.span, self._samples, self.currency, mark, width)]
        if self._samples:
            lines += chart_lines(self._samples, width, height - _HEAD, curve_role(self._samples), mark)
        else:
            lines += [cut((), width), cut((Span(clean(self._words), Role.LABEL),), width)]
        self.show_lines(lines[:height])
