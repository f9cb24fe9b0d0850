"""Polls the pipeline and the log for changes since the last refresh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sp500tui.model import Constituent
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, LivePrice, Snapshot
from sp500tui.tui.recent_seconds import RecentSeconds

if TYPE_CHECKING:
    from sp500tui.logs.setup import LogLine, LogSource


@dataclass(frozen=True, slots=True)
class Update:
    """Everything new since the last refresh."""

    now: datetime
    """UTC."""
    snapshot: Snapshot
    prices: Sequence[LivePrice]
    constituents: Sequence[Constituent] | None
    """The list if it changed."""
    lines: Sequence[LogLine]


class PipelineFeed:
    """Keeps the position read in each stream. Until the pipeline is open, it returns the starting snapshot."""

    def __init__(
        self, starting: Callable[[], Snapshot], log: LogSource, clock: Callable[[], datetime]
    ) -> None:
        self.pipeline: PipelineControl | None = None
        """Set once the pipeline is open."""
        self.recent_seconds = RecentSeconds()
        """The last seconds, up to the last poll."""
        self.before_faults: Snapshot | None = None
        """The last snapshot without faults of the demo market; None before the first one."""
        self._starting = starting
        self._log = log
        self._clock = clock
        self._version = 0
        self._seq = 0
        self._list: ConstituentsSnapshot | None = None
        self._empty = True

    def show(self, pipeline: PipelineControl, log: LogSource) -> None:
        """Read another pipeline, such as a recording, or another time, from the beginning."""
        self.pipeline, self._log = pipeline, log
        self.recent_seconds = RecentSeconds()
        self._version = self._seq = 0
        self._list, self._empty = None, True

    def poll(self) -> Update:
        """Read everything that is new."""
        self._seq, lines, _ = self._log.since(self._seq)
        pipeline = self.pipeline
        if pipeline is None:
            return Update(self._clock(), self._starting(), (), None, lines)
        snapshot = pipeline.snapshot()
        self.recent_seconds.extend(pipeline.seconds_since(self.recent_seconds.second)[1])
        constituents = self._changed_list(pipeline, snapshot)
        self._version, prices = pipeline.prices_since(self._version)
        return Update(self._clock(), snapshot, prices, constituents, lines)

    def _changed_list(self, pipeline: PipelineControl, snapshot: Snapshot) -> Sequence[Constituent] | None:
        """The list of constituents if it differs from the last one returned."""
        if snapshot.constituents == self._list and not self._empty:
            return None
        constituents = pipeline.constituents()
        self._list, self._empty = snapshot.constituents, not constituents
        return constituents or None
