"""Batch and commit: rows per second with one row per commit and with 500."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Measured, Needs, Source, Value, ratio
from sp500tui.lessons.sample_rows import sample_rows
from sp500tui.lessons.side_by_side import median_seconds
from sp500tui.pipeline.writer.client import WriterClient
from sp500tui.storage.batch_codec import encode

_BATCH = 500
"""Rows of a commit."""
_TIMEOUT = 30.0
_MIN_RATIO = 5.0


def _writing(client: WriterClient, numbers: count[int], size: int, cancelled: Callable[[], bool]) -> None:
    """Commit one batch of new rows."""
    number = next(numbers)
    payload = encode(sample_rows(number * _BATCH, size))
    answer = client.commit(number, payload, _TIMEOUT, cancelled)
    if not answer.committed:
        raise LessonError(f"the database refused a batch: {answer.message}")


def _measure(bench: Bench) -> dict[str, Value]:
    numbers = count(1)

    def cancelled() -> bool:
        return bench.cancelled

    with bench.database() as url:
        client = WriterClient(url, "lesson-writer", _TIMEOUT)
        try:
            answer = client.connect(_TIMEOUT, cancelled)
            if not answer.committed:
                raise LessonError(f"the writer could not connect: {answer.message}")
            bench.report(f"one writer process commits 1 row and {_BATCH} rows in turns")
            seconds = median_seconds(
                {
                    "single": partial(_writing, client, numbers, 1, cancelled),
                    "batched": partial(_writing, client, numbers, _BATCH, cancelled),
                },
                between=lambda: bench.sleep(0.0),
            )
        finally:
            client.close()
    single, batched = 1 / seconds["single"], _BATCH / seconds["batched"]
    return {
        "single_rows_per_second": single,
        "batched_rows_per_second": batched,
        "ratio": batched / single,
    }


def _effect(measured: Measured) -> bool:
    return ratio(measured, "batched_rows_per_second", "single_rows_per_second") >= _MIN_RATIO


LESSON = Lesson(
    name="batch",
    title="Batch and commit",
    question=(
        "A writer process stores rows on one connection: first each row with a commit of its own, then 500 rows a "
        "commit. How many times as many rows a second are the batches?"
    ),
    answers=(
        "about as many: the same rows are written",
        "about twice as many",
        "five times as many, or far more",
    ),
    correct=2,
    change=(
        "A writer process of this program writes to a database of its own, 1 row and 500 rows a commit in turns; "
        "the medians of up to forty rounds are compared."
    ),
    claim=f"Batches of 500 rows store at least {_MIN_RATIO:g} times as many rows a second.",
    why=(
        "A commit waits until its log record is on the disk, and every statement costs a round trip between three "
        "processes. A batch pays for both once. The pipeline's writers wait up to 50 ms for more rows, and take up "
        "to 1,000 in one statement."
    ),
    source=(
        Source("storage/writes.py", "insert"),
        Source("pipeline/writer/worker.py", "WriterTask._admit"),
    ),
    figures=(
        Figure("single_rows_per_second", "1 row a commit", "rows/s"),
        Figure("batched_rows_per_second", "500 rows a commit", "rows/s"),
        Figure("ratio", "times as many", "×", 1),
    ),
    measure=_measure,
    effect=_effect,
    needs=Needs.DATABASE,
)
