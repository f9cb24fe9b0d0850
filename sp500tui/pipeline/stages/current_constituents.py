"""The list of constituents to fetch: loaded from Wikipedia or a fallback, and compared with the last one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sp500tui.model import Constituent, IndexChange
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, Health
from sp500tui.pipeline.stages.index_changes import ListDifference, compare
from sp500tui.pipeline.stages.source_health import Outcome, SourceWatch
from sp500tui.sources.wikipedia.client import ConstituentList

_log = logging.getLogger(__name__)

_RETRY_LIST = 60.0
"""Seconds after which Wikipedia is requested again when the list came from a fallback."""


class ListSource(Protocol):
    """A source of constituents, such as `sources.wikipedia.client.Wikipedia`."""

    def load(self) -> ConstituentList:
        """Load the list from Wikipedia or the best fallback."""


class CurrentConstituents:
    """The current list of constituents and the symbols to fetch. Thread-safe: the list is replaced as a whole."""

    def __init__(
        self,
        source: Callable[[], ListSource],
        selected: Sequence[str],
        max_age: float,
        *,
        watch: SourceWatch | None = None,
        publish: Callable[[PipelineEvent], None] = lambda _: None,
    ) -> None:
        """Create an empty list; `refresh` loads it.

        Args:
            source: returns the source of the list.
            selected: symbols to fetch instead of the whole list; empty for all.
            max_age: seconds after which the list is loaded again.
            watch: reports when the list comes from a fallback, once per outage.
            publish: receives an event when the list changes.
        """
        self._watch = watch
        self._publish = publish
        self._source = source
        self._selected = tuple(selected)
        self._max_age = max_age
        self._due = 0.0
        self._lock = threading.Lock()
        self.listed: tuple[Constituent, ...] = ()
        self._last_confirmed: tuple[Constituent, ...] = ()
        """Wikipedia's own list, with which the next one is compared: a fallback may be older."""
        self.changes: tuple[IndexChange, ...] = ()
        """The changes that Wikipedia lists, newest first."""
        self.confirmed = False
        """Whether the list is Wikipedia's own, not a fallback."""
        self.revision = 0
        """Number of lists loaded so far."""
        self._snapshot = ConstituentsSnapshot(message="loading the list of constituents")

    def refresh(self) -> None:
        """Load the list again if it is too old."""
        revision = self.revision
        if time.monotonic() < self._due:
            return
        # Without the lock: a request that hangs must not block the next one.
        found = self._source().load()
        with self._lock:
            if self.revision != revision:
                return  # a later request was faster
            fresh = found.origin == "wikipedia"
            self._due = time.monotonic() + (self._max_age if fresh else min(_RETRY_LIST, self._max_age))
            before = self._last_confirmed or found.previous
            if fresh:
                self._last_confirmed = found.constituents
            self.listed, self.changes, self.confirmed = found.constituents, found.changes, fresh
            self.revision += 1
            self._snapshot = ConstituentsSnapshot(
                Health.OK if fresh else Health.DEGRADED,
                found.warning,
                len(found.constituents),
                found.origin,
                found.date,
            )
        # Outside the lock: logging and listeners may block.
        self._report(found)
        if fresh and before:
            self._report_difference(compare(before, found.constituents))

    def _report_difference(self, difference: ListDifference) -> None:
        if difference:
            message = f"the index changed: {difference}"
            self._publish(PipelineEvent(EventKind.INDEX_CHANGED, message, logging.WARNING, datetime.now(UTC)))

    def _report(self, found: ConstituentList) -> None:
        if not found.warning:
            _log.info("the list has %d constituents, from Wikipedia", len(found.constituents))
            if self._watch is not None:
                self._watch.record_response()
        elif self._watch is None:
            _log.warning("%s", found.warning)
        else:
            symbols = self._selected or [constituent.symbol for constituent in found.constituents]
            self._watch.record(Outcome.FAILED, found.warning, symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols to fetch, as listed."""
        return self._selected or tuple(constituent.symbol for constituent in self.listed)

    def constituents(self) -> tuple[Constituent, ...]:
        """The constituents to fetch; a selected symbol that is not on the list has a record without details."""
        if not self._selected:
            return self.listed
        known = {constituent.symbol: constituent for constituent in self.listed}
        return tuple(
            known.get(symbol) or Constituent(symbol, "", "", "", "", None, "", "")
            for symbol in self._selected
        )

    def snapshot(self) -> ConstituentsSnapshot:
        """Origin and health of the list."""
        return self._snapshot
