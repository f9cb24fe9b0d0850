"""What travels between the feed, the screens and the widgets: plain messages, immutable contents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from textual.message import Message

from sp500tui.model import Constituent
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot, StageName

if TYPE_CHECKING:
    from sp500tui.export import Table
    from sp500tui.logs.setup import LogLine


@dataclass
class PipelineOpened(Message):
    """The pipeline's modules are loaded and it has been started."""

    pipeline: PipelineControl


@dataclass
class PipelineFailed(Message):
    """The pipeline could not be built or started."""

    error: BaseException


@dataclass
class PipelineEventReceived(Message):
    """Something rare happened in the pipeline."""

    event: PipelineEvent


@dataclass
class SnapshotTaken(Message, bubble=False):
    """The pipeline of this moment."""

    snapshot: Snapshot

    def can_replace(self, message: Message) -> bool:
        """A newer snapshot makes an unread older one worthless."""
        return isinstance(message, SnapshotTaken)


@dataclass
class ConstituentsChanged(Message, bubble=False):
    """Another list of constituents is in force."""

    constituents: Sequence[Constituent]


@dataclass
class PricesChanged(Message, bubble=False):
    """These symbols have a newer quote; empty when only time has passed."""

    prices: Sequence[LivePrice]
    now: datetime
    """UTC."""


@dataclass
class LogLinesAdded(Message, bubble=False):
    """New lines of the log, oldest first."""

    lines: Sequence[LogLine]


@dataclass
class StageSelected(Message):
    """A stage was picked by mouse as the target of the scaling keys."""

    stage: StageName


@dataclass
class SymbolSelected(Message):
    """The person wants to see everything about one symbol."""

    symbol: str
    """As listed: `BRK.B`."""


@dataclass
class CopyRequested(Message):
    """The person wants a line in the clipboard."""

    text: str
    """One line; empty when there is none to copy."""


@dataclass
class ExportRequested(Message):
    """The person wants a table in a file."""

    table: Table
    form: str
    """`csv` or `json`."""
