"""Writing: price rows in batches, the list of constituents, and the symbols asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import psycopg

from sp500tui.domain import Constituent
from sp500tui.storage.connection import Connection, failure
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.repetition import repeated
from sp500tui.storage.rows import parameters
from sp500tui.storage.transaction import run, run_raw


def insert(connection: Connection, payload: bytes) -> int:
    """Store one batch in one atomic statement; returns how many of its rows were new.

    When it returns, the rows are committed. When it raises, none is, or, where the connection broke, all may be:
    sending the batch again is harmless. One thread at a time may use the connection.

    Raises:
        DatabaseError: with its SQLSTATE, for `is_transient` and `is_bad_row`.
    """
    columns = parameters(payload)
    try:
        return repeated(lambda: run_raw(connection, "insert_prices", columns))
    except psycopg.Error as error:
        raise failure("the database did not store a batch", error) from None


def upsert_constituents(
    connection: Connection, constituents: Iterable[Constituent], seen_at: datetime
) -> None:
    """Record the list of constituents as seen at `seen_at`; a known one keeps its first_seen.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    listed = sorted({(one.symbol, one.cik): one for one in constituents}.items())
    columns = ("symbol", "cik", "name", "sector", "sub_industry", "headquarters", "founded", "date_added")
    values: dict[str, object] = {column: [getattr(one, column) for _, one in listed] for column in columns}
    _store(connection, "upsert_constituents", {**values, "seen_at": seen_at})


def note_symbols(connection: Connection, symbols: Iterable[str]) -> None:
    """Record the symbols that prices are asked for, listed or not.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    _store(connection, "note_symbols", {"symbols": sorted(set(symbols))})


def _store(connection: Connection, query: str, values: Mapping[str, object]) -> None:
    try:
        repeated(lambda: run(connection, QUERIES[query], values))
    except psycopg.Error as error:
        raise failure("the database did not store the list of constituents", error) from None
