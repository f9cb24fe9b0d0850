"""Writing: price rows in batches, and the list of constituents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import psycopg

from sp500tui.domain import Constituent
from sp500tui.storage.connection import Connection, failure
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.rows import parameters


def insert(connection: Connection, payload: bytes) -> int:
    """Store one batch in one atomic statement; returns how many of its rows were new.

    When it returns, the rows are committed. When it raises, none is, or, where the connection broke, all may be:
    sending the batch again is harmless.

    Raises:
        DatabaseError: with its SQLSTATE, for `is_transient` and `is_bad_row`.
    """
    columns = [column.decode("utf-8", "replace") for column in parameters(payload)]
    try:
        return connection.execute(QUERIES["insert_prices"], columns, prepare=True).rowcount
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
    try:
        connection.execute(QUERIES["upsert_constituents"], {**values, "seen_at": seen_at})
    except psycopg.Error as error:
        raise failure("the database did not store the list of constituents", error) from None
