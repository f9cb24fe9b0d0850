"""The journey of the newest quote of one symbol, from the start of its cycle to the commit."""

from __future__ import annotations

from functools import partial
from textwrap import wrap
from typing import cast

from textual.worker import Worker

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.journeys import Journey, Moment, journeys_of
from sp500tui.pipeline.trace import MAX_SECONDS
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.render.formats import clean, milliseconds
from sp500tui.tui.render.lines import Role, Span, cut
from sp500tui.tui.render.waterfall import waterfall_lines
from sp500tui.tui.shell.background import run_in_background
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_READ_EVERY = 2.0
_TITLE = "journey of its newest quote"
_UNKNOWN = "not known: it was fetched too long ago, or by another node"
_NOT_RECORDED = "a recording does not contain the journeys of quotes"


class QuoteWay(LinesWidget):
    """Reads the journeys while it is shown, and draws the journey of one symbol's newest quote."""

    def __init__(self) -> None:
        super().__init__(id="way", classes="panel")
        self._symbol = ""
        self._journey: Journey | None = None
        self._message = ""
        self._reading: Worker[None] | None = None

    def on_mount(self) -> None:
        """Read regularly."""
        self.set_interval(_READ_EVERY, self.read)

    def on_resize(self) -> None:
        """Draw for the new size; reads first if the widget was hidden."""
        if self._symbol and self._journey is None:
            self.read()
        self._draw()

    @property
    def _pipeline(self) -> PipelineControl | None:
        return cast("DashboardContext", self.app).feed.pipeline

    def show(self, symbol: str) -> None:
        """Show another symbol."""
        if symbol != self._symbol:
            self._symbol = symbol
            self.read_again()

    def read_again(self) -> None:
        """Forget what was read, of another symbol or time, and read."""
        self._journey, self._message = None, ""
        self.read()
        self._draw()

    def read(self) -> None:
        """Read in the background, unless it is hidden."""
        pipeline = self._pipeline
        if pipeline is not None and self._symbol and self.size.width:
            # Not a coroutine yet: it would never be awaited if the worker is cancelled before it starts.
            self._reading = self.run_worker(
                partial(self._read, pipeline, self._symbol), exclusive=True, exit_on_error=False
            )

    async def _read(self, pipeline: PipelineControl, symbol: str) -> None:
        try:
            journey = await run_in_background("quote-way", partial(journey_of, pipeline, symbol))
        except Sp500tuiError as error:
            journey, message = None, clean(str(error))
        else:
            nothing = _NOT_RECORDED if isinstance(pipeline, ReplayedPipeline) else _UNKNOWN
            message = nothing if journey is None else ""
        if symbol == self._symbol and pipeline is self._pipeline:
            self._journey, self._message = journey, message
            self._draw()

    def _draw(self) -> None:
        journey, width = self._journey, self.size.width
        if journey is None:
            lines = wrap(self._message, max(10, width))
            self.show_lines([cut((Span(line, Role.LABEL),), width) for line in lines])
            set_titles(self, _TITLE)
            return
        so_far = "" if Moment.COMMITTED in journey.moments else " so far"
        set_titles(self, f"{_TITLE} · {milliseconds(journey.total * 1000)}{so_far}")
        self.show_lines(waterfall_lines(journey, width, max(1, self.size.height)))


def journey_of(pipeline: PipelineControl, symbol: str) -> Journey | None:
    """The journey of a symbol's newest quote; None if its batch is unknown. May block."""
    price = pipeline.price_of(symbol)
    if price is None or not price.row.batch:
        return None
    return journeys_of(pipeline.spans(MAX_SECONDS), pipeline.events_since(0)[1]).get(price.row.batch)
