"""A connection for each row: what connecting costs."""

from __future__ import annotations

from itertools import count

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, Measured, Needs, Source, Value, ratio
from sp500tui.lessons.sample_rows import sample_rows
from sp500tui.lessons.side_by_side import median_seconds
from sp500tui.storage.batch_codec import encode
from sp500tui.storage.connection import connect
from sp500tui.storage.writes import insert

_MIN_RATIO = 2.0
_NAME = "sp500tui lesson"


def _measure(bench: Bench) -> dict[str, Value]:
    numbers = count()
    with bench.database() as url, connect(url, application_name=_NAME) as kept:

        def write_on_a_new_connection() -> None:
            with connect(url, application_name=_NAME) as connection:
                insert(connection, encode(sample_rows(next(numbers), 1)))

        def write_on_the_kept_connection() -> None:
            insert(kept, encode(sample_rows(next(numbers), 1)))

        bench.report("a new connection for a row, and one that is kept, in turns")
        seconds = median_seconds(
            {"new": write_on_a_new_connection, "kept": write_on_the_kept_connection},
            between=lambda: bench.sleep(0.0),
        )
    return {
        "connection_a_row_rows_per_second": 1 / seconds["new"],
        "one_connection_rows_per_second": 1 / seconds["kept"],
        "ratio": seconds["new"] / seconds["kept"],
    }


def _effect(measured: Measured) -> bool:
    return ratio(measured, "one_connection_rows_per_second", "connection_a_row_rows_per_second") >= _MIN_RATIO


LESSON = Lesson(
    name="connections",
    title="A connection for each row",
    question=(
        "A program opens a new database connection for every row, stores it, commits and disconnects. How much "
        "faster is the same program if it keeps its connection, still with a commit for every row?"
    ),
    answers=(
        "hardly: the commit takes most of the time",
        "by a tenth or two",
        "at least twice as fast, usually ten times or more",
    ),
    correct=2,
    change=(
        "Rows are stored one by one in a database of its own, on a new connection and on one that is kept, in "
        "turns; the medians of up to forty rounds are compared."
    ),
    claim=f"On a kept connection at least {_MIN_RATIO:g} times as many rows a second are stored.",
    why=(
        "For every connection PostgreSQL starts a process, which authenticates the user and loads its caches before "
        "the first statement; with TLS and a network between them it costs several round trips more. A writer of "
        "the pipeline connects once and keeps the connection until it breaks."
    ),
    source=(
        Source("storage/connection.py", "KeptConnection.get"),
        Source("storage/connection.py", "connect"),
    ),
    figures=(
        Figure("connection_a_row_rows_per_second", "a connection for each row", "rows/s"),
        Figure("one_connection_rows_per_second", "one connection for all rows", "rows/s"),
        Figure("ratio", "times as many", "×", 1),
    ),
    measure=_measure,
    effect=_effect,
    needs=Needs.DATABASE,
)
