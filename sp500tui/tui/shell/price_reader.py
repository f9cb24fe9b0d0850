"""Reads stored prices for the screens, on a separate connection and on background threads only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from sp500tui.errors import DatabaseError

if TYPE_CHECKING:
    from sp500tui.storage.history.candles import StoredCandles
    from sp500tui.storage.reads import LatestTrade, PricePoint, Statistics, StoredRow
    from sp500tui.storage.transaction import Connection

T = TypeVar("T")
_STATEMENT_TIMEOUT = 5.0
_CONNECT_TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class StoredSymbol:
    """The stored prices of one symbol."""

    symbol: str
    points: Sequence[PricePoint]
    """Oldest first."""
    rows: Sequence[StoredRow]
    """Newest first."""


@dataclass(frozen=True, slots=True)
class StoredOverview:
    """Statistics of the server and the latest rows of all symbols."""

    statistics: Statistics
    newest: LatestTrade
    rows: Sequence[StoredRow]
    """Newest first."""


class PriceReader(Protocol):
    """The queries of the screens; a call may take seconds and raises DatabaseError."""

    def read_symbol(self, symbol: str, since: datetime, points: int, rows: int) -> StoredSymbol:
        """The prices of a symbol since `since`, downsampled to `points`, and its newest rows."""

    def read_candles(self, symbol: str, days: int | None, now: datetime, most: int) -> StoredCandles:
        """At most `most` candles of the last calendar days, or of everything stored."""

    def read_overview(self, rows: int) -> StoredOverview:
        """Statistics of the server and the newest rows."""

    def close(self) -> None:
        """Close the connection; every later call raises DatabaseError."""


class PostgresReader:
    """Reads from PostgreSQL; after an error the next call opens a new connection.

    Args:
        url: Returns the URL of the database, or None before it is open.
    """

    def __init__(self, url: Callable[[], str | None]) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False

    def read_symbol(self, symbol: str, since: datetime, points: int, rows: int) -> StoredSymbol:
        """See `PriceReader.read_symbol`."""
        from sp500tui.storage.reads import history, last_rows

        return self.query(
            lambda connection: StoredSymbol(
                symbol, history(connection, symbol, since, points), last_rows(connection, symbol, rows)
            )
        )

    def read_candles(self, symbol: str, days: int | None, now: datetime, most: int) -> StoredCandles:
        """See `PriceReader.read_candles`."""
        from sp500tui.storage.history.candles import read_candles

        return self.query(lambda connection: read_candles(connection, symbol, days, now, most))

    def read_overview(self, rows: int) -> StoredOverview:
        """See `PriceReader.read_overview`."""
        from sp500tui.storage.reads import last_rows, latest_trade, statistics

        return self.query(
            lambda connection: StoredOverview(
                statistics(connection), latest_trade(connection), last_rows(connection, None, rows)
            )
        )

    def close(self) -> None:
        """See `PriceReader.close`."""
        # Set before taking the lock, so that a call waiting for it opens no other connection.
        self._closed = True
        with self._lock:
            self._disconnect()

    def query(self, run: Callable[[Connection], T]) -> T:
        """Call `run` with the connection, which is opened on first use and closed after an error."""
        with self._lock:
            if self._closed:
                raise DatabaseError("the reader is closed")
            try:
                return run(self._connected())
            except BaseException:
                self._disconnect()
                raise

    def _connected(self) -> Connection:
        from sp500tui.storage.connection import connect
        from sp500tui.storage.transaction import has_ended

        url = self._url()
        if url is None:
            raise DatabaseError("the database is not open yet; the next attempt follows shortly")
        if self._connection is not None and has_ended(self._connection):
            self._disconnect()
        if self._connection is None:
            self._connection = connect(
                url,
                application_name="sp500tui dashboard",
                connect_timeout=_CONNECT_TIMEOUT,
                statement_timeout=_STATEMENT_TIMEOUT,
                read_only=True,
            )
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
