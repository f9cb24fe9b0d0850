"""kill -9 of writers: every row is nevertheless stored exactly once."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Measured, Source, Value, number
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot, WorkerState
from sp500tui.storage.connection import connect
from sp500tui.storage.reads import latest_since, price_keys, statistics
from sp500tui.storage.transaction import Connection

_KILLS = 4
_INTERVAL = 0.3
_WRITERS = 2
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_AIM_LIMIT = 2.0
"""Seconds to wait for a writer that holds a batch; afterwards an idle one is killed."""


def _measure(bench: Bench) -> dict[str, Value]:
    bench.scale(StageName.WRITER, _WRITERS)
    before = bench.settle()
    since = _server_time(bench)
    bench.pipeline.set_interval(_INTERVAL)
    for kill in range(_KILLS):
        bench.report(f"kill -9 of a writer, {kill + 1} of {_KILLS}")
        before_kill = _restarts(bench.pipeline.snapshot())
        _kill_one(bench)
        _await_restart(bench, before_kill)
    bench.report("waiting until everything is stored")
    after = bench.settle()
    fetched = after.ledger.fetched - before.ledger.fetched
    stored = after.ledger.stored - before.ledger.stored
    duplicate = after.ledger.duplicate - before.ledger.duplicate
    dead = after.ledger.dead - before.ledger.dead
    with _connect(bench) as connection:
        rows, keys = price_keys(connection, since)
        missing = _missing(bench, connection)
    return {
        "killed": _KILLS,
        "restarts": _restarts(after) - _restarts(before),
        "fetched": fetched,
        "stored": stored,
        "duplicate": duplicate,
        "lost": fetched - stored - duplicate - dead,
        "rows_added": rows,
        "rows_twice": rows - keys,
        "latest_missing": missing,
    }


def _missing(bench: Bench, connection: Connection) -> int:
    """How many of the latest fetched quotes are not in the table."""
    stored = {row.quote.symbol: row.quote.quote_time for row in latest_since(connection, _EARLIEST).rows}
    _, prices = bench.pipeline.prices_since(0)
    quotes = [price.row.quote for price in prices]
    return sum(stored.get(quote.symbol, _EARLIEST) < quote.quote_time for quote in quotes)


def _restarts(seen: Snapshot) -> int:
    return seen.stage(StageName.WRITER).restarts


def _await_restart(bench: Bench, restarts: int) -> None:
    bench.wait_until(lambda seen: _restarts(seen) > restarts, "restart of the writer")


def _kill_one(bench: Bench) -> None:
    """Kill a writer process, if possible one that holds a batch."""
    deadline = time.monotonic() + _AIM_LIMIT
    while True:
        seen = bench.pipeline.snapshot()
        aimed = _holding_a_batch(seen)
        if aimed and bench.pipeline.kill_worker(aimed):
            return
        if time.monotonic() > deadline:
            break
        bench.sleep(0.001)
    for worker in bench.pipeline.snapshot().workers:
        if worker.stage is StageName.WRITER and bench.pipeline.kill_worker(worker.name):
            return
    raise LessonError("no writer has a process to kill; try again")


def _holding_a_batch(seen: Snapshot) -> str:
    return next(
        (
            worker.name
            for worker in seen.workers
            if worker.stage is StageName.WRITER
            and worker.state is WorkerState.DATABASE
            and worker.work_seconds is not None
        ),
        "",
    )


def _connect(bench: Bench) -> Connection:
    url = bench.pipeline.database_url
    if url is None:
        raise LessonError("the database is not open yet; try again in a moment")
    return connect(url, application_name="sp500tui lesson", read_only=True)


def _server_time(bench: Bench) -> datetime:
    with _connect(bench) as connection:
        return statistics(connection).taken_at


def _effect(measured: Measured) -> bool:
    return (
        number(measured, "restarts") >= number(measured, "killed") >= 1
        and number(measured, "lost")
        == number(measured, "rows_twice")
        == number(measured, "latest_missing")
        == 0
        and 0 < number(measured, "rows_added") <= number(measured, "fetched")
        # A commit that a killed process could not confirm: its rows are stored, and count as duplicates when resent.
        and number(measured, "rows_added") >= number(measured, "stored")
    )


LESSON = Lesson(
    name="kill-writer",
    title="kill -9 and exactly-once rows",
    question=(
        "While prices are stored, four writer processes are killed with SIGKILL, most of them in the middle of a "
        "commit. What is in the database afterwards?"
    ),
    answers=("some rows are missing", "some rows are stored twice", "every row exactly once"),
    correct=2,
    change=(
        "A cycle starts every 0.3 s; four times a writer process that holds a batch gets SIGKILL. Then the rows of "
        "the table are compared with the quotes that were fetched."
    ),
    claim="No quote is lost, the latest quote of every symbol is in the table, and no key is there twice.",
    why=(
        "The parent keeps each batch in its journal until the commit is confirmed, and gives the batch of a dead "
        "process to another writer: at least once. The primary key (symbol, quote time) and ON CONFLICT DO NOTHING "
        "make the second insert of a row harmless: at most once. Together: exactly once."
    ),
    source=(
        Source("pipeline/writer/worker.py", "WriterTask._write"),
        Source("pipeline/journal/journal.py", "Journal.complete"),
        Source("storage/writes.py", "insert"),
    ),
    figures=(
        Figure("killed", "writer processes killed"),
        Figure("restarts", "writers restarted"),
        Figure("fetched", "quotes fetched"),
        Figure("stored", "rows counted as stored"),
        Figure("duplicate", "rows that were stored before"),
        Figure("lost", "quotes lost"),
        Figure("rows_added", "rows added to the table, unconfirmed commits included"),
        Figure("rows_twice", "rows whose key is there twice"),
        Figure("latest_missing", "latest quotes that are not in the table"),
    ),
    measure=_measure,
    effect=_effect,
)
