"""Brings the prices that other nodes stored to this node's board, so that every face shows all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg

from sp500tui.errors import DatabaseError
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.service_thread import FOREVER, ServiceThread
from sp500tui.storage.connection import connect
from sp500tui.storage.reads import latest_since
from sp500tui.storage.transaction import Connection

_log = logging.getLogger(__name__)

_ROUND = 1.0
"""Seconds between two looks at the database, where anything was stored."""
_OVERLAP = timedelta(seconds=10)
"""A commit becomes visible later than the moment its rows bear."""


class PriceFeed:
    """One thread, one connection, only in nodes with a face.

    An unforeseen error is retried without end: the prices of this node itself are shown all the same.
    """

    def __init__(self, latest_prices: LatestPrices, url: Callable[[], str]) -> None:
        self._board = latest_prices
        self._url = url
        self._news = threading.Event()
        self._stored = -1
        self._since = datetime.min.replace(tzinfo=UTC)
        self._connection: Connection | None = None
        self._announced = ""
        self.thread = ServiceThread("price-feed", self._step, finished=self._disconnect)

    def stored(self, rows: int) -> None:
        """So many rows have been stored by all nodes; more than the last time makes it look."""
        if rows != self._stored:
            self._stored = rows
            self._news.set()
            self.thread.wake()

    def _step(self) -> float:
        """Read what is new; returns after how many seconds to look again."""
        if not self._news.is_set():
            return FOREVER
        self._news.clear()
        try:
            self._poll()
            self._announced = ""
        except DatabaseError as error:
            self._disconnect()
            self._news.set()
            if self._announced != str(error):
                self._announced = str(error)
                _log.warning("prices of other nodes are not shown for now: %s", error)
        except Exception:
            self._disconnect()
            self._news.set()
            raise
        # However often rows are stored, the database is not asked more often than that.
        self.thread.wait(_ROUND)
        return 0.0

    def _poll(self) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url(), application_name="sp500tui prices", read_only=True)
        latest = latest_since(self._connection, self._since)
        self._board.update(latest.rows)
        if latest.stored_at is not None:
            self._since = latest.stored_at - _OVERLAP

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def close(self) -> None:
        """End the thread."""
        self.thread.stop()
