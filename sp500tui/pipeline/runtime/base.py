"""The part of `PipelineControl` that a pipeline and a cluster node share."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sp500tui.model import Constituent, Resolution
from sp500tui.pipeline.api import SHUTDOWN_MESSAGES, FaultInjector, HistorySnapshot, ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, EventLog, PipelineEvent, deliver
from sp500tui.pipeline.core.metrics import Durations
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import LivePrice, MarketSnapshot, Phase, Snapshot, WorkerState
from sp500tui.pipeline.core.timing.second_history import ProcessorSeconds
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.shares import lock_over
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.pipeline.monitoring.verdict import WINDOW, verdict
from sp500tui.pipeline.runtime.lifecycle import Lifecycle, writer_tasks
from sp500tui.pipeline.runtime.maintenance import HealRequest
from sp500tui.pipeline.runtime.wiring import RunComponents

_LOCK_SECONDS = 10
"""Seconds covered by a snapshot's figures of the interpreter lock."""
_log = logging.getLogger(__name__)


class PipelineBase:
    """Delegates to the run's components; publishes every event to the log and to the subscribers."""

    components: RunComponents
    """The components of the run."""
    _lifecycle: Lifecycle

    def __init__(
        self,
        levels: Mapping[EventKind, int],
        shutdown_messages: Mapping[ShutdownLevel, str] = SHUTDOWN_MESSAGES,
    ) -> None:
        """`levels`: log levels of the run's own events, INFO if absent; `shutdown_messages`: one for each level."""
        self._levels = levels
        self.shutdown_messages = shutdown_messages
        """The effect of each level, and of the next one."""
        self._events = EventLog()
        self._listeners: list[Callable[[PipelineEvent], None]] = []
        self._stopped_early = False
        self._pause_lock = threading.Lock()
        self._paused_since: dict[StageName | None, float] = {}

    def start(self) -> None:
        """See `PipelineControl.start`."""
        self._lifecycle.start()

    def watch(self) -> None:
        """Start reading what only viewers need; has no effect where all of it is read anyway."""

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """See `PipelineControl.prices_since`."""
        return self.components.latest_prices.changes_since(version)

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        """See `PipelineControl.seconds_since`."""
        return self.components.seconds.since(second)

    def events_since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        """See `PipelineControl.events_since`."""
        return self._events.since(number)

    def durations(self) -> Mapping[str, Durations]:
        """All fetches and commits of this program since the start, by `fetch` and `commit`."""
        fetching = self.components.stages.get(StageName.PRICE)
        return {
            "fetch": fetching.latency.durations() if fetching is not None else Durations(),
            "commit": self.components.database.commit.durations(),
        }

    def state_seconds(self) -> Mapping[StageName, Mapping[WorkerState, float]]:
        """The seconds that this program's workers of each stage have spent in each state since the start."""
        return self.components.seconds.totals()

    def processor_seconds(self) -> Mapping[StageName, ProcessorSeconds]:
        """The processor time that this program's workers of each stage have used since the start."""
        return self.components.seconds.processor_totals()

    @property
    def stalled(self) -> float:
        """Seconds since the supervising thread last completed a step of its work."""
        return self._lifecycle.stalled

    def spans(self, seconds: float) -> SpanReport:
        """See `PipelineControl.spans`."""
        now = time.monotonic()
        pools = self.components.stages.values()
        workers = tuple(each for pool in pools for each in pool.worker_spans(now - seconds, now))
        second = int(now) - self._events.first_second + 1
        return SpanReport(datetime.now(UTC), now, os.getpid(), workers, second)

    def price_of(self, symbol: str) -> LivePrice | None:
        """See `PipelineControl.price_of`."""
        return self.components.latest_prices.get(symbol)

    def constituents(self) -> Sequence[Constituent]:
        """See `PipelineControl.constituents`."""
        return self.components.current_constituents.constituents()

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        """See `PipelineControl.subscribe`."""
        self._listeners.append(listener)

    def stop(self, level: ShutdownLevel = ShutdownLevel.DRAIN) -> None:
        """See `PipelineControl.stop`; in a cluster only this node stops."""
        if level <= self._lifecycle.level or self._lifecycle.ended.is_set():
            return
        self._stopped_early = True
        try:
            self._emit(EventKind.PHASE, self.shutdown_messages[level])
        finally:
            self._lifecycle.stop(level)

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`."""
        return self._lifecycle.ended.wait(timeout)

    def pause(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.pause`; in a cluster on all nodes."""
        self._set_paused(stage, paused=True)

    def resume(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.resume`; in a cluster on all nodes."""
        self._set_paused(stage, paused=False)

    def _set_paused(self, stage: StageName | None, *, paused: bool) -> None:
        raise NotImplementedError

    def heal(self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]) -> bool:
        """See `PipelineControl.heal`; False on a node that does not run the history stage.

        One node determines what is missing, and all nodes with the stage request it.
        """
        return self._request_history(HealRequest(resolution, start, end, tuple(symbols)))

    def check_coverage(
        self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]
    ) -> bool:
        """See `PipelineControl.check_coverage`; False on a node that does not run the history stage."""
        return self._request_history(HealRequest(resolution, start, end, tuple(symbols), fetch=False))

    def _request_history(self, request: HealRequest) -> bool:
        if self._lifecycle.phase is not Phase.RUNNING or StageName.HISTORY not in self.components.stages:
            return False
        self.components.maintenance.request(request)
        return True

    def history(self) -> HistorySnapshot:
        """See `PipelineControl.history`; in a cluster the remaining requests are those of all nodes."""
        return self.components.maintenance.progress()

    def kill_worker(self, name: str) -> bool:
        """See `PipelineControl.kill_worker`; for writers of this program."""
        task = writer_tasks(self.components).get(name)
        return task is not None and task.kill()

    def announce(self, message: str) -> None:
        """See `PipelineControl.announce`."""
        self._emit(EventKind.TOUR, message)

    def stop_database(self, seconds: float) -> bool:
        """See `PipelineControl.stop_database`."""
        return self.components.database_monitor.stop_server(seconds)

    @property
    def demo_market(self) -> FaultInjector | None:
        """See `PipelineControl.demo_market`; the one of this program."""
        sources = self.components.sources
        return sources.market if sources is not None else None

    def _with_seconds(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, completed by values of the last seconds: the verdict and the interpreter lock."""
        samples = self.components.seconds.last(_LOCK_SECONDS)
        return replace(
            snapshot,
            verdict=verdict(snapshot, samples[-WINDOW:]),
            interpreter_lock=lock_over(samples, _LOCK_SECONDS),
        )

    def _market(self) -> MarketSnapshot:
        session, clock = self.components.latest_prices.market_state, self._lifecycle.market_clock
        return clock.snapshot(session) if clock else MarketSnapshot(session)

    def _emit(
        self, kind: EventKind, message: str, stage: StageName | None = None, seconds: float | None = None
    ) -> None:
        level = self._levels.get(kind, logging.INFO)
        self._publish(PipelineEvent(kind, message, level, datetime.now(UTC), stage, seconds=seconds))

    def _emit_paused(self, stage: StageName | None, *, paused: bool, where: str = "") -> None:
        """Report that a stage, or the intake, was paused or resumed; nothing if that has not changed."""
        now = time.monotonic()
        with self._pause_lock:
            since = self._paused_since.get(stage)
            if paused == (since is not None):
                return
            if paused:
                self._paused_since[stage] = now
            else:
                del self._paused_since[stage]
        what = ("the intake" if stage is None else f"the {stage} stage") + where
        if since is None:
            self._emit(EventKind.PAUSED, f"{what} is paused", stage)
        else:
            seconds = now - since
            self._emit(EventKind.RESUMED, f"{what} is resumed after {seconds:.1f} s", stage, seconds)

    def _publish(self, event: PipelineEvent) -> None:
        event = self._events.record(event)
        _log.log(event.level, "%s", event.message)
        deliver(event, *self._listeners)
