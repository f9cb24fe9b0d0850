"""The objects a run consists of, made and connected without starting anything: queues, stages, monitors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.model import ConvertedQuote, FetchedQuote, Ticker
from sp500tui.pipeline.core.events import EventLog, PipelineEvent
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.ledger import Ledger, LedgerCounters
from sp500tui.pipeline.core.metrics import LatencyHistogram, QueueMeter
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth, LeasedQueue, MemoryQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.interpreter_lock import LockGauge, has_lock
from sp500tui.pipeline.core.timing.second_history import DepthSource, SecondHistory
from sp500tui.pipeline.core.worker import Worker, WorkerTask
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.history.plan import HistoryTask
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.runtime.history import MAX_REQUESTS, TASKS_CAPACITY, WRITER_HANG_FACTOR, HistoryRun
from sp500tui.pipeline.runtime.maintenance import Maintenance
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.pipeline.stages.converter import ConverterStage
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.stages.fetcher import FetchStage, MissingSymbols
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.pipeline.stages.schedule import CycleSchedule, Plan
from sp500tui.pipeline.stages.scraper import ScraperStage
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.pipeline.writer.batch_store import BatchStore
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.pipeline.writer.spooler import Spooler
from sp500tui.pipeline.writer.worker import WriterStage
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.yahoo.charts import Chart, ChartRequest
from sp500tui.storage.url import database_key

BURST = 16
"""Requests that may be sent in a burst after an idle period: one cycle over the whole index."""
_RETRY_TIMEOUT = 60.0
"""Seconds for which a symbol is retried within one cycle."""
_HANG_TIMEOUT = 120.0
"""Seconds after which a worker of any other stage counts as hung."""


class RunComponents:
    """The components of a run: of the whole pipeline, or of one node of a cluster.

    Subclasses provide the queues, the schedule and the shared state, in memory or on a broker.
    """

    tickers: LeasedQueue[Ticker]
    ticker_sink: LeasedQueue[Ticker]
    """Where the scraper puts tickers: the tickers queue, or a guarded handle on it."""
    quotes: LeasedQueue[FetchedQuote]
    rows: LeasedQueue[ConvertedQuote]
    queue_meters: tuple[QueueMeter, ...]
    throttle: Throttle
    fx: FxRates
    missing: MissingSymbols
    cycles: CycleSchedule
    current_constituents: CurrentConstituents
    database_monitor: DatabaseMonitor
    writer_stage: WriterStage[Any]
    history: HistoryRun
    maintenance: Maintenance
    stages: dict[StageName, WorkerPool]
    """The stages that run here, in the order of the data."""
    seconds: SecondHistory

    def __init__(
        self, settings: Settings, *, publish: Callable[[PipelineEvent], None], events: EventLog
    ) -> None:
        self.sources: Sources | None = None
        """The data sources; None until they are open, and where no stage needs them."""
        self.counters = LedgerCounters()
        self.latest_prices = LatestPrices()
        self.end_to_end = LatencyHistogram()
        self.lock_gauge = LockGauge()
        self.watches = SourceWatches(publish)
        self.database = DatabaseHealth(publish)
        self.plan = Plan(1 if settings.once else settings.cycles, settings.duration)
        self.bounded = self.plan != Plan()
        """Whether the run ends by itself."""
        self._settings = settings
        self.publish = publish
        self._events = events

    def open_sources(self) -> Sources:
        """The data sources.

        Raises:
            Sp500tuiError: they are not open yet.
        """
        if self.sources is None:
            raise Sp500tuiError("the sources are not open yet")
        return self.sources

    @property
    def ready(self) -> bool:
        """Whether every worker has started and none is still preparing its task."""
        workers = [worker for stage in self.stages.values() for worker in stage.workers]
        return bool(workers) and all(w.account.state is not WorkerState.STARTING for w in workers)

    def _fetch_chart(self, request: ChartRequest) -> Chart:
        return self.open_sources().yahoo.chart(request)

    def _make_writer_stage(self, batch_store: BatchStore[Any], dead_letters: DeadLetters) -> WriterStage[Any]:
        return WriterStage(
            self.rows,
            batch_store,
            health=self.database,
            dead_letters=dead_letters,
            latest_prices=self.latest_prices,
            end_to_end=self.end_to_end,
            url=lambda: self.database_monitor.url,
            batch_size=self._settings.write_batch,
            commit_timeout=self._settings.commit_timeout,
        )

    def _make_stages(
        self, sizes: Mapping[StageName, int], on_cycles_ended: Callable[[], None]
    ) -> dict[StageName, WorkerPool]:
        """Pools for the stages in `sizes`, with the given number of workers each."""
        scraper = ScraperStage(
            self.current_constituents, self.cycles, self.ticker_sink, on_cycles_ended=on_cycles_ended
        )
        converter = ConverterStage(self.quotes, self.rows, fx=self.fx, latest_prices=self.latest_prices)
        tasks: dict[StageName, Callable[[Worker], WorkerTask]] = {
            StageName.SCRAPER: scraper.make_task,
            StageName.PRICE: self._make_fetch_stage().make_task,
            StageName.CONVERTER: converter.make_task,
            StageName.WRITER: self.writer_stage.make_task,
        }
        hang_timeouts = {
            StageName.SCRAPER: MAX_REQUESTS * self._settings.request_timeout,
            StageName.PRICE: MAX_REQUESTS * self._settings.request_timeout,
            StageName.WRITER: WRITER_HANG_FACTOR * self._settings.commit_timeout,
        }
        stages = {
            name: WorkerPool(
                name,
                make_task,
                sizes[name],
                listener=self.publish,
                hang_after=hang_timeouts.get(name, _HANG_TIMEOUT),
            )
            for name, make_task in tasks.items()
            if name in sizes
        }
        if StageName.SCRAPER in stages:
            self.cycles.subscribe(stages[StageName.SCRAPER].wake)
        return stages

    def _make_history_stage(
        self,
        paths: Paths,
        tasks: LeasedQueue[HistoryTask],
        *,
        depth: Callable[[], Depth] | None = None,
        on_added: Callable[[], None] = lambda: None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """The history stage and its maintenance; the arguments are those of `HistoryRun` and `Maintenance`."""
        self.history = HistoryRun(
            self._settings,
            paths,
            tasks,
            url=lambda: self.database_monitor.url,
            fetch=self._fetch_chart,
            health=self.database,
            publish=self.publish,
            background=self.throttle.background,
            depth=depth,
            on_added=on_added,
        )
        self.maintenance = Maintenance(
            self._settings,
            self.history,
            url=lambda: self.database_monitor.url,
            symbols=lambda: self.current_constituents.symbols,
            fetch=self._fetch_chart,
            background=self.throttle.background,
            health=self.database,
            leads=leads,
        )

    def _make_history(
        self, queues: Mapping[QueueName, DepthSource], journal: DepthSource | None = None
    ) -> SecondHistory:
        accounts = {name: pool.accounts for name, pool in self.stages.items()}
        lock = self.lock_gauge.account if has_lock() else None
        return SecondHistory(accounts, queues, journal, self._events, lock=lock)

    def _make_fetch_stage(self) -> FetchStage:
        return FetchStage(
            lambda: self.open_sources().yahoo,
            self.tickers,
            self.quotes,
            counters=self.counters,
            fx=self.fx,
            missing=self.missing,
            batch_size=self._settings.batch_size,
            max_attempts=self._settings.max_attempts,
            retry_timeout=_RETRY_TIMEOUT,
            watches=self.watches,
        )


class PipelineComponents(RunComponents):
    """The components of the pipeline of one program: queues in memory, batches in a journal on disk."""

    tickers: MemoryQueue[Ticker]
    quotes: MemoryQueue[FetchedQuote]
    rows: MemoryQueue[ConvertedQuote]

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        *,
        publish: Callable[[PipelineEvent], None],
        events: EventLog,
        fail: Callable[[Sp500tuiError], None],
        on_cycles_ended: Callable[[], None],
    ) -> None:
        super().__init__(settings, publish=publish, events=events)
        self.throttle = Throttle(settings.requests_per_second, burst=BURST)
        self.tickers = self.ticker_sink = MemoryQueue(settings.tickers_capacity, self.counters.lock)
        self.quotes = MemoryQueue(settings.quotes_capacity, self.counters.lock)
        self.rows = MemoryQueue(settings.rows_capacity, self.counters.lock)
        self.fx = FxRates(settings.currency)
        self.missing = MissingSymbols()
        self.cycles = CycleSchedule(self.plan, settings.interval)
        self.current_constituents = CurrentConstituents(
            lambda: self.open_sources().wikipedia,
            settings.symbols,
            settings.list_refresh,
            watch=self.watches.wikipedia,
            publish=publish,
        )
        dead_letters = DeadLetters(paths.dead_letters)
        self.journal = Journal(
            paths.journal / database_key(settings.database),
            self.counters,
            limit_bytes=settings.journal_limit_mb << 20,
            write_ahead=settings.journal,
            dead_letters=dead_letters,
        )
        self.database_monitor = DatabaseMonitor(
            settings.database,
            paths.data,
            health=self.database,
            current_constituents=self.current_constituents,
            retry_forever=not (settings.no_ui and self.bounded),
            on_fatal=fail,
            stored=lambda: self.counters.stored,
            writing=lambda: self.journal.in_progress > 0,
        )
        history_tasks: MemoryQueue[HistoryTask] = MemoryQueue(TASKS_CAPACITY)
        self._make_history_stage(paths, history_tasks)
        self.writer_stage = self._make_writer_stage(self.journal, dead_letters)
        self.stages = self._make_stages(stage_sizes(settings), on_cycles_ended)
        writers = self.stages[StageName.WRITER]
        self.spooler = Spooler(
            self.writer_stage, self.journal, paused=lambda: writers.must_pause, wake=writers.wake
        )
        self.stages[StageName.HISTORY] = self.history.pool
        self.queue_meters = (
            QueueMeter(QueueName.TICKERS, self.tickers),
            QueueMeter(QueueName.QUOTES, self.quotes),
            QueueMeter(QueueName.ROWS, self.rows),
            QueueMeter(QueueName.HISTORY, history_tasks),
        )
        self.seconds = self._make_history(
            {
                QueueName.TICKERS: self.tickers.account,
                QueueName.QUOTES: self.quotes.account,
                QueueName.ROWS: self.rows.account,
                QueueName.HISTORY: history_tasks.account,
            },
            self.journal.account,
        )

    def ledger(self) -> Ledger:
        """The conservation equation; exact while the lock of the counters is held."""
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
        """Symbols of the cycle that are neither stored, refused nor spooled; a spooled row is safe."""
        tickers = self.tickers.depth()
        return tickers.ready + tickers.in_flight + ledger.queued + ledger.in_flight


def stage_sizes(settings: Settings) -> dict[StageName, int]:
    """All stages, each with the number of workers in the settings."""
    return {
        StageName.SCRAPER: 1,
        StageName.PRICE: settings.price_workers,
        StageName.CONVERTER: settings.converters,
        StageName.WRITER: settings.writers,
        StageName.HISTORY: settings.history_workers,
    }
