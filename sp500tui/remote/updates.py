"""The changes of a pipeline since a position: the content of viewers, recordings and the browser."""

from __future__ import annotations

import time
from collections.abc import Callable

from sp500tui.logs.setup import LogSource
from sp500tui.model import Constituent
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, Snapshot
from sp500tui.remote.wire import Position, Update


class UpdateSource:
    """Reads updates from a pipeline and its log. Not thread-safe."""

    def __init__(
        self,
        pipeline: PipelineControl,
        log: LogSource,
        *,
        reuse: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reuse`: seconds for which one snapshot may answer several readers."""
        self._pipeline = pipeline
        self._log = log
        self._reuse = reuse
        self._clock = clock
        self._snapshot: tuple[Snapshot, float] | None = None
        self._listed: ConstituentsSnapshot | None = None
        self._constituents: tuple[Constituent, ...] = ()
        self._revision = 0

    def since(self, position: Position, symbol: str | None = None) -> Update:
        """Everything new since `position`, and the price of `symbol`."""
        pipeline = self._pipeline
        # Read before the snapshot, so that the last update of a run has its final state.
        ended = pipeline.join(0)
        snapshot = self._present_snapshot(renew=ended)
        self._follow_constituents(snapshot)
        version, prices = pipeline.prices_since(position.prices)
        number, lines, _ = self._log.since(position.lines)
        last_event, events = pipeline.events_since(position.events)
        last_second, seconds = pipeline.seconds_since(position.seconds)
        return Update(
            position=Position(version, number, last_event, self._revision, last_second),
            snapshot=snapshot,
            prices=tuple(prices),
            constituents=self._constituents if position.constituents != self._revision else None,
            lines=tuple(lines),
            events=tuple(events),
            seconds=tuple(seconds),
            watched=None if symbol is None else pipeline.price_of(symbol),
            database_url=pipeline.database_url,
            has_demo_market=pipeline.demo_market is not None,
            report=pipeline.outcome() if ended else None,
        )

    def _present_snapshot(self, *, renew: bool) -> Snapshot:
        """The last snapshot while it is recent."""
        now = self._clock()
        if renew or self._snapshot is None or now - self._snapshot[1] >= self._reuse:
            self._snapshot = self._pipeline.snapshot(), now
        return self._snapshot[0]

    def _follow_constituents(self, snapshot: Snapshot) -> None:
        """Increase the revision when the list has changed."""
        if snapshot.constituents == self._listed and self._constituents:
            return
        constituents = tuple(self._pipeline.constituents())
        if constituents != self._constituents:
            self._constituents = constituents
            self._revision += 1
        self._listed = snapshot.constituents
