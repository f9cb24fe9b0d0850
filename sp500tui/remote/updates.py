"""What a pipeline has to show since a position: the content of viewers, recordings and the browser."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from sp500tui.logs.setup import LogSource
from sp500tui.model import Constituent
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, LivePrice, Snapshot
from sp500tui.remote.wire import Position, Update

_EVENTS = 500
"""Events kept for viewers that attach later."""
_SNAPSHOT_AGE = 0.05
"""Seconds for which one snapshot answers all viewers."""


class EventBuffer:
    """The latest events of a pipeline, numbered from 1. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[PipelineEvent] = deque(maxlen=_EVENTS)
        self._last = 0

    def append(self, event: PipelineEvent) -> None:
        """Add an event; a listener of `PipelineControl.subscribe`."""
        with self._lock:
            self._last += 1
            self._events.append(event)

    def since(self, number: int) -> tuple[int, tuple[PipelineEvent, ...]]:
        """The newest number and the events after `number` that are still kept."""
        with self._lock:
            new = min(max(0, self._last - number), len(self._events))
            return self._last, tuple(islice(self._events, len(self._events) - new, None))


class UpdateSource:
    """Reads updates from a pipeline and its log. For one thread."""

    def __init__(
        self, pipeline: PipelineControl, log: LogSource, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pipeline = pipeline
        self._log = log
        self._clock = clock
        self._events = EventBuffer()
        self._snapshot: tuple[Snapshot, float] | None = None
        self._listed: ConstituentsSnapshot | None = None
        self._constituents: tuple[Constituent, ...] = ()
        self._revision = 0
        pipeline.subscribe(self._events.append)

    def since(self, position: Position, symbol: str | None = None) -> Update:
        """Everything new since `position`, and the price of `symbol`."""
        pipeline = self._pipeline
        # Before the snapshot, so that the last update of a run has the state at its end.
        ended = pipeline.join(0)
        snapshot = self._present_snapshot(renew=ended)
        self._follow_constituents(snapshot)
        version, prices = pipeline.prices_since(position.prices)
        number, lines, _ = self._log.since(position.lines)
        last_event, events = self._events.since(position.events)
        last_second, seconds = pipeline.seconds_since(position.seconds)
        return Update(
            position=Position(version, number, last_event, self._revision, last_second),
            snapshot=snapshot,
            prices=tuple(prices),
            constituents=self._constituents if position.constituents != self._revision else None,
            lines=tuple(lines),
            events=events,
            seconds=tuple(seconds),
            watched=None if symbol is None else self._price_of(symbol),
            database_url=pipeline.database_url,
            has_demo_market=pipeline.demo_market is not None,
            report=pipeline.outcome() if ended else None,
        )

    def _price_of(self, symbol: str) -> LivePrice | None:
        return self._pipeline.price_of(symbol)

    def _present_snapshot(self, *, renew: bool) -> Snapshot:
        """The last snapshot while it is recent."""
        now = self._clock()
        if renew or self._snapshot is None or now - self._snapshot[1] > _SNAPSHOT_AGE:
            self._snapshot = self._pipeline.snapshot(), now
        return self._snapshot[0]

    def _follow_constituents(self, snapshot: Snapshot) -> None:
        """Number the list anew when it has changed."""
        if snapshot.constituents == self._listed and self._constituents:
            return
        constituents = tuple(self._pipeline.constituents())
        if constituents != self._constituents:
            self._constituents = constituents
            self._revision += 1
        self._listed = snapshot.constituents
