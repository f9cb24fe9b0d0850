"""The processor time of one quote, step by step from the socket to the commit, compared with the whole."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg

from sp500tui.config.settings import Settings
from sp500tui.model import ConvertedQuote, FetchedQuote, FxRate, Quote
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.simulator.process import DemoMarket
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.yahoo.client import YahooFinance
from sp500tui.sources.yahoo.json_values import read_json
from sp500tui.sources.yahoo.parsing import parse_quotes
from sp500tui.storage.batch_codec import encode
from sp500tui.storage.connection import connect
from sp500tui.storage.embedded.server import EmbeddedServer
from sp500tui.storage.writes import insert
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import (
    RATE,
    distinct_rows,
    fresh_database,
    listed_symbols,
    public_folder,
    scratch_server,
    wait_until,
)
from tests.benchmarks.throughput.end_to_end import pipeline, settled

_ANSWER = 50
_BATCHES = 30
"""Enough for the clock of a server process, which has a resolution of 10 ms."""
_EQUAL = (
    "processor time, not waiting: what a step waits for (network, disk, commit) costs no other quote anything; "
    "batches of the sizes the pipeline uses"
)
_Steps = dict[str, list[float]]


@contextmanager
def _timed(steps: _Steps, name: str, quotes: int) -> Iterator[None]:
    """Add the block's processor time on this thread, in microseconds per quote."""
    before = time.thread_time()
    yield
    steps.setdefault(name, []).append((time.thread_time() - before) / quotes * 1e6)


class FromSocket:
    """The production source, which keeps every body it has read, to measure the parsing separately."""

    def __init__(self, market: DemoMarket, folder: Path) -> None:
        self.bodies: list[bytes] = []
        self._yahoo = YahooFinance(
            Throttle(100_000.0, burst=100_000),
            proxy=market.proxy_url,
            ca_file=market.ca_file,
            timeout=30.0,
            cache_dir=folder,
        )
        self._symbols = listed_symbols()[:_ANSWER]
        self._yahoo.open()
        self._fetch = self._yahoo.fetch
        answer = self._yahoo._answer

        @contextmanager
        def kept(*arguments: Any) -> Iterator[tuple[bytes, float]]:
            with answer(*arguments) as (body, seconds):
                self.bodies.append(body)
                yield body, seconds

        self._yahoo._answer = kept  # type: ignore[method-assign,assignment]
        self._fetch(self._symbols)

    def measure(self, steps: _Steps) -> Sequence[Quote]:
        """One request for fifty symbols: the whole of it, and the parsing of the response."""
        with _timed(steps, "whole request", _ANSWER):
            self._fetch(self._symbols)
        body = self.bodies.pop()
        with _timed(steps, "read JSON", _ANSWER):
            answer = read_json(body)
        now = datetime.now(UTC)
        with _timed(steps, "quotes from the answer", _ANSWER):
            return parse_quotes(answer, self._symbols, (), now).quotes

    def close(self) -> None:
        """Close the session."""
        self._yahoo.close()


def through_memory(steps: _Steps, rows: Sequence[ConvertedQuote], folder: Path) -> None:
    """From the parsed quotes to the journal, as in the stages but on one thread."""
    counters = LedgerCounters()
    quotes: MemoryQueue[FetchedQuote] = MemoryQueue(1 << 20, counters.lock)
    ready: MemoryQueue[ConvertedQuote] = MemoryQueue(1 << 20, counters.lock)
    latest_prices, fx = LatestPrices(), FxRates("DKK")
    fx.update([FxRate("USD", "DKK", RATE, datetime.now(UTC))])
    fetched = [row.quote for row in rows]
    count = len(rows)

    with _timed(steps, "onto and off the quotes queue", count):
        for at in range(0, count, _ANSWER):
            quotes.put(
                [
                    FetchedQuote(quote, fetched_monotonic=1.0, fetched_by="price-1")
                    for quote in fetched[at : at + _ANSWER]
                ]
            )
        leases = [quotes.take(500) for _ in range(0, count, 500)]
    with _timed(steps, "second currency", count):
        items = [item for lease in leases if lease for item in lease.items]
        converted = [fx.convert(item) for item in items]
    with _timed(steps, "latest prices", count):
        latest_prices.update(converted)
    with _timed(steps, "onto and off the rows queue", count):
        ready.put(converted)
    journal = Journal(folder / "journal", counters, limit_bytes=1 << 30)
    journal.open()
    while lease := ready.take(Settings().write_batch, timeout=0.0):
        size = len(lease.items)
        with _timed(steps, "rows to bytes", size):
            payload = encode(lease.items)
        with _timed(steps, "journal", size):
            batch = journal.accept(lease, payload)
        assert batch is not None
        with _timed(steps, "ledger after the commit", size):
            journal.complete(batch, stored=size, dead=0)
            latest_prices.mark_written(batch.quotes, "writer-1")
    journal.close()


def into_database(steps: _Steps, server: EmbeddedServer, payloads: Sequence[bytes], rows: int) -> None:
    """The writer's statement, and the processor time of the server process for it."""
    with fresh_database(server) as url, connect(url, application_name="budget") as connection:
        backend = psutil.Process(connection.info.backend_pid)
        insert(connection, payloads[0])
        before = sum(backend.cpu_times()[:2])
        for payload in payloads[1:]:
            with _timed(steps, "writer process", rows):
                insert(connection, payload)
        spent = sum(backend.cpu_times()[:2]) - before
        steps.setdefault("PostgreSQL", []).append(spent / rows / (len(payloads) - 1) * 1e6)


def whole(url: str, market: DemoMarket, seconds: float) -> float:
    """Microseconds of processor time per quote of the running pipeline, its writers and their sessions."""
    with pipeline(url, listed_symbols(), 0.5, market) as made:
        wait_until(lambda: settled(made.snapshot()) > 1000, 60.0, "the first cycles")
        before, begun = settled(made.snapshot()), _spent(url)
        time.sleep(seconds)
        return (_spent(url) - begun) / (settled(made.snapshot()) - before) * 1e6


def _spent(url: str) -> float:
    with psycopg.connect(url) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sp500tui writer%'"
        sessions = [int(row[0]) for row in connection.execute(query).fetchall()]
    writers = [
        child.pid
        for child in psutil.Process(os.getpid()).children()
        if "sp500tui.pipeline.writer.process" in " ".join(child.cmdline())
    ]
    others = sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in (*sessions, *writers))
    return time.process_time() + others


def run(scale: Scale) -> list[Figure]:
    """Every step's share, their sum, and the pipeline as a whole."""
    steps: _Steps = {}
    size = Settings().write_batch
    wholes = []
    with scratch_server() as server, DemoMarket.start(seed=500, speed=60.0, start_at="10:00") as market:
        with public_folder() as folder:
            socket = FromSocket(market, folder)
            for _ in range(5 * scale.runs):
                socket.measure(steps)
            socket.close()
            rows = distinct_rows(size * _BATCHES, listed_symbols())
            for _ in range(scale.runs):
                through_memory(steps, rows, folder)
            payloads = [encode(rows[at : at + size]) for at in range(0, len(rows), size)]
        into_database(steps, server, payloads, size)
        for _ in range(min(3, scale.runs)):
            with fresh_database(server) as url:
                wholes.append(whole(url, market, min(8.0, scale.seconds)))
    return _figures({name: Spread.of(values) for name, values in steps.items()}, Spread.of(wholes))


def _figures(steps: dict[str, Spread], total: Spread) -> list[Figure]:
    request = steps.pop("whole request").median
    request -= steps["read JSON"].median + steps["quotes from the answer"].median
    first = {"request: yfinance, curl, TLS": Spread(request, request, request)}
    parts = {**first, **steps}
    known = sum(part.median for part in parts.values())
    rest = total.median - known
    parts["threads, timers, locks, polls of the supervisor"] = Spread(rest, rest, rest)
    return [
        Figure(
            "budget",
            "a quote from the socket to the commit",
            "µs of processor",
            total,
            _EQUAL,
            parts,
            note=f"the steps measured one by one add up to {known:.0f} µs of the {total.median:.0f} µs; "
            "503 symbols every 0.5 s",
        )
    ]
