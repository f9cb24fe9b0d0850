"""Ordering and idempotency: batches that arrive twice and in any order."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Measured, Needs, Source, Value, number
from sp500tui.lessons.sample_rows import sample_row
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.queue import MemoryQueue, QueueClosedError
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.storage.batch_codec import encode
from sp500tui.storage.connection import connect
from sp500tui.storage.reads import latest_since, price_keys
from sp500tui.storage.writes import insert

_SYMBOLS = 50
_PRICES = 20
"""Prices of each symbol."""
_BATCH = 50
_WRITERS = 2
_SEED = 500
_LIMIT = 30.0

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

Batch = Sequence[ConvertedQuote]


class _Delivery:
    """Writers that insert the batches of a queue, and the order in which the rows arrived."""

    def __init__(self, url: str, batches: Sequence[Batch]) -> None:
        self.sent = 0
        self.last_arrival: dict[str, ConvertedQuote] = {}
        """The rows of a table in which each row replaces the previous one of its symbol."""
        self._url = url
        self._lock = threading.Lock()
        self._queue: MemoryQueue[Batch] = MemoryQueue(len(batches))
        self._queue.put(batches)
        self._queue.close()
        self.errors: list[BaseException] = []
        self._threads = [
            ServiceThread(f"lesson-writer-{n}", self._write, attempts=1, on_failure=self.errors.append)
            for n in range(1, _WRITERS + 1)
        ]

    def _write(self) -> None:
        with connect(self._url, application_name="sp500tui lesson") as connection:
            while True:
                try:
                    lease = self._queue.take(1)
                except QueueClosedError:
                    return
                if lease is None:
                    return
                (batch,) = lease.items
                try:
                    insert(connection, encode(batch))
                except BaseException:
                    # The other writer waits as long as a batch is leased.
                    lease.release()
                    raise
                with self._lock:
                    self.sent += len(batch)
                    self.last_arrival |= {row.quote.symbol: row for row in batch}
                lease.ack()

    def run(self, bench: Bench) -> None:
        for thread in self._threads:
            thread.start()
        for _ in range(int(_LIMIT / 0.05)):
            if not any(thread.is_alive() for thread in self._threads):
                break
            bench.sleep(0.05)
        if self.errors:
            raise LessonError(f"the rows could not be written: {self.errors[0]}")


def shuffled_batches(rng: random.Random) -> list[Batch]:
    """All prices of all symbols in random order, in batches of which each is there twice."""
    rows = [sample_row(f"S{symbol}", price) for symbol in range(_SYMBOLS) for price in range(_PRICES)]
    rng.shuffle(rows)
    batches: list[Batch] = []
    for start in range(0, len(rows), _BATCH):
        batches += [rows[start : start + _BATCH]] * 2
    rng.shuffle(batches)
    return batches


def _measure(bench: Bench) -> dict[str, Value]:
    batches = shuffled_batches(random.Random(_SEED))  # noqa: S311  # not for secrets
    with bench.database() as url:
        bench.report(f"{_WRITERS} writers store {len(batches)} batches, each twice and in random order")
        delivery = _Delivery(url, batches)
        delivery.run(bench)
        with connect(url, application_name="sp500tui lesson") as connection:
            rows, keys = price_keys(connection, _EARLIEST)
            latest = {row.quote.symbol: row.quote.price for row in latest_since(connection, _EARLIEST).rows}
    newest = {f"S{symbol}": sample_row(f"S{symbol}", _PRICES - 1).quote.price for symbol in range(_SYMBOLS)}
    return {
        "rows_sent": delivery.sent,
        "rows_stored": rows,
        "rows_twice": rows - keys,
        "symbols": _SYMBOLS,
        "wrong_by_arrival": sum(delivery.last_arrival[each].quote.price != newest[each] for each in newest),
        "wrong_by_time": sum(latest.get(each) != newest[each] for each in newest),
    }


def _effect(measured: Measured) -> bool:
    return (
        number(measured, "rows_sent") == 2 * number(measured, "rows_stored") > 0
        and number(measured, "rows_twice") == 0
        and number(measured, "wrong_by_time") == 0
        and number(measured, "wrong_by_arrival") > 0
    )


LESSON = Lesson(
    name="ordering",
    title="Ordering and idempotency",
    question=(
        "Two writers store 1,000 prices in random order, and every batch twice, as after a restart. Which price of "
        "each symbol does the database report as the latest, and how many rows does it hold?"
    ),
    answers=(
        "the price that arrived last; 2,000 rows",
        "the price that arrived last; 1,000 rows",
        "the price with the latest trade time; 1,000 rows",
    ),
    correct=2,
    change=(
        "1,000 prices of 50 symbols are shuffled into 20 batches; two writers insert each batch twice, in random "
        "order, into a database of its own."
    ),
    claim=(
        "Half of the rows sent are stored, no key is there twice, and the latest price of every symbol is right, "
        "although that of the last arrival is not."
    ),
    why=(
        "Several writers commit in any order, and a batch whose commit was not confirmed is sent again. So the "
        "order of arrival means nothing here: the key (symbol, trade time) makes a row that comes twice the same "
        "row, and the latest price is found by the trade time that the exchange gave it."
    ),
    source=(
        Source("storage/writes.py", "insert"),
        Source("pipeline/core/latest_prices.py", "LatestPrices.update"),
    ),
    figures=(
        Figure("rows_sent", "rows sent"),
        Figure("rows_stored", "rows stored"),
        Figure("rows_twice", "rows whose key is there twice"),
        Figure("symbols", "symbols"),
        Figure("wrong_by_arrival", "wrong latest prices by the order of arrival"),
        Figure("wrong_by_time", "wrong latest prices in the view latest_prices"),
    ),
    measure=_measure,
    effect=_effect,
    needs=Needs.DATABASE,
)
