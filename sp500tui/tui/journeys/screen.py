"""The journeys: the legs between the moments of a quote, and the quotes that take longest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import getters
from textual.app import ComposeResult

from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.pipeline.journeys import WHOLE, Journey, journeys_of, leg_times
from sp500tui.tui.journeys.render import leg_lines, slow_lines, slowest
from sp500tui.tui.render.formats import plural
from sp500tui.tui.render.lines import Role, wrapped
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_SECONDS = 30.0
"""Time over which the percentiles are computed."""
_LOADING = "Reading the journeys …"
_NOT_RECORDED = "A recording does not contain the journeys of quotes."
_NONE = f"No quote was committed in the last {_SECONDS:g} s."
_NONE_OF_THIS_NODE = (
    f"No quote that this node fetched was committed by it in the last {_SECONDS:g} s. Those of other nodes are not "
    "followed here."
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The journeys at one moment."""

    monotonic: float
    journeys: Mapping[int, Journey]
    prices: tuple[LivePrice, ...]


class JourneysScreen(BaseScreen):
    """Percentiles of every leg above, the slowest quotes with their waterfalls below."""

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("journeys.tcss")]
    BINDING_GROUP_TITLE = "Journeys"

    legs = getters.query_one("#legs", LinesWidget)
    slow = getters.query_one("#slow", LinesWidget)

    def __init__(self) -> None:
        super().__init__()
        self.reading: Reading | None = None
        """The last result; None before the first one."""

    def compose_panels(self) -> ComposeResult:
        """The two tables."""
        yield LinesWidget(id="legs", classes="panel")
        yield LinesWidget(id="slow", classes="panel")

    def current_query(self) -> Callable[[], object] | None:
        """Read the spans, the cycles and the newest quotes."""
        pipeline = self.dashboard.feed.pipeline
        return None if pipeline is None else partial(read, pipeline)

    def show_answer(self, answer: object) -> None:
        """Show what was read."""
        if isinstance(answer, Reading):
            self.reading, self.failure = answer, ""
            self.draw_panels()

    def forget_answers(self) -> None:
        """Drop the journeys of the previous time."""
        self.reading = None

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw_panels)

    def draw_panels(self) -> None:
        """Draw what was read, or the error."""
        reading = self.reading
        complete = (
            [each for each in reading.journeys.values() if each.is_complete] if reading is not None else []
        )
        batches = f" · {plural(len(complete), 'request')} of the last {_SECONDS:g} s" if complete else ""
        set_titles(self.legs, f"{WHOLE}{batches}", self.failure)
        set_titles(self.slow, "slowest quotes now", "> not committed yet")
        width = self.legs.size.width
        none = wrapped(self._nothing(), width, Role.LABEL)
        self.legs.show_lines(leg_lines(leg_times(complete), *self.legs.size) if complete else none)
        if reading is None:
            self.slow.show_lines([])
            return
        quotes = slowest(reading.prices, reading.journeys, reading.monotonic)
        self.slow.show_lines(slow_lines(quotes, reading.monotonic, self.slow.size.width))

    def _nothing(self) -> str:
        """Why there are no journeys."""
        if self.replayed is not None:
            return _NOT_RECORDED
        if self.reading is None:
            return _LOADING
        return _NONE_OF_THIS_NODE if self.dashboard.snapshot.nodes else _NONE


def read(pipeline: PipelineControl) -> Reading:
    """Read the journeys; runs on a background thread."""
    report = pipeline.spans(_SECONDS)
    return Reading(
        report.monotonic,
        journeys_of(report, pipeline.events_since(0)[1]),
        tuple(pipeline.prices_since(0)[1]),
    )
