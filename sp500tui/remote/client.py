"""A pipeline accessed through its control socket, as `PipelineControl`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sp500tui.errors import ExitCode, Sp500tuiError
from sp500tui.model import Constituent, Resolution
from sp500tui.pipeline.api import FaultInjector, HistorySnapshot, ScaleResult, ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, PipelineEvent, deliver
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import LivePrice, Phase, Snapshot
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.pipeline.report import RunReport
from sp500tui.remote import commands
from sp500tui.remote.address import NoAnswerError, NoPipelineError
from sp500tui.remote.mirror import Mirror
from sp500tui.remote.session import CommandFailedError, Session
from sp500tui.remote.wire import Update, Welcome

T = TypeVar("T")
_log = logging.getLogger(__name__)

_POLL_TIMEOUT = 10.0
"""Seconds without an answer after which a viewer reports a pipeline that does not answer."""
_RETRY = 1.0
"""Seconds between two attempts to reconnect."""


class RemotePipeline:
    """Polls the pipeline of a data folder on its own thread, and answers from the state received.

    Implements `PipelineControl`; a command may block for seconds if the pipeline does not answer, and raises
    Sp500tuiError if it fails.
    """

    def __init__(self, data: Path, *, steering: bool = True, rate: float = 4.0) -> None:
        """Connect and read the current state.

        Args:
            data: data folder of the pipeline.
            steering: whether commands that change the pipeline are allowed.
            rate: polls per second.

        Raises:
            Sp500tuiError: as `Session`.
        """
        self._data = data
        self.steering = steering
        """Whether commands that change the pipeline are allowed."""
        self._interval = 1 / rate
        self._session = Session(data, steering=steering, timeout=_POLL_TIMEOUT)
        self.welcome: Welcome = self._session.welcome
        self.mirror = Mirror()
        """The state received; its log lines are those of the pipeline."""
        self._listeners: list[Callable[[PipelineEvent], None]] = []
        self._delivery = threading.Lock()
        self._symbol: str | None = None
        self._ended = threading.Event()
        self._lost = ""
        self._silent = False
        self._apply(self._poll())
        self.thread = ServiceThread("viewer", self._step)

    # Reading

    def start(self) -> None:
        """Start polling; the pipeline is already running."""
        self.thread.start()

    def close(self) -> None:
        """Leave the pipeline, which is not affected."""
        self.thread.stop()
        self._session.abort()
        self.thread.join(_RETRY)
        self._session.close()

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`: the last one received, or a failed one once the connection is lost."""
        snapshot = self.mirror.latest.snapshot
        if self._lost:
            return replace(snapshot, phase=Phase.FAILED, failure=self._lost, failure_code=ExitCode.INCOMPLETE)
        return snapshot

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """See `PipelineControl.prices_since`."""
        return self.mirror.prices_since(version)

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        """See `PipelineControl.seconds_since`."""
        return self.mirror.seconds_since(second)

    def events_since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        """See `PipelineControl.events_since`."""
        return self.mirror.events_since(number)

    def spans(self, seconds: float) -> SpanReport:
        """See `PipelineControl.spans`; requests them from the pipeline."""
        return self.call(commands.ReadSpans(seconds), SpanReport)

    def price_of(self, symbol: str) -> LivePrice | None:
        """See `PipelineControl.price_of`; the names of the workers arrive with the next poll."""
        self._symbol = symbol
        return self.mirror.price_of(symbol)

    def constituents(self) -> Sequence[Constituent]:
        """See `PipelineControl.constituents`."""
        return self.mirror.constituents()

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        """See `PipelineControl.subscribe`; earlier events are delivered first."""
        with self._delivery:
            for event in self.mirror.events_since(0)[1]:
                deliver(event, listener)
            self._listeners.append(listener)

    @property
    def database_url(self) -> str | None:
        """See `PipelineControl.database_url`."""
        return self.mirror.latest.database_url

    @property
    def demo_market(self) -> FaultInjector | None:
        """See `PipelineControl.demo_market`."""
        return RemoteFaults(self) if self.mirror.latest.has_demo_market else None

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`; also True once the connection is lost."""
        return self._ended.wait(timeout)

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`."""
        return self.mirror.latest.report or RunReport.from_snapshot(self.snapshot())

    # Commands

    def scale(self, stage: StageName, size: int) -> ScaleResult:
        """See `PipelineControl.scale`."""
        return self.call(commands.Scale(stage, size), ScaleResult)

    def scale_node(self, node: str, stage: StageName, size: int) -> ScaleResult:
        """See `PipelineControl.scale_node`."""
        return self.call(commands.ScaleNode(node, stage, size), ScaleResult)

    def pause(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.pause`."""
        self.execute(commands.Pause(stage))

    def resume(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.resume`."""
        self.execute(commands.Resume(stage))

    def run_cycle_now(self) -> bool:
        """See `PipelineControl.run_cycle_now`."""
        return self.call(commands.RunCycle(), bool)

    def heal(self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]) -> bool:
        """See `PipelineControl.heal`."""
        return self.call(commands.Heal(resolution, start, end, tuple(symbols)), bool)

    def check_coverage(
        self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]
    ) -> bool:
        """See `PipelineControl.check_coverage`."""
        return self.call(commands.Check(resolution, start, end, tuple(symbols)), bool)

    def history(self) -> HistorySnapshot:
        """See `PipelineControl.history`."""
        return self.call(commands.ReadHistory(), HistorySnapshot)

    def set_interval(self, seconds: float) -> float:
        """See `PipelineControl.set_interval`."""
        return self.call(commands.SetInterval(seconds), float)

    def stop(self, level: ShutdownLevel = ShutdownLevel.DRAIN) -> None:
        """See `PipelineControl.stop`."""
        self.execute(commands.Stop(level))

    def kill_worker(self, name: str) -> bool:
        """See `PipelineControl.kill_worker`."""
        return self.call(commands.KillWorker(name), bool)

    def announce(self, message: str) -> None:
        """See `PipelineControl.announce`."""
        self.execute(commands.Announce(message))

    def stop_database(self, seconds: float) -> bool:
        """See `PipelineControl.stop_database`."""
        return self.call(commands.StopDatabase(seconds), bool)

    def call(self, command: commands.Command, result: type[T]) -> T:
        """Run a command on a separate connection, so that a slow one does not delay the polls."""
        with Session(self._data, steering=self.steering) as session:
            value = session.call(command, result)
        self.thread.wake()
        return value

    def execute(self, command: commands.Command) -> None:
        """Run a command without a result."""
        with Session(self._data, steering=self.steering) as session:
            session.execute(command)
        self.thread.wake()

    # The thread

    def _poll(self) -> Update:
        return self._session.call(commands.Poll(self.mirror.position, self._symbol), Update)

    def _apply(self, update: Update) -> None:
        with self._delivery:
            self.mirror.apply(update)
            for event in update.events:
                deliver(event, *self._listeners)
        if update.report is not None:
            self._ended.set()

    def _step(self) -> float | None:
        """Poll once; None once the run has ended or the connection is lost."""
        try:
            update = self._poll()
        except NoAnswerError as error:
            return None if self.thread.stopping else self._reconnect(error)
        except CommandFailedError as error:
            self._report_silence(str(error))
            return _RETRY
        except Sp500tuiError as error:
            self._lose(str(error))
            return None
        self._silent = False
        self._apply(update)
        return None if self._ended.is_set() else self._interval

    def _reconnect(self, cause: NoAnswerError) -> float | None:
        """Connect again: the pipeline closes connections of viewers that were stopped for a while."""
        try:
            session = Session(self._data, steering=self.steering, timeout=_POLL_TIMEOUT)
        except NoPipelineError:
            self._lose(
                f"the pipeline (process {self.welcome.pid}) ended without a report: it was killed or has crashed"
            )
            return None
        except NoAnswerError:
            self._report_silence(str(cause))
            return _RETRY
        except Sp500tuiError as error:
            self._lose(str(error))
            return None
        if session.welcome.identity != self.welcome.identity:
            session.close()
            self._lose("the pipeline was restarted; quit and attach again to see the new one")
            return None
        self._session = session
        return 0.0

    def _report_silence(self, reason: str) -> None:
        """Notify the listeners once that the pipeline does not answer."""
        if not self._silent:
            self._silent = True
            event = PipelineEvent(EventKind.PHASE, reason, logging.ERROR, datetime.now(UTC))
            with self._delivery:
                deliver(event, *self._listeners)

    def _lose(self, reason: str) -> None:
        """Record why the connection was lost, which ends the polling."""
        _log.error("%s", reason)
        self._lost = reason
        self._ended.set()


class RemoteFaults:
    """The demo market of a pipeline accessed through its control socket, as `FaultInjector`."""

    def __init__(self, pipeline: RemotePipeline) -> None:
        self._pipeline = pipeline

    def faults(self) -> Mapping[str, object]:
        """See `FaultInjector.faults`."""
        return self._pipeline.call(commands.ReadFaults(), dict[str, object])

    def set_faults(self, **faults: object) -> None:
        """See `FaultInjector.set_faults`."""
        self._pipeline.execute(commands.SetFaults(dict(faults)))

    def statistics(self) -> Mapping[str, object]:
        """See `FaultInjector.statistics`."""
        return self._pipeline.call(commands.ReadStatistics(), dict[str, object])
