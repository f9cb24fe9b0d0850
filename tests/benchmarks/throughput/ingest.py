"""Distinct quotes from the rows queue to the commit, compared with common ways of inserting and server-side COPY."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from sp500tui.config.settings import Settings
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.pipeline.writer.worker import WriterStage
from sp500tui.storage.batch_codec import COLUMNS, decode, encode
from sp500tui.storage.embedded.server import EmbeddedServer
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import (
    distinct_rows,
    fresh_database,
    listed_symbols,
    public_folder,
    scratch_server,
    wait_until,
)
from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres

_CYCLE = 503
_TIMEOUT = 300.0
_LIST = f"INSERT INTO prices ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
_IDEMPOTENT = _LIST + " ON CONFLICT DO NOTHING"
_EQUAL = (
    "same server, table with its primary key, rows, fsync and synchronous_commit on; an empty table and a checkpoint "
    "before every run; connections of ours open, journal on"
)


@contextmanager
def password_server() -> Iterator[TcpPostgres]:
    """A server reached by TCP with a password, like one in a container, with default durability."""
    with public_folder() as folder:
        server = TcpPostgres(folder, free_port())
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def writers(
    url: str, count: int, folder: Path
) -> Iterator[tuple[MemoryQueue[ConvertedQuote], LedgerCounters]]:
    """The production writer stage with its defaults and the journal, once each process is connected."""
    counters = LedgerCounters()
    usual = Settings()
    rows: MemoryQueue[ConvertedQuote] = MemoryQueue(usual.rows_capacity, counters.lock)
    journal = Journal(folder / "journal", counters, limit_bytes=1 << 30)
    journal.open()
    health = DatabaseHealth(lambda event: None)
    health.ready.set()
    health.record_success()
    writing = WriterStage(
        rows,
        journal,
        health=health,
        dead_letters=DeadLetters(folder / "dead-letters.jsonl"),
        latest_prices=LatestPrices(),
        end_to_end=LatencyHistogram(),
        url=lambda: url,
        batch_size=usual.write_batch,
        commit_timeout=usual.commit_timeout,
    )
    stage = WorkerPool(StageName.WRITER, writing.make_task, count, listener=lambda event: None)
    stage.start()
    try:
        wait_until(
            lambda: (
                all(worker.pid != os.getpid() for worker in stage.workers)
                and all(worker.snapshot().doing != "connects to the database" for worker in stage.workers)
            ),
            _TIMEOUT,
            "the start of the writers",
        )
        yield rows, counters
    finally:
        rows.close()
        stage.begin_shutdown()
        stage.join(30.0)
        journal.close()


def ingest(url: str, quotes: Sequence[ConvertedQuote], count: int) -> float:
    """Rows per second from the queue to the commit with a number of writers."""
    with public_folder() as folder, writers(url, count, folder) as (rows, counters):

        def feed() -> None:
            for at in range(0, len(quotes), _CYCLE):
                rows.put(quotes[at : at + _CYCLE])

        started = time.perf_counter()
        feeder = threading.Thread(target=feed)
        feeder.start()
        wait_until(
            lambda: counters.stored + counters.duplicate >= len(quotes), _TIMEOUT, "the commit of all rows"
        )
        seconds = time.perf_counter() - started
        feeder.join()
    if counters.stored != len(quotes):
        raise RuntimeError(f"stored {counters.stored} of {len(quotes)} rows")
    return len(quotes) / seconds


def _values(quotes: Sequence[ConvertedQuote]) -> list[tuple[str | None, ...]]:
    return [tuple(record[name] for name in COLUMNS) for record in decode(encode(quotes))]


def connection_a_row(url: str, quotes: Sequence[ConvertedQuote]) -> float:
    """Rows per second with a new connection, an insert and a commit for every row."""
    values = _values(quotes)
    started = time.perf_counter()
    for row in values:
        with psycopg.connect(url) as connection:
            connection.execute(_LIST, row)
    return len(values) / (time.perf_counter() - started)


def commit_a_row(url: str, quotes: Sequence[ConvertedQuote]) -> float:
    """Rows per second over one connection with a prepared insert and a commit for every row."""
    values = _values(quotes)
    with psycopg.connect(url, autocommit=True) as connection:
        started = time.perf_counter()
        for row in values:
            connection.execute(_LIST, row, prepare=True)
        return len(values) / (time.perf_counter() - started)


def executemany(url: str, quotes: Sequence[ConvertedQuote]) -> float:
    """Rows per second with an idempotent `executemany` of psycopg, with as many rows per commit as ours."""
    values = _values(quotes)
    size = Settings().write_batch
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        for at in range(0, len(values), size):
            cursor.executemany(_IDEMPOTENT, values[at : at + size])
            connection.commit()
        return len(values) / (time.perf_counter() - started)


def server_copy(url: str, source: Path, count: int) -> float:
    """Rows per second of one server-side `COPY … FROM` a file."""
    with psycopg.connect(url, autocommit=True) as connection:
        started = time.perf_counter()
        connection.execute(f"COPY prices ({', '.join(COLUMNS)}) FROM '{source}'".encode())
        return count / (time.perf_counter() - started)


def copy_file(folder: Path, quotes: Sequence[ConvertedQuote]) -> Path:
    """A file of the rows in PostgreSQL's text format."""
    path = folder / "rows.copy"
    lines = ("\t".join("\\N" if value is None else value for value in row) for row in _values(quotes))
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    path.chmod(0o644)
    return path


def once(server: EmbeddedServer | TcpPostgres, work: Callable[[str], float]) -> float:
    """One run on an empty table."""
    with fresh_database(server) as url:
        return work(url)


def run(scale: Scale) -> list[Figure]:
    """Rates with one and two writers, each run paired with one of the limit, and a connection for each row."""
    quotes = distinct_rows(scale.quotes, listed_symbols())
    few = 10 * scale.sample
    limits, ones, twos = [], [], []
    with scratch_server() as server, public_folder() as folder:
        source = copy_file(folder, quotes)
        for _ in range(scale.runs):
            limits.append(once(server, lambda url: server_copy(url, source, len(quotes))))
            twos.append(once(server, lambda url: ingest(url, quotes, 2)))
            ones.append(once(server, lambda url: ingest(url, quotes, 1)))
        slow = range(min(2, scale.runs))
        peers = {
            "commit a row": [once(server, lambda url: commit_a_row(url, quotes[: few * 5])) for _ in slow],
            "executemany": [once(server, lambda url: executemany(url, quotes[: few * 50])) for _ in slow],
        }
        limit = Spread.of(limits).median
        beside = [_beside_connections(server, "the embedded server", quotes, few, scale.runs, limit)]
    with password_server() as distant:
        beside.append(_beside_connections(distant, "TCP and a password", quotes, few, scale.runs, limit))
    note = f"{len(quotes):,} rows; peers on {few * 5:,} and up to {few * 50:,} of them"
    spreads = {name: Spread.of(rates) for name, rates in peers.items()}
    return [
        *(_beside_limit(count, rates, limits, spreads, note) for count, rates in ((1, ones), (2, twos))),
        *beside,
    ]


def _beside_connections(
    server: EmbeddedServer | TcpPostgres,
    way: str,
    quotes: Sequence[ConvertedQuote],
    few: int,
    runs: int,
    limit: float,
) -> Figure:
    """Two writers and a connection for each row alternately, both over the same transport to the same server."""
    ours, theirs = [], []
    for _ in range(runs):
        theirs.append(once(server, lambda url: connection_a_row(url, quotes[:few])))
        ours.append(once(server, lambda url: ingest(url, quotes, 2)))
    factor = Spread.pairwise(ours, theirs)
    aim = 500 * Spread.of(theirs).median
    judged = isinstance(server, TcpPostgres)
    return Figure(
        "ingest",
        f"2 writers beside a connection for each row, {way}",
        "rows/s",
        Spread.of(ours),
        _EQUAL,
        {"a connection for each row": Spread.of(theirs)},
        ratio=factor,
        ratio_name="ours : a connection for each row",
        goal="≥ 500× a connection for each row" if judged else "",
        met=factor.median >= 500 if judged else None,
        note=f"{len(quotes):,} rows beside {few:,}; 500× is {aim:,.0f} rows/s, {aim / limit:.0%} of the server-side "
        "COPY above; psycopg.connect a row is the cheapest form of it: an engine of SQLAlchemy a row costs more",
    )


def _beside_limit(
    count: int, rates: list[float], limits: list[float], peers: dict[str, Spread], note: str
) -> Figure:
    share = Spread.pairwise(rates, limits).times(100)
    return Figure(
        "ingest",
        f"queue to commit, {count} writer{'s' * (count > 1)}",
        "rows/s",
        Spread.of(rates),
        _EQUAL,
        peers,
        limit=Spread.of(limits),
        limit_name="server-side COPY FROM a file",
        ratio=share,
        ratio_name="% of the limit",
        goal="≥ 30 % of the limit" if count == 2 else "",
        met=share.median >= 30 if count == 2 else None,
        note=note,
    )
