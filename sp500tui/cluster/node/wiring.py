"""The parts of one node, over the cluster's queues and books instead of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.membership.membership import Membership
from sp500tui.cluster.node.validation import uses_database
from sp500tui.cluster.queue import dead_lettering as burial
from sp500tui.cluster.queue.batch_store import LeaseBatchStore
from sp500tui.cluster.queue.codec import FetchedCodec, RowCodec, TickerCodec
from sp500tui.cluster.queue.stream_queue import Reading, StreamQueue
from sp500tui.cluster.scheduling.leader_election import SchedulerLease
from sp500tui.cluster.scheduling.schedule import SharedCycles
from sp500tui.cluster.shared.price_feed import PriceFeed
from sp500tui.cluster.shared.state import SharedConstituents, SharedFxRates, SharedMissingSymbols
from sp500tui.cluster.shared.throttle import SharedThrottle
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.model import ConvertedQuote, FetchedQuote, Ticker
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.metrics import QueueMeter
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import QueueName, StageName
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.runtime.wiring import BURST, RunComponents
from sp500tui.pipeline.stages.scraper import CurrentConstituents


class RemoteQueueStats:
    """What was last read of a queue on the broker, as a gauge wants it; counts from the first reading on."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._first: Reading | None = None
        self._reading = Reading()

    def set(self, reading: Reading) -> None:
        """Take over a new reading."""
        self._first = self._first or reading
        self._reading = reading

    @property
    def total_in(self) -> int:
        """Items put in by any node since the first reading."""
        return self._reading.total_in - (self._first or self._reading).total_in

    @property
    def total_out(self) -> int:
        """Items done with on any node since the first reading."""
        return self._reading.total_out - (self._first or self._reading).total_out

    @property
    def high_water(self) -> int:
        """The most that were ever ready."""
        return self._reading.high_water

    def depth(self) -> Depth:
        """How full it was."""
        found = self._reading
        return Depth(found.ready, found.in_flight, self._capacity, found.oldest_age)


class NodeComponents(RunComponents):
    """What a node consists of: queues and shared state on the broker, batches under a lease there."""

    throttle: SharedThrottle
    fx: SharedFxRates
    missing: SharedMissingSymbols
    cycles: SharedCycles
    current_constituents: SharedConstituents

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        sizes: Mapping[StageName, int],
        *,
        name: str,
        broker: Broker,
        tell: Callable[[PipelineEvent], None],
        fail: Callable[[Sp500tuiError], None],
        on_cycles_ended: Callable[[], None],
    ) -> None:
        super().__init__(settings, tell=tell)
        self.broker = broker
        self.membership = Membership(broker, name, settings.currency)
        self.lease = SchedulerLease(broker, name)
        self.throttle = SharedThrottle(settings.requests_per_second, burst=BURST)
        self.fx = SharedFxRates(settings.currency, broker)
        self.missing = SharedMissingSymbols(broker)
        self.cycles = SharedCycles(self.plan, settings.interval, broker=broker, lease=self.lease)
        self.current_constituents = SharedConstituents(
            lambda: self.open_sources().wikipedia,
            settings.symbols,
            settings.list_refresh,
            broker,
            watch=self.watches.wikipedia,
        )
        dead_letters = DeadLetters(paths.dead_letters)
        self._make_queues(settings, name, dead_letters)
        self.uses_database = uses_database(settings, sizes)
        """A node that only asks for prices needs no access to it."""
        self.database_monitor = DatabaseMonitor(
            settings.database,
            paths.data,
            health=self.database,
            # Who only looks may be somebody who may not write.
            current_constituents=self.current_constituents
            if StageName.WRITER in sizes
            else CurrentConstituents(lambda: self.open_sources().wikipedia, (), 0),
            retry_forever=not (settings.no_ui and self.bounded),
            on_fatal=fail,
        )
        self.feed = PriceFeed(self.latest_prices, lambda: settings.read_database or self.database_monitor.url)
        self.batch_store = LeaseBatchStore()
        self.writer_stage = self._make_writer_stage(self.batch_store, dead_letters)
        self.stages = self._make_stages(sizes, on_cycles_ended)

    def _make_queues(self, settings: Settings, name: str, dead_letters: DeadLetters) -> None:
        broker, capacity = self.broker, settings.tickers_capacity
        tickers = TickerCodec(lambda: broker.offset)
        self.tickers: StreamQueue[Ticker] = StreamQueue(
            broker, "tickers", tickers, capacity, consumer=name, on_poison=burial.among(self.missing)
        )
        self.ticker_sink: StreamQueue[Ticker] = StreamQueue(
            broker, "tickers", tickers, capacity, consumer=name, fence=self._fence
        )
        self.quotes: StreamQueue[FetchedQuote] = StreamQueue(
            broker,
            "quotes",
            FetchedCodec(lambda: broker.offset),
            settings.quotes_capacity,
            consumer=name,
            counts="fetched",
            buried="dead",
            on_poison=burial.into(dead_letters, settings.currency),
        )
        self.rows: StreamQueue[ConvertedQuote] = StreamQueue(
            broker,
            "rows",
            RowCodec(lambda: broker.offset),
            settings.rows_capacity,
            consumer=name,
            buried="dead",
            on_poison=burial.into(dead_letters, settings.currency),
        )
        self.dials = {
            QueueName.TICKERS: RemoteQueueStats(settings.tickers_capacity),
            QueueName.QUOTES: RemoteQueueStats(settings.quotes_capacity),
            QueueName.ROWS: RemoteQueueStats(settings.rows_capacity),
        }
        self.queue_meters = tuple(QueueMeter(queue, dial) for queue, dial in self.dials.items())

    def _fence(self) -> tuple[str, str]:
        """What must be true of the broker for tickers to be let in: nobody else has become the scheduler."""
        return self.broker.key("scheduler:token"), str(self.lease.token)

    @property
    def fetches_prices(self) -> bool:
        """Whether a stage of this node asks the outside world."""
        return StageName.SCRAPER in self.stages or StageName.PRICE in self.stages

    @property
    def queue_keys(self) -> list[str]:
        """The queues as the broker names them."""
        return [queue.key for queue in (self.tickers, self.quotes, self.rows)]

    def release_all_leases(self) -> None:
        """Give back to the queues whatever the broker knows this node to hold."""
        self.broker.run("reclaim", self.queue_keys, [self.membership.name], patience=2.0)

    def release_leases(self) -> None:
        """Take every lease out of this node's hands; whoever works on one finds it lost."""
        for worker in (worker for stage in self.stages.values() for worker in stage.workers):
            lease = worker.lease
            if lease is not None:
                lease.release()
        self.batch_store.release_all()
