"""A cluster compared with one program: the cost of a row through the broker, the gain of a second worker process."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.node.broker_state import BrokerState, read_state
from sp500tui.cluster.queue.codec import FetchedCodec, RowCodec
from sp500tui.cluster.queue.stream_queue import StreamQueue
from sp500tui.model import ConvertedQuote, FetchedQuote
from sp500tui.pipeline.core.queue import LeasedQueue, MemoryQueue
from sp500tui.simulator.process import DemoMarket
from sp500tui.storage.embedded.server import EmbeddedServer
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import (
    distinct_rows,
    fresh_database,
    listed_symbols,
    many_symbols,
    public_folder,
    scratch_server,
    wait_until,
)
from tests.faults.rig.program import Launcher, Program
from tests.support.cluster.valkey import ValkeyServer, new_server

_TIMEOUT = 120.0
_POLL_INTERVAL = 0.05
_RATE = 4
"""Requests per second that one address may send when fetching is measured; each is for 50 symbols."""
_SYMBOLS = 20_120
_WARM = 3_000
"""Quotes in the first burst, which is faster than the rate."""
_BATCHES = (50, 500)
_EQUAL_ROW = (
    "same rows and batches, one thread that puts, takes and acknowledges; appendfsync always, loopback"
)
_EQUAL_WORKERS = "same broker, database and machine; nothing else differs between one worker process and two"


def run(scale: Scale) -> list[Figure]:
    """The cost of a row, the gain in fetching and the gain in storing."""
    with ExitStack() as stack:
        valkey = new_server()
        stack.callback(valkey.close)
        rows = distinct_rows(max(1_000, scale.quotes // 10), listed_symbols())
        figures = [_cost(valkey, rows, batch, scale.runs) for batch in _BATCHES]
        server = stack.enter_context(scratch_server())
        folder = stack.enter_context(public_folder())
        market = stack.enter_context(DemoMarket.start(seed=7, latency=0.05, extra_symbols=_SYMBOLS))
        servers = Servers(valkey, server, market, folder)
        return [*figures, _fetching(servers, scale), _storing(servers, scale)]


# --- the cost of a row ------------------------------------------------------------------------------------------


def _cost(valkey: ValkeyServer, rows: Sequence[ConvertedQuote], batch: int, runs: int) -> Figure:
    """Alternating runs through the broker and through memory."""
    ours, theirs, rates = [], [], []
    with _namespace(valkey) as broker:
        stream = StreamQueue(broker, "rows", RowCodec(lambda: broker.offset), 4096, consumer="bench")
        memory: MemoryQueue[ConvertedQuote] = MemoryQueue(4096)
        for _ in range(runs):
            started, used = time.perf_counter(), _cpu_of(valkey)
            cost = _through(stream, rows, batch)
            ours.append(cost + (_cpu_of(valkey) - used) / len(rows) * 1e6)
            rates.append(len(rows) / (time.perf_counter() - started))
            theirs.append(_through(memory, rows, batch))
    return Figure(
        "broker",
        f"a row through the queue, batches of {batch}",
        "µs of processor/row",
        Spread.of(ours),
        _EQUAL_ROW,
        {"queue in memory": Spread.of(theirs)},
        note=f"program and broker together; one thread brought {Spread.of(rates).median:,.0f} rows/s through, each "
        "batch waiting for the broker's disk three times",
    )


def _through(queue: LeasedQueue[ConvertedQuote], rows: Sequence[ConvertedQuote], batch: int) -> float:
    """Microseconds of this program's processor time per row."""
    started = time.process_time()
    for at in range(0, len(rows), batch):
        queue.put(rows[at : at + batch])
        lease = queue.take(batch)
        if lease is None or not lease.ack():
            raise RuntimeError("a lease was lost")
    return (time.process_time() - started) / len(rows) * 1e6


def _cpu_of(valkey: ValkeyServer) -> float:
    """Seconds of processor time used by the broker."""
    used = valkey.client().info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


# --- the gain of a second worker process ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers and the folder shared by all runs."""

    valkey: ValkeyServer
    server: EmbeddedServer
    market: DemoMarket
    folder: Path


class Cluster:
    """The workers of one run."""

    def __init__(self, servers: Servers, broker: Broker, database: str, launch: Launcher) -> None:
        self._servers = servers
        self._database = database
        self._launch = launch
        self.broker = broker

    def work(self, stages: str, **settings: Any) -> Program:
        """Start a worker process."""
        return self._launch(
            command=("-m", "sp500tui", "worker"),
            database=self._database,
            interval=1.0,
            broker=self._servers.valkey.url,
            cluster_name=self.broker.cluster_name,
            stages=stages,
            **settings,
        )

    def waits_for(self, condition: Callable[[BrokerState], bool], what: str) -> float:
        """Wait until the state of the cluster meets the condition; returns the broker's time."""
        found: list[BrokerState] = []

        def met() -> bool:
            time.sleep(_POLL_INTERVAL)
            found[:] = [read_state(self.broker, retry_for=5.0)]
            return condition(found[0])

        wait_until(met, _TIMEOUT, what)
        return found[0].now


@contextmanager
def _cluster(servers: Servers) -> Iterator[Cluster]:
    with (
        _namespace(servers.valkey) as broker,
        fresh_database(servers.server) as database,
        public_folder() as folder,
    ):
        launch = Launcher(servers.market, folder)
        try:
            yield Cluster(servers, broker, database, launch)
        finally:
            launch.close()


@contextmanager
def _namespace(valkey: ValkeyServer) -> Iterator[Broker]:
    broker = Broker(valkey.url, f"bench-{uuid.uuid4().hex[:12]}")
    broker.open()
    try:
        yield broker
    finally:
        broker.close()


def _fetching(servers: Servers, scale: Scale) -> Figure:
    listing = servers.folder / "symbols.txt"
    listing.write_text("\n".join(many_symbols(_SYMBOLS)) + "\n", encoding="utf-8")

    def fetched(workers: int) -> float:
        with _cluster(servers) as cluster:
            cluster.work("scraper,converter=1,writer=1", symbols_file=listing)
            for number in range(workers):
                cluster.work("price=4", fetch_group=f"address-{number}", requests_per_second=_RATE)
            return _rate(cluster, "fetched", workers * _WARM, scale.seconds)

    return _gain(
        "fetching, two addresses",
        "quotes/s",
        fetched,
        scale,
        f"each worker process asks {_RATE} times a second, 50 symbols each time, as one address may; the market "
        "answers after 50 ms",
    )


def _rate(cluster: Cluster, counter: str, beyond: int, seconds: float) -> float:
    """Rate per second at which a counter of the ledger rises in `seconds` after it has reached `beyond`."""
    begin = cluster.waits_for(lambda state: state.counters.get(counter, 0) >= beyond, f"{beyond} {counter}")
    first = read_state(cluster.broker).counters[counter]
    end = cluster.waits_for(lambda state: state.now >= begin + seconds, "the end of the measurement")
    return (read_state(cluster.broker).counters[counter] - first) / (end - begin)


def _storing(servers: Servers, scale: Scale) -> Figure:
    rows = distinct_rows(scale.quotes // 2, listed_symbols())

    def stored(workers: int) -> float:
        with _cluster(servers) as cluster:
            quotes = StreamQueue(
                cluster.broker,
                "quotes",
                FetchedCodec(lambda: cluster.broker.offset),
                len(rows),
                consumer="bench",
            )
            for at in range(0, len(rows), 500):
                quotes.put(
                    [
                        FetchedQuote(row.quote, fetched_monotonic=time.monotonic(), fetched_by="bench")
                        for row in rows[at : at + 500]
                    ]
                )
            for _ in range(workers):
                # Into the quotes' currency, which needs no rate.
                cluster.work("converter=1,writer=1", currency="USD")
            tenth = len(rows) // 10
            begin = cluster.waits_for(
                lambda state: state.counters.get("stored", 0) >= tenth, "the first tenth"
            )
            first = read_state(cluster.broker).counters["stored"]
            end = cluster.waits_for(lambda state: state.counters["stored"] >= 9 * tenth, "all but a tenth")
            return (read_state(cluster.broker).counters["stored"] - first) / (end - begin)

    return _gain(
        "converting and storing",
        "rows/s",
        stored,
        scale,
        f"{len(rows):,} quotes wait in the broker; between a tenth and nine tenths of them. Workers, broker and "
        "PostgreSQL share this machine's processors: what more than one has to give, two cannot take",
    )


def _gain(what: str, unit: str, measure: Callable[[int], float], scale: Scale, note: str) -> Figure:
    ones, twos = [], []
    for _ in range(max(1, scale.runs // 2)):
        ones.append(measure(1))
        twos.append(measure(2))
    return Figure(
        "broker",
        f"{what}, 2 worker processes",
        unit,
        Spread.of(twos),
        _EQUAL_WORKERS,
        {"1 worker process": Spread.of(ones)},
        ratio=Spread.pairwise(twos, ones),
        ratio_name="2 processes : 1",
        note=note,
    )
