"""A recording as `PipelineControl`: shows the state at the time of its playback, and rejects every command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from sp500tui import __version__
from sp500tui.errors import DatabaseError, Sp500tuiError
from sp500tui.logs.setup import LogLine
from sp500tui.model import Constituent
from sp500tui.pipeline.api import FaultInjector, HistorySnapshot
from sp500tui.pipeline.core.events import PipelineEvent, deliver
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.spans import SpanReport, spans_of_seconds
from sp500tui.pipeline.report import RunReport
from sp500tui.remote.mirror import Mirror
from sp500tui.remote.recording.blocks import RecordingError
from sp500tui.remote.recording.moments import Moment, update_of
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.wire import ProtocolError


class RecordedError(Sp500tuiError):
    """A command was given to a recording."""


class ReplayedPipeline:
    """Follows the playback whenever it is read; also a source of log lines for the dashboard. Thread-safe."""

    def __init__(
        self,
        recording: Recording,
        playback: Playback,
        *,
        refusal: str = "This is a recording: it can be viewed, but not steered",
        no_database: str = "a recording does not contain the rows in the database",
    ) -> None:
        """`refusal` and `no_database`: see the attributes."""
        self.refusal = refusal
        """The error of every command."""
        self.no_database = no_database
        """The error of every query of the database."""
        self.recording = recording
        self.playback = playback
        self._lock = threading.RLock()
        self._listeners: list[Callable[[PipelineEvent], None]] = []
        self._mirror = Mirror()
        self._shown: list[Moment] = []
        self._seeks = 0
        self.generation = 0
        """Increases whenever another time is set: values read before, such as a price that has just changed, are then
        outdated."""

    # Following the playback

    def _current(self) -> Mirror:
        """The state at the time of the playback."""
        with self._lock:
            seeks, moments = self.playback.seeks, self.recording.moments_until(self.playback.at)
            sought, self._seeks = seeks != self._seeks, seeks
            if self._shown and moments[-1] is self._shown[-1]:
                return self._mirror
            shown, self._shown = self._shown, moments
            new = moments[len(shown) :] if shown and moments[0] is shown[0] else []
            if new and not (sought and len(new) > 1):
                self._advance(new)
            else:
                self._rebuild(moments)
                if shown and (sought or moments[-1].at < shown[-1].at):
                    self.generation += 1
                    self._deliver(moments[-1].new.events)
            return self._mirror

    def _rebuild(self, moments: Sequence[Moment]) -> None:
        """Build the state from the beginning of a chunk."""
        self._mirror = Mirror()
        self._mirror.apply(update_of(moments, from_known=True))

    def _advance(self, moments: Sequence[Moment]) -> None:
        """Add the moments that follow."""
        update = update_of(moments)
        self._mirror.apply(update)
        self._deliver(update.events)

    def _deliver(self, events: Sequence[PipelineEvent]) -> None:
        for event in events:
            deliver(event, *self._listeners)

    def check(self, path: Path) -> None:
        """Raise RecordingError unless the current moment can be shown."""
        try:
            self._current()
        except ProtocolError:
            raise RecordingError(
                f"the recording {path} was written by sp500tui {self.recording.facts.program}, whose values this "
                f"program ({__version__}) cannot read; show it with that version"
            ) from None

    @property
    def now(self) -> datetime:
        """The time shown, UTC."""
        return datetime.fromtimestamp(self.playback.at, UTC)

    # Reading

    def start(self) -> None:
        """Nothing to start."""

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""
        return self._current().latest.snapshot

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """See `PipelineControl.prices_since`."""
        return self._current().prices_since(version)

    def price_of(self, symbol: str) -> LivePrice | None:
        """See `PipelineControl.price_of`."""
        return self._current().price_of(symbol)

    def spans(self, seconds: float) -> SpanReport:
        """See `PipelineControl.spans`; only the seconds in each state are recorded, not the individual spans."""
        mirror = self._current()
        last, samples = mirror.seconds_since(0)
        shown = [sample for sample in samples if sample.second > last - seconds]
        return spans_of_seconds(shown, mirror.latest.snapshot.taken_at)

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        """See `PipelineControl.seconds_since`."""
        return self._current().seconds_since(second)

    def events_since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        """See `PipelineControl.events_since`."""
        return self._current().events_since(number)

    def constituents(self) -> Sequence[Constituent]:
        """See `PipelineControl.constituents`."""
        return self._current().constituents()

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        """See `LogSource.since`."""
        return self._current().since(seq)

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        """See `PipelineControl.subscribe`; events are delivered as the playback passes them."""
        with self._lock:
            for event in self._current().events_since(0)[1]:
                deliver(event, listener)
            self._listeners.append(listener)

    @property
    def database_url(self) -> str | None:
        """See `PipelineControl.database_url`.

        Raises:
            DatabaseError: always; the rows stored today are not those of the recording.
        """
        raise DatabaseError(self.no_database)

    @property
    def demo_market(self) -> FaultInjector | None:
        """None: a recording has no market."""
        return None

    def join(self, timeout: float | None = None) -> bool:  # noqa: ARG002  # nothing to wait for
        """True: nothing runs."""
        return True

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`: that of the moment shown."""
        return RunReport.from_snapshot(self.snapshot())

    # Commands

    def history(self) -> HistorySnapshot:
        """Not recorded."""
        return HistorySnapshot()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        """Reject a command of `PipelineControl`."""
        raise RecordedError(self.refusal)

    scale = scale_node = pause = resume = run_cycle_now = set_interval = stop = _refuse
    heal = check_coverage = kill_worker = announce = stop_database = _refuse
