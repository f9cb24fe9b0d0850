"""Wiring of one node, which uses the queues and the ledger of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.membership.membership import Membership
from sp500tui.cluster.node.validation import uses_database
from sp500tui.cluster.queue.batch_store import LeaseBatchStore
from sp500tui.cluster.queue.codec import FetchedCodec, HistoryTaskCodec, RowCodec, TickerCodec
from sp500tui.cluster.queue.dead_lettering import dead_letter_handler, missing_symbol_handler
from sp500tui.cluster.queue.entries import Reading
from sp500tui.cluster.queue.stream_queue import StreamQueue
from sp500tui.cluster.scheduling.leader_election import SchedulerLease
from sp500tui.cluster.scheduling.schedule import SharedSchedule
from sp500tui.cluster.shared.price_feed import PriceFeed
from sp500tui.cluster.shared.state import SharedConstituents, SharedFxRates, SharedMissingSymbols
from sp500tui.cluster.shared.throttle import SharedThrottle
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.model import ConvertedQuote, FetchedQuote, Ticker
from sp500tui.pipeline.core.events import EventLog, PipelineEvent
from sp500tui.pipeline.core.metrics import QueueMeter
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.timing.second_history import SampledDepth
from sp500tui.pipeline.history.plan import HistoryTask
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.runtime.history import TASKS_CAPACITY
from sp500tui.pipeline.runtime.wiring import BURST, RunComponents
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents


class RemoteQueueStats:
    """The last reading of a queue on the broker, for a `QueueMeter`.

    Totals count from the first reading, and do not fall when the broker has lost its data.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._reading: Reading | None = None
        self.total_in = 0
        """Items put in by any node since the first reading."""
        self.total_out = 0
        """Items acknowledged by any node since the first reading."""

    def set(self, reading: Reading) -> None:
        """Store a new reading."""
        before, self._reading = self._reading or reading, reading
        self.total_in += max(0, reading.total_in - before.total_in)
        self.total_out += max(0, reading.total_out - before.total_out)

    @property
    def high_water(self) -> int:
        """The largest number of ready items so far."""
        return self._last.high_water

    @property
    def _last(self) -> Reading:
        return self._reading or Reading()

    def depth(self) -> Depth:
        """The queue's depth at the last reading."""
        reading = self._last
        return Depth(reading.ready, reading.in_flight, self._capacity, reading.oldest_age)


class NodeComponents(RunComponents):
    """The components of a node: queues and shared state on the broker, and batches leased from it."""

    throttle: SharedThrottle
    fx: SharedFxRates
    missing: SharedMissingSymbols
    cycles: SharedSchedule
    current_constituents: SharedConstituents

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        sizes: Mapping[StageName, int],
        *,
        name: str,
        broker: Broker,
        publish: Callable[[PipelineEvent], None],
        events: EventLog,
        fail: Callable[[Sp500tuiError], None],
        on_cycles_ended: Callable[[], None],
    ) -> None:
        super().__init__(settings, publish=publish, events=events)
        self.broker = broker
        self.membership = Membership(broker, name, settings.currency)
        self.lease = SchedulerLease(broker, name)
        self.throttle = SharedThrottle(settings.requests_per_second, burst=BURST)
        self.fx = SharedFxRates(settings.currency, broker)
        self.missing = SharedMissingSymbols(broker)
        self.cycles = SharedSchedule(self.plan, settings.interval, broker=broker, lease=self.lease)
        self.current_constituents = SharedConstituents(
            lambda: self.open_sources().wikipedia,
            settings.symbols,
            settings.list_refresh,
            broker,
            watch=self.watches.wikipedia,
            publish=publish,
        )
        dead_letters = DeadLetters(paths.dead_letters)
        self._make_queues(settings, name, dead_letters)
        self.stored = 0
        """Rows that all nodes have stored, at the last reading of the ledger."""
        self.uses_database = uses_database(settings, sizes)
        """False on nodes that only fetch or convert."""
        self.database_monitor = DatabaseMonitor(
            settings.database,
            paths.data,
            health=self.database,
            # A node without a writer may lack write privileges, so it does not sync the constituents.
            current_constituents=self.current_constituents
            if StageName.WRITER in sizes
            else CurrentConstituents(lambda: self.open_sources().wikipedia, (), 0),
            retry_forever=not (settings.no_ui and self.bounded),
            on_fatal=fail,
            stored=lambda: self.stored,
        )
        self.feed = PriceFeed(
            self.latest_prices,
            lambda: settings.read_database or self.database_monitor.url,
            # The statement of a batch and its commit take one timeout each.
            overlap=2 * settings.commit_timeout,
        )
        self.batch_store = LeaseBatchStore()
        self.writer_stage = self._make_writer_stage(self.batch_store, dead_letters)
        self.stages = self._make_stages(sizes, on_cycles_ended)
        stats = self.queue_stats[QueueName.HISTORY]
        self.leads_history = False
        """Whether this node, of those that run the stage, determines what is missing and replaces old rows."""
        self._make_history_stage(
            paths,
            self.history_tasks,
            depth=stats.depth,
            on_added=lambda: stats.set(self.history_tasks.reading()),
            leads=lambda: self.leads_history,
        )
        if StageName.HISTORY in sizes:
            self.history.pool.scale(sizes[StageName.HISTORY])
            self.stages[StageName.HISTORY] = self.history.pool
        self.seconds = self._make_history(
            {name: SampledDepth(stats.depth) for name, stats in self.queue_stats.items()}
        )

    def _make_queues(self, settings: Settings, name: str, dead_letters: DeadLetters) -> None:
        broker, capacity = self.broker, settings.tickers_capacity
        tickers = TickerCodec(lambda: broker.offset)
        self.tickers: StreamQueue[Ticker] = StreamQueue(
            broker,
            "tickers",
            tickers,
            capacity,
            consumer=name,
            on_poison=missing_symbol_handler(self.missing),
        )
        self.ticker_sink: StreamQueue[Ticker] = StreamQueue(
            broker, "tickers", tickers, capacity, consumer=name, fencing_token=self._fencing_token
        )
        self.quotes: StreamQueue[FetchedQuote] = StreamQueue(
            broker,
            "quotes",
            FetchedCodec(lambda: broker.offset),
            settings.quotes_capacity,
            consumer=name,
            put_counter="fetched",
            dead_counter="dead",
            on_poison=dead_letter_handler(dead_letters, settings.currency),
        )
        self.rows: StreamQueue[ConvertedQuote] = StreamQueue(
            broker,
            "rows",
            RowCodec(lambda: broker.offset),
            settings.rows_capacity,
            consumer=name,
            dead_counter="dead",
            on_poison=dead_letter_handler(dead_letters, settings.currency),
        )
        self.history_tasks: StreamQueue[HistoryTask] = StreamQueue(
            broker, "history", HistoryTaskCodec(), TASKS_CAPACITY, consumer=name
        )
        self.queues: tuple[StreamQueue[Any], ...] = (
            self.tickers,
            self.quotes,
            self.rows,
            self.history_tasks,
        )
        self.queue_stats = {
            QueueName.TICKERS: RemoteQueueStats(settings.tickers_capacity),
            QueueName.QUOTES: RemoteQueueStats(settings.quotes_capacity),
            QueueName.ROWS: RemoteQueueStats(settings.rows_capacity),
            QueueName.HISTORY: RemoteQueueStats(TASKS_CAPACITY),
        }
        self.queue_meters = tuple(QueueMeter(queue, stats) for queue, stats in self.queue_stats.items())

    def serve_history(self) -> None:
        """Start the history stage of this node once there are requests for bars in the cluster."""
        if (
            StageName.HISTORY in self.stages
            and not self.history.started
            and self.database.ready.is_set()
            and self.queue_stats[QueueName.HISTORY].depth().ready
        ):
            self.history.start()

    def _fencing_token(self) -> tuple[str, str]:
        """Key and value that accept tickers from this node only while it is the scheduler."""
        return self.broker.key("scheduler:token"), str(self.lease.token)

    @property
    def uses_sources(self) -> bool:
        """Whether a stage of this node uses the data sources."""
        return any(stage in self.stages for stage in (StageName.SCRAPER, StageName.PRICE, StageName.HISTORY))

    @property
    def queue_keys(self) -> list[str]:
        """The keys of the queues on the broker."""
        return [queue.key for queue in self.queues]

    def release_all_leases(self) -> None:
        """Requeue everything that is leased to this node on the broker."""
        self.broker.run("reclaim", self.queue_keys, [self.membership.name], retry_for=2.0)

    def release_leases(self) -> None:
        """Release the leases of all workers; a worker that is using one finds it lost."""
        for worker in (worker for stage in self.stages.values() for worker in stage.workers):
            lease = worker.lease
            if lease is not None:
                lease.release()
        self.batch_store.release_all()
