"""The requests of viewers and commands; each is run on the pipeline and returns a value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

from sp500tui.errors import SourceError
from sp500tui.model import Resolution
from sp500tui.pipeline.api import FaultInjector, HistorySnapshot, PipelineControl, ScaleResult, ShutdownLevel
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.remote.wire import Position

READ_ONLY = "this viewer is read-only: it was started without steering"
"""Why a viewer without steering cannot change the pipeline."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with a zone."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
"""A duration; finite and not NaN."""


class Poll(msgspec.Struct, tag="poll", frozen=True):
    """Requests an `Update`."""

    position: Position
    symbol: str | None = None
    """A symbol whose price is requested with the names of its workers."""


class Command(msgspec.Struct, frozen=True):
    """A call of `PipelineControl`, or of its demo market."""

    changes: ClassVar[bool] = True
    """Whether it changes the pipeline, which a viewer without steering may not do."""
    blocks: ClassVar[bool] = False
    """Whether the call may take seconds."""

    def run(self, pipeline: PipelineControl) -> object:
        """Run the command."""
        raise NotImplementedError


class Scale(Command, tag="scale", frozen=True):
    """See `PipelineControl.scale`."""

    stage: StageName
    size: int

    def run(self, pipeline: PipelineControl) -> ScaleResult:
        """Run the command."""
        return pipeline.scale(self.stage, self.size)


class ScaleNode(Command, tag="scale-node", frozen=True):
    """See `PipelineControl.scale_node`."""

    node: str
    stage: StageName
    size: int

    def run(self, pipeline: PipelineControl) -> ScaleResult:
        """Run the command."""
        return pipeline.scale_node(self.node, self.stage, self.size)


class Pause(Command, tag="pause", frozen=True):
    """See `PipelineControl.pause`."""

    stage: StageName | None = None

    def run(self, pipeline: PipelineControl) -> None:
        """Run the command."""
        pipeline.pause(self.stage)


class Resume(Command, tag="resume", frozen=True):
    """See `PipelineControl.resume`."""

    stage: StageName | None = None

    def run(self, pipeline: PipelineControl) -> None:
        """Run the command."""
        pipeline.resume(self.stage)


class RunCycle(Command, tag="run-cycle", frozen=True):
    """See `PipelineControl.run_cycle_now`."""

    def run(self, pipeline: PipelineControl) -> bool:
        """Run the command."""
        return pipeline.run_cycle_now()


class Heal(Command, tag="heal", frozen=True):
    """See `PipelineControl.heal`."""

    resolution: Resolution
    start: Instant
    end: Instant
    symbols: tuple[str, ...] = ()

    def run(self, pipeline: PipelineControl) -> bool:
        """Run the command."""
        return pipeline.heal(self.resolution, self.start, self.end, self.symbols)


class Check(Command, tag="check", frozen=True):
    """See `PipelineControl.check_coverage`."""

    resolution: Resolution
    start: Instant
    end: Instant
    symbols: tuple[str, ...] = ()

    def run(self, pipeline: PipelineControl) -> bool:
        """Run the command."""
        return pipeline.check_coverage(self.resolution, self.start, self.end, self.symbols)


class ReadHistory(Command, tag="history", frozen=True):
    """See `PipelineControl.history`."""

    changes: ClassVar[bool] = False

    def run(self, pipeline: PipelineControl) -> HistorySnapshot:
        """Run the command."""
        return pipeline.history()


class SetInterval(Command, tag="set-interval", frozen=True):
    """See `PipelineControl.set_interval`."""

    seconds: Seconds

    def run(self, pipeline: PipelineControl) -> float:
        """Run the command."""
        return pipeline.set_interval(self.seconds)


class Stop(Command, tag="stop", frozen=True):
    """See `PipelineControl.stop`."""

    level: ShutdownLevel = ShutdownLevel.DRAIN

    def run(self, pipeline: PipelineControl) -> None:
        """Run the command."""
        pipeline.stop(self.level)


class KillWorker(Command, tag="kill-worker", frozen=True):
    """See `PipelineControl.kill_worker`."""

    name: str

    def run(self, pipeline: PipelineControl) -> bool:
        """Run the command."""
        return pipeline.kill_worker(self.name)


class Announce(Command, tag="announce", frozen=True):
    """See `PipelineControl.announce`."""

    message: str

    def run(self, pipeline: PipelineControl) -> None:
        """Run the command."""
        pipeline.announce(self.message)


class StopDatabase(Command, tag="stop-database", frozen=True):
    """See `PipelineControl.stop_database`."""

    blocks: ClassVar[bool] = True
    seconds: Seconds

    def run(self, pipeline: PipelineControl) -> bool:
        """Run the command."""
        return pipeline.stop_database(self.seconds)


class ReadFaults(Command, tag="faults", frozen=True):
    """See `FaultInjector.faults`."""

    changes: ClassVar[bool] = False
    blocks: ClassVar[bool] = True

    def run(self, pipeline: PipelineControl) -> Mapping[str, object]:
        """Run the command."""
        return _market_of(pipeline).faults()


class SetFaults(Command, tag="set-faults", frozen=True):
    """See `FaultInjector.set_faults`."""

    blocks: ClassVar[bool] = True
    faults: dict[str, object]

    def run(self, pipeline: PipelineControl) -> None:
        """Run the command."""
        _market_of(pipeline).set_faults(**self.faults)


class ReadStatistics(Command, tag="statistics", frozen=True):
    """See `FaultInjector.statistics`."""

    changes: ClassVar[bool] = False
    blocks: ClassVar[bool] = True

    def run(self, pipeline: PipelineControl) -> Mapping[str, object]:
        """Run the command."""
        return _market_of(pipeline).statistics()


class ReadSpans(Command, tag="spans", frozen=True):
    """See `PipelineControl.spans`."""

    changes: ClassVar[bool] = False
    blocks: ClassVar[bool] = True
    seconds: Seconds

    def run(self, pipeline: PipelineControl) -> SpanReport:
        """Run the command."""
        return pipeline.spans(self.seconds)


def _market_of(pipeline: PipelineControl) -> FaultInjector:
    market = pipeline.demo_market
    if market is None:
        raise SourceError("this pipeline has no demo market")
    return market


AnyCommand = (
    Scale
    | ScaleNode
    | Pause
    | Resume
    | RunCycle
    | SetInterval
    | Heal
    | Check
    | ReadHistory
    | Stop
    | KillWorker
    | Announce
    | StopDatabase
    | ReadFaults
    | SetFaults
    | ReadStatistics
    | ReadSpans
)
Request = Poll | AnyCommand
"""Every request that may follow the greeting."""
