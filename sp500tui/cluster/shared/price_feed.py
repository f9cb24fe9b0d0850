"""Copies prices stored by other nodes to this node's latest prices, so that every front end shows all of them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sp500tui.errors import DatabaseError
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.service_thread import FOREVER, ServiceThread
from sp500tui.storage.connection import KeptConnection, connect
from sp500tui.storage.reads import latest_since

_log = logging.getLogger(__name__)

_MIN_INTERVAL = 1.0
"""Shortest time in seconds between two queries of the database."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_FULL_INTERVAL = 60.0
"""Seconds after which all latest prices are read again: a server whose clock was set back stores rows in the past."""


class PriceFeed:
    """A thread with a database connection, in nodes with a front end.

    Unexpected errors are retried without limit; prices of this node are shown without the feed.
    """

    def __init__(self, latest_prices: LatestPrices, url: Callable[[], str], *, overlap: float) -> None:
        """`overlap`: seconds that a row may become visible, at its commit, after its `stored_at`."""
        self._latest_prices = latest_prices
        self._overlap = timedelta(seconds=overlap)
        self._changed = threading.Event()
        self._stored = -1
        self._since = _BEGINNING
        self._full_due = -math.inf
        """Monotonic time after which all latest prices are read again."""
        self._connection = KeptConnection(
            lambda: connect(url(), application_name="sp500tui prices", read_only=True)
        )
        self._last_warning = ""
        self.thread = ServiceThread("price-feed", self._step, on_exit=self._connection.close)

    def stored(self, rows: int) -> None:
        """Query the database soon if the number of rows stored by all nodes has changed."""
        if rows != self._stored:
            self._stored = rows
            self._changed.set()
            self.thread.wake()

    def _step(self) -> float:
        """Read new prices if there are any; returns the seconds until the next step."""
        if not self._changed.is_set():
            return FOREVER
        self._changed.clear()
        try:
            self._poll()
            self._last_warning = ""
        except DatabaseError as error:
            self._connection.close()
            self._changed.set()
            if self._last_warning != str(error):
                self._last_warning = str(error)
                _log.warning("cannot read the prices of other nodes, retrying: %s", error)
        except Exception:
            self._connection.close()
            self._changed.set()
            raise
        # Limits the query rate however often rows are stored.
        self.thread.wait(_MIN_INTERVAL)
        return 0.0

    def _poll(self) -> None:
        connection = self._connection.get()
        now = time.monotonic()
        if now >= self._full_due:
            self._since, self._full_due = _BEGINNING, now + _FULL_INTERVAL
        latest = latest_since(connection, self._since)
        self._latest_prices.update(latest.rows)
        if latest.stored_at is not None:
            self._since = latest.stored_at - self._overlap

    def close(self) -> None:
        """Stop the thread."""
        self.thread.stop()
