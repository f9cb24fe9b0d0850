"""One screen of the dashboard benchmark, as a separate program for a pseudo-terminal.

Run as `-m tests.benchmarks.children.screen KIND ROWS REFRESHES SECONDS FILE`: shows `ROWS` symbols, of which 503 change
ten times a second (`idle`: none), refreshes `REFRESHES` times a second, and writes what it cost to `FILE` as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.widgets import DataTable

from sp500tui.cli.runtime_tuning import tune_for_ui, tune_gc
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.logs.setup import LogLine
from sp500tui.model import Constituent
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot
from sp500tui.pipeline.core.timing.second_sample import SECONDS_KEPT, SecondSample
from sp500tui.pipeline.core.timing.spans import SpanReport, SpanRing
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.prices.panel import PricePanel
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.shell.themes import DARK
from sp500tui.tui.terminal.diff import DiffingApp
from sp500tui.tui.timeline.screen import TimelineScreen
from tests.benchmarks.rig import many_symbols
from tests.support.tui.fake_pipeline import FakePipeline, listed, live_price
from tests.support.tui.past_seconds import past_seconds
from tests.support.tui.timeline_scenes import SCENES

RATE = 10
"""Changes of every changing row a second."""
_MARGIN = 4.0
"""Seconds of changes in addition to those measured."""
CHANGING = 503
_PULSE = 0.01
"""Seconds between two measurements of the event loop's lag."""
_SCENE = 125.0
"""Seconds of a scene; the measured ones begin in the middle."""
_SETTLE = 1.0
"""Seconds after the start that are excluded from the measurement."""


class Feed:
    """Changing prices, generated in advance: the same sequence for every kind of screen."""

    def __init__(self, rows: int, seconds: float, *, still: bool) -> None:
        known = {constituent.symbol: constituent for constituent in listed()}
        self.constituents = [
            known.get(symbol) or Constituent(symbol, f"Share {symbol}", "Utilities", "", "", None, "", "")
            for symbol in many_symbols(rows)
        ]
        self._rng = random.Random(500)
        self._version = 0
        self._begun = time.monotonic()
        self._given = 0
        self.taken = 0
        """Number of refreshes that found changes."""
        now = datetime.now(UTC)
        self.first = [self._price(constituent.symbol, now) for constituent in self.constituents]
        changing = () if still else self.constituents[:CHANGING]
        self._later = [
            [self._price(each.symbol, now + timedelta(seconds=tick / RATE)) for each in changing]
            for tick in range(round((seconds + _MARGIN) * RATE))
        ]

    def _price(self, symbol: str, at: datetime) -> LivePrice:
        self._version += 1
        price = Decimal(self._rng.randrange(1_000, 90_000)).scaleb(-2)
        live = live_price(symbol, price, round(self._rng.gauss(0.2, 1.4), 2), self._version)
        return replace(live, row=replace(live.row, quote=replace(live.row.quote, quote_time=at)))

    def begin(self) -> None:
        """Begin to change prices."""
        self._begun = time.monotonic()

    def changes(self) -> list[LivePrice]:
        """The newest price of each symbol that changed since the last refresh, as returned by the pipeline."""
        tick = min(round((time.monotonic() - self._begun) * RATE), len(self._later) - 1)
        if tick <= self._given:
            return []
        self._given = tick
        self.taken += 1
        return self._later[tick]


class ChangingPipeline(FakePipeline):
    """Provides the changes of a feed to the whole dashboard, with changing snapshots."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(prices=feed.first)
        self.names = feed.constituents
        self._feed = feed
        self._polls = 0
        self._past = past_seconds(SECONDS_KEPT + 120)
        self._begun = time.monotonic()
        feed.begin()

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        last = SECONDS_KEPT + min(120, int(time.monotonic() - self._begun))
        return last, self._past[second:last]

    def snapshot(self) -> Snapshot:
        self._polls += 1
        calm = self.now_shows
        fetched = calm.ledger.fetched + self._polls * CHANGING
        return replace(
            calm,
            taken_at=datetime.now(UTC),
            uptime=calm.uptime + self._polls / RATE,
            ledger=replace(calm.ledger, fetched=fetched, stored=fetched - 255),
            cycle=replace(calm.cycle, done=self._polls % CHANGING),
        )

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        prices = self._feed.changes() if version else self._feed.first
        return max(version, *(price.version for price in prices)) if prices else version, prices


class WorkingPipeline(ChangingPipeline):
    """The same with workers and their spans: those of the scene `killed writer`, read from rings as in a run."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._whole = SCENES["killed writer"]().spans(_SCENE)
        self._rings = {worker.name: SpanRing() for worker in self._whole.workers}
        self._left = {worker.name: deque(worker.spans) for worker in self._whole.workers}

    def spans(self, seconds: float) -> SpanReport:
        now = self._whole.monotonic - _SCENE / 2 + time.monotonic() - self._begun
        workers = []
        for worker in self._whole.workers:
            ring, left = self._rings[worker.name], self._left[worker.name]
            while left and left[0].end <= now:
                ring.record(*left.popleft())
            workers.append(replace(worker, spans=tuple(ring.since(now - seconds)[0])))
        return replace(self._whole, monotonic=now, taken_at=datetime.now(UTC), workers=tuple(workers))


class QuietLog:
    """A log without lines."""

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        """No lines."""
        return seq, (), 0


class BareApp(App[None]):
    """An app without widgets: the lower limit."""

    def __init__(self, feed: Feed, refresh_rate: float) -> None:
        super().__init__()
        self.feed = feed
        self.refresh_rate = refresh_rate

    def on_mount(self) -> None:
        self.feed.begin()


class OurTable(DiffingApp[None]):
    """The price table only."""

    CSS_PATH = [style_sheet("prices.tcss")]  # noqa: RUF012

    def __init__(self, feed: Feed, refresh_rate: float) -> None:
        super().__init__()
        self.feed = feed
        self.refresh_rate = refresh_rate
        self.register_theme(DARK)
        self.theme = DARK.name

    def compose(self) -> ComposeResult:
        yield PricePanel()

    def on_mount(self) -> None:
        table = self.query_one(PricePanel).table
        table.set_constituents(self.feed.constituents)
        table.update_prices(self.feed.first, datetime.now(UTC))
        self.feed.begin()
        self.set_interval(
            1 / self.refresh_rate, lambda: table.update_prices(self.feed.changes(), datetime.now(UTC))
        )


class TextualTable(BareApp):
    """Textual's DataTable with the same columns and changes, updated cell by cell as in its guide."""

    def compose(self) -> ComposeResult:
        yield DataTable()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        names = ("Symbol", "Name", "Sector", "Last", "Change", "%", "DKK", "Volume", "Market", "Age")
        self.columns = table.add_columns(*names)
        for constituent, live in zip(self.feed.constituents, self.feed.first, strict=True):
            words = (constituent.symbol, constituent.name, constituent.sector, *self._cells(live))
            table.add_row(*words, key=constituent.symbol)
        self.set_interval(1 / self.refresh_rate, self._update)

    @staticmethod
    def _cells(live: LivePrice) -> tuple[str, ...]:
        quote = live.row.quote
        age = (datetime.now(UTC) - quote.quote_time) // timedelta(seconds=1)
        return (
            f"{quote.price:,.2f}",
            f"{quote.change:+.2f}",
            f"{quote.percent_change:+.2f} %",
            f"{live.row.converted_price:,.2f}",
            f"{quote.volume:,}",
            quote.market_state,
            f"{age} s",
        )

    def _update(self) -> None:
        table = self.query_one(DataTable)
        for live in self.feed.changes():
            for column, text in zip(self.columns[3:], self._cells(live), strict=True):
                table.update_cell(live.row.quote.symbol, column, text)


def dashboard(
    feed: Feed, refresh_rate: float, folder: Path, kind: type[ChangingPipeline] = ChangingPipeline
) -> DashboardApp:
    """The whole main screen of the program with the same changes."""
    settings = Settings(demo=True, refresh_rate=refresh_rate, data_dir=folder)
    return DashboardApp(
        lambda: kind(feed),
        settings,
        log=QuietLog(),
        state_file=Paths.of(settings).base / "dashboard.json",
        export_folder=folder,
    )


def make(kind: str, feed: Feed, refresh_rate: float, folder: Path) -> App[Any]:
    """The app of a kind."""
    if kind == "dashboard":
        return dashboard(feed, refresh_rate, folder)
    if kind == "timeline":
        return dashboard(feed, refresh_rate, folder, WorkingPipeline)
    return {"idle": BareApp, "table": OurTable, "datatable": TextualTable}[kind](feed, refresh_rate)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a given share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _measure(kind: str, app: App[Any], feed: Feed, seconds: float, target: Path) -> None:
    """Measure the lag of the event loop and the cost of the process once the screen is drawn."""
    await asyncio.sleep(_SETTLE)
    if kind == "timeline":
        app.simulate_key("5")
        await asyncio.sleep(_SETTLE)
        assert isinstance(app.screen, TimelineScreen)
    lags: list[float] = []
    taken = feed.taken
    begun, usage = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    # The terminal's title tells the reader of the output that the measured time begins.
    os.write(2, b"\x1b]0;measuring\x07")
    while (elapsed := time.perf_counter() - begun) < seconds:
        due = time.perf_counter() + _PULSE
        await asyncio.sleep(_PULSE)
        lags.append(max(0.0, time.perf_counter() - due))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    words = {
        "cpu": cpu / elapsed,
        "cpu_a_refresh": cpu * 1000 / max(1, feed.taken - taken),
        "lag_p50": percentile(lags, 0.5) * 1000,
        "lag_p99": percentile(lags, 0.99) * 1000,
        "seconds": elapsed,
    }
    target.write_text(json.dumps(words))
    app.exit()


def main(kind: str, rows: int, refresh_rate: float, seconds: float, target: Path) -> None:
    """Run the screen in the current terminal."""
    tune_gc()
    tune_for_ui()
    feed = Feed(rows, seconds, still=kind == "idle")
    app = make(kind, feed, refresh_rate, target.parent)

    async def run() -> None:
        task = asyncio.create_task(_measure(kind, app, feed, seconds, target))
        await app.run_async()
        await task

    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
