"""The parts of the pipeline and how they are joined: queues between stages, books over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.model import ConvertedQuote, FetchedQuote, Ticker
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.metrics import LatencyHistogram, LedgerCounters, QueueMeter
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import Ledger, QueueName
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.runtime.assembly import Assembly, usual_sizes
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.pipeline.stages.fetcher import MissingSymbols
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.pipeline.stages.schedule import CycleSchedule, Plan
from sp500tui.pipeline.stages.scraper import CurrentConstituents
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.pipeline.writer.worker import WriterStage
from sp500tui.sources.throttle import Throttle
from sp500tui.storage.url import without_password

BURST = 16
"""Requests that may go out at once after a rest: one cycle over the whole index."""


class PipelineComponents:
    """Everything a run consists of, made and tied together without starting or importing anything heavy."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        *,
        tell: Callable[[PipelineEvent], None],
        fail: Callable[[Sp500tuiError], None],
        on_cycles_ended: Callable[[], None],
    ) -> None:
        self.sources: Sources | None = None
        """The outside world; opened by the supervisor."""
        self.counters = LedgerCounters()
        self.throttle = Throttle(settings.requests_per_second, burst=BURST)
        self.tickers: MemoryQueue[Ticker] = MemoryQueue(settings.tickers_capacity, self.counters.lock)
        self.quotes: MemoryQueue[FetchedQuote] = MemoryQueue(settings.quotes_capacity, self.counters.lock)
        self.rows: MemoryQueue[ConvertedQuote] = MemoryQueue(settings.rows_capacity, self.counters.lock)
        self.queue_meters = (
            QueueMeter(QueueName.TICKERS, self.tickers),
            QueueMeter(QueueName.QUOTES, self.quotes),
            QueueMeter(QueueName.ROWS, self.rows),
        )
        self.fx = FxRates(settings.currency)
        self.missing = MissingSymbols()
        self.latest_prices = LatestPrices()
        self.end_to_end = LatencyHistogram()
        plan = Plan(1 if settings.once else settings.cycles, settings.duration)
        self.bounded = plan != Plan()
        """Whether the run ends by itself."""
        self.cycles = CycleSchedule(plan, settings.interval)
        self.watches = SourceWatches(tell)
        self.current_constituents = CurrentConstituents(
            lambda: self.world().wikipedia,
            settings.symbols,
            settings.list_refresh,
            watch=self.watches.wikipedia,
        )
        dead_letters = DeadLetters(paths.dead_letters)
        self.journal = Journal(
            paths.journal / database_key(settings.database),
            self.counters,
            limit_bytes=settings.journal_limit_mb << 20,
            write_ahead=settings.journal,
            dead_letters=dead_letters,
        )
        self.database = DatabaseHealth(tell)
        self.database_monitor = DatabaseMonitor(
            settings.database,
            paths.data,
            health=self.database,
            current_constituents=self.current_constituents,
            retry_forever=not (settings.no_ui and self.bounded),
            on_fatal=fail,
        )
        self.writer_stage = WriterStage(
            self.rows,
            self.journal,
            health=self.database,
            dead_letters=dead_letters,
            latest_prices=self.latest_prices,
            end_to_end=self.end_to_end,
            url=lambda: self.database_monitor.url,
            batch_size=settings.write_batch,
            commit_timeout=settings.commit_timeout,
        )
        self.stages = Assembly(
            world=self.world,
            asked=self.tickers,
            tickers=self.tickers,
            quotes=self.quotes,
            rows=self.rows,
            counters=self.counters,
            fx=self.fx,
            missing=self.missing,
            latest_prices=self.latest_prices,
            current_constituents=self.current_constituents,
            cycles=self.cycles,
            writer_stage=self.writer_stage,
            watches=self.watches,
        ).stages(settings, usual_sizes(settings), tell=tell, on_cycles_ended=on_cycles_ended)

    def world(self) -> Sources:
        """The outside world, once it is open."""
        if self.sources is None:
            raise Sp500tuiError("the sources are not open yet")
        return self.sources

    def ledger(self) -> Ledger:
        """The equation, exact while the books' lock is held."""
        quotes, rows, counters = self.quotes.depth(), self.rows.depth(), self.counters
        return Ledger(
            fetched=counters.fetched,
            stored=counters.stored,
            duplicate=counters.duplicate,
            queued=quotes.ready + rows.ready,
            in_flight=quotes.in_flight + rows.in_flight + self.journal.in_progress,
            spooled=self.journal.spooled,
            dead=counters.dead,
        )

    def outstanding(self, ledger: Ledger) -> int:
        """Symbols of the cycle that are not settled; what is spooled is safe and holds no cycle up."""
        tickers = self.tickers.depth()
        return tickers.ready + tickers.in_flight + ledger.queued + ledger.in_flight


def database_key(url: str | None) -> str:
    """The name of the journal's folder for a database: rows meant for one never reach another."""
    if url is None:
        return "embedded"
    return hashlib.sha256(without_password(url).encode()).hexdigest()[:12]
