"""The screens' way to the stored data: one connection of their own, used on background threads only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from sp500tui.errors import DatabaseError

if TYPE_CHECKING:
    from sp500tui.storage.reads import LatestTrade, PricePoint, Statistics, StoredRow
    from sp500tui.storage.transaction import Connection

T = TypeVar("T")
_STATEMENT_TIMEOUT = 5.0
_CONNECT_TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class StoredSymbol:
    """What the database holds of one symbol."""

    symbol: str
    points: Sequence[PricePoint]
    """Oldest first."""
    rows: Sequence[StoredRow]
    """Newest first."""


@dataclass(frozen=True, slots=True)
class StoredAll:
    """What the database holds of all symbols, and how its server does."""

    statistics: Statistics
    newest: LatestTrade
    rows: Sequence[StoredRow]
    """Newest first."""


class PriceReader(Protocol):
    """What a screen asks; every call may take seconds and raises DatabaseError."""

    def read_symbol(self, symbol: str, since: datetime, points: int, rows: int) -> StoredSymbol:
        """The stored prices of a symbol from `since` on, thinned to `points`, and its newest rows."""

    def read_overview(self, rows: int) -> StoredAll:
        """The figures of the server and the newest rows."""

    def close(self) -> None:
        """Close the connection; every later call raises DatabaseError."""


class PostgresReader:
    """Reads PostgreSQL; after a failure the next call opens a new connection.

    Args:
        url: Gives the database's address, None while there is none yet.
    """

    def __init__(self, url: Callable[[], str | None]) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False

    def read_symbol(self, symbol: str, since: datetime, points: int, rows: int) -> StoredSymbol:
        """See `PriceReader.of_symbol`."""
        from sp500tui.storage.reads import history, last_rows

        return self._ask(
            lambda connection: StoredSymbol(
                symbol, history(connection, symbol, since, points), last_rows(connection, symbol, rows)
            )
        )

    def read_overview(self, rows: int) -> StoredAll:
        """See `PriceReader.of_all`."""
        from sp500tui.storage.reads import last_rows, latest_trade, statistics

        return self._ask(
            lambda connection: StoredAll(
                statistics(connection), latest_trade(connection), last_rows(connection, None, rows)
            )
        )

    def close(self) -> None:
        """See `PriceReader.close`."""
        # Set before the lock is taken: a call that waits for the lock must not open another connection.
        self._closed = True
        with self._lock:
            self._drop()

    def _ask(self, question: Callable[[Connection], T]) -> T:
        with self._lock:
            if self._closed:
                raise DatabaseError("the stored prices are not read any more: this screen was closed")
            try:
                return question(self._connected())
            except BaseException:
                self._drop()
                raise

    def _connected(self) -> Connection:
        from sp500tui.storage.connection import connect

        url = self._url()
        if url is None:
            raise DatabaseError("the database is not open yet; it is asked again in a moment")
        if self._connection is None:
            self._connection = connect(
                url,
                application_name="sp500tui dashboard",
                connect_timeout=_CONNECT_TIMEOUT,
                statement_timeout=_STATEMENT_TIMEOUT,
                read_only=True,
            )
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
