"""The parts of one node, over the cluster's queues and books instead of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.membership.membership import Membership
from sp500tui.cluster.node.validation import uses_database
from sp500tui.cluster.queue import dead_lettering as burial
from sp500tui.cluster.queue.batch_store import LeaseBatchStore, LeasedBatch
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
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.metrics import LatencyHistogram, LedgerCounters, QueueMeter
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import QueueName, StageName
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.runtime.assembly import Assembly
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.pipeline.runtime.wiring import BURST
from sp500tui.pipeline.stages.schedule import Plan
from sp500tui.pipeline.stages.scraper import CurrentConstituents
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.pipeline.writer.worker import WriterStage


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


class NodeComponents:
    """Everything a node consists of, made and tied together without starting or importing anything heavy."""

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
        self.sources: Sources | None = None
        """The outside world; opened where a stage needs it."""
        self.broker = broker
        self.membership = Membership(broker, name, settings.currency)
        self.lease = SchedulerLease(broker, name)
        self.throttle = SharedThrottle(settings.requests_per_second, burst=BURST)
        self.fx = SharedFxRates(settings.currency, broker)
        self.missing = SharedMissingSymbols(broker)
        self.latest_prices = LatestPrices()
        self.end_to_end = LatencyHistogram()
        plan = Plan(1 if settings.once else settings.cycles, settings.duration)
        self.bounded = plan != Plan()
        """Whether this node ends by itself."""
        self.cycles = SharedCycles(plan, settings.interval, broker=broker, lease=self.lease)
        self.watches = SourceWatches(tell)
        self.current_constituents = SharedConstituents(
            lambda: self.world().wikipedia,
            settings.symbols,
            settings.list_refresh,
            broker,
            watch=self.watches.wikipedia,
        )
        self._make_queues(settings, name, DeadLetters(paths.dead_letters))
        self.database = DatabaseHealth(tell)
        self.uses_database = uses_database(settings, sizes)
        """A node that only asks for prices needs no access to it."""
        self.database_monitor = DatabaseMonitor(
            settings.database,
            paths.data,
            health=self.database,
            # Who only looks may be somebody who may not write.
            current_constituents=self.current_constituents
            if StageName.WRITER in sizes
            else CurrentConstituents(lambda: self.world().wikipedia, (), 0),
            retry_forever=not (settings.no_ui and self.bounded),
            on_fatal=fail,
        )
        self.feed = PriceFeed(self.latest_prices, lambda: settings.read_database or self.database_monitor.url)
        self.batch_store = LeaseBatchStore()
        self.writer_stage = self._make_writing(settings, DeadLetters(paths.dead_letters))
        self.stages = self._assembly().stages(settings, sizes, tell=tell, on_cycles_ended=on_cycles_ended)

    def _make_queues(self, settings: Settings, name: str, dead_letters: DeadLetters) -> None:
        broker, capacity = self.broker, settings.tickers_capacity
        tickers = TickerCodec(lambda: broker.offset)
        self.tickers: StreamQueue[Ticker] = StreamQueue(
            broker, "tickers", tickers, capacity, consumer=name, on_poison=burial.among(self.missing)
        )
        self.asked: StreamQueue[Ticker] = StreamQueue(
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

    def _make_writing(self, settings: Settings, dead_letters: DeadLetters) -> WriterStage[LeasedBatch]:
        return WriterStage(
            self.rows,
            self.batch_store,
            health=self.database,
            dead_letters=dead_letters,
            latest_prices=self.latest_prices,
            end_to_end=self.end_to_end,
            url=lambda: self.database_monitor.url,
            batch_size=settings.write_batch,
            commit_timeout=settings.commit_timeout,
        )

    def _assembly(self) -> Assembly:
        return Assembly(
            world=self.world,
            asked=self.asked,
            tickers=self.tickers,
            quotes=self.quotes,
            rows=self.rows,
            # The broker keeps the books; these would count this node's own part.
            counters=LedgerCounters(),
            fx=self.fx,
            missing=self.missing,
            latest_prices=self.latest_prices,
            current_constituents=self.current_constituents,
            cycles=self.cycles,
            writer_stage=self.writer_stage,
            watches=self.watches,
        )

    def world(self) -> Sources:
        """The outside world, once it is open."""
        if self.sources is None:
            raise Sp500tuiError("the sources are not open yet")
        return self.sources

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
