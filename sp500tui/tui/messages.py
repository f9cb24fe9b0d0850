"""Messages between the app, its screens and their panels; their contents are immutable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from textual.message import Message

from sp500tui.model import Constituent
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot

if TYPE_CHECKING:
    from sp500tui.export import Table
    from sp500tui.logs.setup import LogLine


@dataclass
class PipelineOpened(Message):
    """The pipeline is loaded and started."""

    pipeline: PipelineControl


@dataclass
class PipelineFailed(Message):
    """The pipeline could not be built or started."""

    error: BaseException


@dataclass
class PipelineEventReceived(Message):
    """The pipeline emitted an event."""

    event: PipelineEvent


@dataclass
class SnapshotTaken(Message, bubble=False):
    """A new snapshot was taken."""

    snapshot: Snapshot

    def can_replace(self, message: Message) -> bool:
        """Whether this replaces a queued message: older snapshots are not needed."""
        return isinstance(message, SnapshotTaken)


@dataclass
class TimeChanged(Message, bubble=False):
    """Another time is shown: discard what was accumulated; everything of that time follows."""


@dataclass
class ConstituentsChanged(Message, bubble=False):
    """The list of constituents has changed."""

    constituents: Sequence[Constituent]


@dataclass
class PricesChanged(Message, bubble=False):
    """These symbols have a newer quote; empty when only time has passed."""

    prices: Sequence[LivePrice]
    now: datetime
    """UTC."""


@dataclass
class LogLinesAdded(Message, bubble=False):
    """New log lines, oldest first."""

    lines: Sequence[LogLine]


@dataclass
class StageSelected(Message):
    """A stage was selected with the mouse as the target of the scaling keys."""

    stage: StageName


@dataclass
class SymbolSelected(Message):
    """Show the details of a symbol."""

    symbol: str
    """As listed: `BRK.B`."""


@dataclass
class CopyRequested(Message):
    """Copy a line to the clipboard."""

    text: str
    """One line; empty when there is nothing to copy."""


@dataclass
class ExportRequested(Message):
    """Write a table to a file."""

    table: Table
    form: str
    """`csv` or `json`."""
