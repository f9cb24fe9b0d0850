"""Exported rows are those of the table: any text, any number and any time, in every format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sp500tui.errors import DatabaseError
from sp500tui.storage.export import rows
from sp500tui.storage.export.json_lines import json_blocks
from sp500tui.storage.export.rows import ColumnType, Dataset, Selection, csv_blocks
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.transaction import Connection

WINDOW = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
EASY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)

TEXTS = (
    *(
        "",
        "NaN",
        "Infinity",
        "null",
        "\\N",
        "\\\\N",
        ":\\N",
        '":\\N,"',
        "=1+1",
        "-1",
        "'",
        '"',
        "a,b",
        "two\nlines",
    ),
    *("\r", "\t", "\\", "\\t", "\x01\x1f\x7f", "\b\f\v", "\\.", "日本", "\ufeffx", "🚀", " ", "\u2028"),
)
FINITE = (
    "0",
    "-0.00",
    "225.4199981689453",
    "1E+5",
    "1E-18",
    "100.00",
    "-1.50",
    "9876543210987654321.123456789",
)
OTHERS = ("NaN", "Infinity", "-Infinity", "1E-40", "12345678901234567890123456789012345678901.5")
FORMULA_STARTS = set("=+-@|%\t\r\n")
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(TEXTS)
finite = st.decimals(-(10**9), 10**9, places=18) | st.sampled_from(list(map(Decimal, FINITE)))
numbers = finite | st.sampled_from(list(map(Decimal, OTHERS)))
integers = st.none() | st.integers(-(2**63), 2**63 - 1)
moments = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))
"""Within the window; times that do not choose rows may be others."""
times = st.datetimes(timezones=st.just(UTC)) | moments
days = st.none() | st.dates()
ROW = (WINDOW[0], 1, None, None, "USD", None, "DKK", None, None, "REGULAR", None, WINDOW[0])
"""Values of `prices` after the symbol."""


def prices(number: st.SearchStrategy[Decimal]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Rows of `prices` without `stored_at`."""
    optional = st.none() | number
    return st.lists(
        st.tuples(
            *(
                texts,
                moments,
                number,
                optional,
                optional,
                texts,
                optional,
                texts,
                optional,
                st.none() | times,
            ),
            *(texts, integers, times),
        ),
        max_size=8,
        unique_by=lambda row: row[:2],
    )


members = st.lists(st.tuples(*[texts] * 7, days, moments, moments), max_size=8, unique_by=lambda row: row[:2])


def fill(
    connection: Connection, table: str, columns: Sequence[str], values: Sequence[tuple[Any, ...]]
) -> None:
    connection.execute(f"TRUNCATE {table}")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})", values
        )


def fill_prices(connection: Connection, values: Sequence[tuple[Any, ...]]) -> Selection:
    fill(connection, "prices", list(Dataset.QUOTES.columns)[:-1], values)
    return Selection(Dataset.QUOTES, *WINDOW)


def fill_members(connection: Connection, values: Sequence[tuple[Any, ...]]) -> Selection:
    fill(connection, "constituents", list(Dataset.CONSTITUENTS.columns), values)
    return Selection(Dataset.CONSTITUENTS, *WINDOW)


def selected(
    connection: Connection, selection: Selection, expressions: str = "exported.*"
) -> list[tuple[Any, ...]]:
    """The rows by a plain query."""
    query = QUERIES[f"export_{selection.dataset}"].partition("\n")[2]
    with connection.transaction():
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        return connection.execute(
            f"SELECT {expressions} FROM ({query}) AS exported",
            {"start": selection.start, "end": selection.end, "symbols": None, "resolution": None},
        ).fetchall()


def by_key(table: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Rows in the order of their key: exported ones are not sorted."""
    return sorted(table, key=lambda row: (row[0], row[1]))


def assert_json_is_that_of_the_server(connection: Connection, selection: Selection) -> None:
    expected = [text for (text,) in selected(connection, selection, "row_to_json(exported)::text")]
    *found, end = b"".join(json_blocks(connection, selection)).decode().split("\n")
    assert sorted(found) == sorted(expected)
    assert end == ""


class TestJson:
    @EASY
    @given(prices(numbers))
    def test_quotes_are_as_the_server_encodes_them(
        self, connection: Connection, values: list[tuple[Any, ...]]
    ) -> None:
        assert_json_is_that_of_the_server(connection, fill_prices(connection, values))

    @EASY
    @given(members)
    def test_constituents_are_as_the_server_encodes_them(
        self, connection: Connection, values: list[tuple[Any, ...]]
    ) -> None:
        assert_json_is_that_of_the_server(connection, fill_members(connection, values))

    def test_times_that_python_lacks(self, connection: Connection) -> None:
        selection = fill_prices(connection, [("A", *ROW)])
        connection.execute(
            "UPDATE prices SET fx_time = '0044-03-15 BC', fetched_at = '-infinity', stored_at = 'infinity'"
        )
        assert_json_is_that_of_the_server(connection, selection)

    @pytest.mark.parametrize("size", [1, 100, 1 << 18])
    def test_every_size_of_a_block(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        selection = fill_prices(connection, [(f"S{number}", *ROW) for number in range(50)])
        monkeypatch.setattr(rows, "BLOCK_BYTES", size)
        assert_json_is_that_of_the_server(connection, selection)

    def test_more_texts_than_are_cached(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        selection = fill_prices(connection, [(f"S{number}", *ROW) for number in range(50)])
        monkeypatch.setattr("sp500tui.storage.export.json_lines._CACHED_TEXTS", 7)
        assert_json_is_that_of_the_server(connection, selection)


def csv_rows(connection: Connection, selection: Selection) -> list[list[str]]:
    """The rows as text, with an apostrophe before what a spreadsheet would take for a formula."""
    columns = selection.dataset.columns
    return [
        [
            f"'{value}" if kind is ColumnType.TEXT and (value or "")[:1] in FORMULA_STARTS else value or ""
            for value, kind in zip(row, columns.values(), strict=True)
        ]
        for row in selected(connection, selection, ", ".join(f"{name}::text" for name in columns))
    ]


class TestCsv:
    @EASY
    @given(members)
    def test_text_round_trips(self, connection: Connection, values: list[tuple[Any, ...]]) -> None:
        selection = fill_members(connection, values)
        text = b"".join(csv_blocks(connection, selection)).decode()
        _, *found = csv.reader(io.StringIO(text, newline=""), strict=True)
        assert by_key(found) == by_key(csv_rows(connection, selection))

    @EASY
    @given(prices(numbers))
    def test_numbers_and_times_round_trip(
        self, connection: Connection, values: list[tuple[Any, ...]]
    ) -> None:
        selection = fill_prices(connection, values)
        text = b"".join(csv_blocks(connection, selection)).decode()
        names, *found = csv.reader(io.StringIO(text, newline=""), strict=True)
        assert names == list(Dataset.QUOTES.columns)
        assert by_key(found) == by_key(csv_rows(connection, selection))


class TestParquet:
    @EASY
    @given(prices(finite))
    def test_quotes_round_trip(self, connection: Connection, values: list[tuple[Any, ...]]) -> None:
        selection = fill_prices(connection, values)
        assert by_key(exported_table(connection, selection)) == by_key(selected(connection, selection))

    @EASY
    @given(members)
    def test_constituents_round_trip(self, connection: Connection, values: list[tuple[Any, ...]]) -> None:
        selection = fill_members(connection, values)
        assert by_key(exported_table(connection, selection)) == by_key(selected(connection, selection))

    def test_a_text_begins_with_a_byte_order_mark(self, connection: Connection) -> None:
        selection = fill_prices(connection, [("\ufeffX", *ROW)])
        assert exported_table(connection, selection) == selected(connection, selection)

    def test_row_groups_are_bounded(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
        selection = fill_prices(connection, [(f"S{number}", *ROW) for number in range(50)])
        monkeypatch.setattr(rows, "BLOCK_BYTES", 500)
        monkeypatch.setattr("sp500tui.storage.export.parquet._GROUP_BYTES", 2000)
        file = exported_file(connection, selection)
        assert parquet.read_metadata(file).num_row_groups > 2
        assert by_key(exported_table(connection, selection)) == by_key(selected(connection, selection))


def exported_file(connection: Connection, selection: Selection) -> io.BytesIO:
    pytest.importorskip("pyarrow", reason="needs the extra parquet")
    from sp500tui.storage.export.parquet import write_parquet

    file = io.BytesIO()
    write_parquet(connection, selection, file)
    return io.BytesIO(file.getvalue())


def exported_table(connection: Connection, selection: Selection) -> list[tuple[Any, ...]]:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    return [
        tuple(row.values()) for row in parquet.read_table(exported_file(connection, selection)).to_pylist()
    ]


class TestFailures:
    @pytest.mark.parametrize("after_blocks", [0, 1])
    def test_an_error_in_the_middle_is_reported(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch, after_blocks: int
    ) -> None:
        fill_prices(connection, [(f"S{number:03}", *ROW) for number in range(100)])
        failing = QUERIES["export_quotes"].replace(
            "SELECT symbol,", "SELECT 1 / (substr(symbol, 2)::int - 99) || symbol AS symbol,"
        )
        monkeypatch.setitem(QUERIES, "export_quotes", failing)
        monkeypatch.setattr(rows, "BLOCK_BYTES", 500)
        blocks = csv_blocks(connection, Selection(Dataset.QUOTES, *WINDOW))
        with pytest.raises(DatabaseError, match=r"the quotes could not be exported: .*division by zero"):
            list(blocks)
        assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_an_export_that_is_abandoned_leaves_the_connection_usable(self, connection: Connection) -> None:
        connection.execute(
            "INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, fetched_at) "
            "SELECT 'MANY', timestamptz '2026-05-04' + n * interval '1 s', n, 'USD', 'DKK', 'REGULAR', now() "
            "FROM generate_series(1, 20000) AS n"
        )
        blocks = json_blocks(connection, Selection(Dataset.QUOTES, *WINDOW))
        assert next(blocks).startswith(b'{"symbol":"MANY"')
        blocks.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_a_connection_that_is_lost_is_reported(self, connection: Connection, migrated_url: str) -> None:
        connection.execute(
            "INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, fetched_at) "
            "SELECT 'MANY', timestamptz '2026-05-04' + n * interval '1 s', n, 'USD', 'DKK', 'REGULAR', now() "
            "FROM generate_series(1, 20000) AS n"
        )
        blocks = csv_blocks(connection, Selection(Dataset.QUOTES, *WINDOW))
        assert [next(blocks) for _ in range(2)]
        with psycopg.connect(migrated_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(DatabaseError):
            list(blocks)
