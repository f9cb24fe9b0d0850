"""The prices panel: the line of the index, the table, its filter line, and the message of an empty table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from textual import on
from textual.app import ComposeResult

from sp500tui.pipeline.core.snapshot import Health, Phase, Snapshot
from sp500tui.pipeline.core.verdict import VerdictKind
from sp500tui.tui.prices.index_line import index_line
from sp500tui.tui.prices.table import PriceTable, utc_now
from sp500tui.tui.render.formats import clean, span
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.search_panel import SearchPanel

_DEMO = "Without a network, sp500tui --demo shows everything with a simulated market."


class PricePanel(SearchPanel):
    """The price table between the line of the index and its filter line.

    Args:
        demo: Whether the prices are simulated.
    """

    def __init__(
        self,
        *,
        demo: bool = False,
        clock: Callable[[], datetime] = utc_now,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        self.table = PriceTable(clock=clock)
        self.index_line = LinesWidget(id="index-line")
        self._demo = demo
        super().__init__(self.table, "symbol, name or sector", id=id, classes=classes)

    def compose(self) -> ComposeResult:
        """The line of the index above the table."""
        yield self.index_line
        yield from super().compose()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.show_index)

    @on(PriceTable.StatisticsChanged)
    def show_index(self) -> None:
        """Draw the line of the index."""
        width = self.index_line.size.width
        self.index_line.show_lines([index_line(*self.table.statistics, width, demo=self._demo)])

    @property
    def search_text(self) -> str:
        """The table's filter."""
        return self.table.filter_text

    @search_text.setter
    def search_text(self, text: str) -> None:
        self.table.filter_text = text


def prices_notice(snapshot: Snapshot, quit_key: str = "q") -> str:
    """The message in place of prices, one paragraph per line."""
    if snapshot.phase is Phase.FAILED:
        return clean(f"The pipeline failed: {snapshot.failure}") + f"\nPress {clean(quit_key)} to quit."
    listed, sources = snapshot.constituents, snapshot.sources
    if not listed.count and snapshot.verdict.kind is VerdictKind.NO_WORKERS:
        verdict = snapshot.verdict
        return f"{clean(verdict.sentence.removeprefix('held up: ').capitalize())}\n{clean(verdict.advice)}"
    if not listed.count:
        if listed.health is Health.DOWN:
            return _lines(f"No list of constituents: {listed.message}", _attempt(snapshot), snapshot)
        return _lines("Loading the list of constituents …", _elapsed(snapshot), snapshot)
    if sources.health is Health.DOWN:
        return _lines(f"No prices: {sources.message}", _attempt(snapshot), snapshot)
    return _lines("Waiting for the first prices …", _elapsed(snapshot), snapshot)


def _elapsed(snapshot: Snapshot) -> str:
    return f"for {span(max(1.0, snapshot.uptime))}"


def _attempt(snapshot: Snapshot) -> str:
    """For how long, and when the next attempt is."""
    waits = [wait for wait in (snapshot.sources.retry_in, snapshot.cycle.next_in) if wait is not None]
    retry = f", next attempt in {span(min(waits))}" if waits else ""
    since = snapshot.sources.last_success
    return f"for {span(max(1.0, snapshot.uptime if since is None else since))}{retry}"


def _lines(what: str, when: str, snapshot: Snapshot) -> str:
    paragraphs = [what, when] if snapshot.demo else [what, when, "", _DEMO]
    return "\n".join(map(clean, paragraphs))
