"""One moment of a recording: the state at a second, and its new content."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from sp500tui.logs.setup import LogLine
from sp500tui.model import Constituent
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.remote.mirror import Mirror
from sp500tui.remote.recording.columns import PriceColumns, latest, pack
from sp500tui.remote.wire import Position, Update, decode, encode

_KEPT_LINES, _KEPT_EVENTS, _KEPT_SECONDS = 300, 100, 120
"""Log lines, events and seconds at the beginning of a chunk."""
_ROUTINE = (EventKind.CYCLE_STARTED, EventKind.CYCLE_FINISHED)
"""Routine events, which a jump to the next event skips."""


class Content(msgspec.Struct, array_like=True, frozen=True):
    """Prices, log lines, events, seconds and the list: what is new, or everything known."""

    prices: PriceColumns | None = None
    lines: tuple[LogLine, ...] = ()
    events: tuple[PipelineEvent, ...] = ()
    seconds: tuple[SecondSample, ...] = ()
    constituents: tuple[Constituent, ...] | None = None


class Moment(msgspec.Struct, array_like=True, frozen=True):
    """The state of the pipeline at one time. The snapshot is decoded when it is shown."""

    at: float
    """POSIX time."""
    position: Position
    snapshot: msgspec.Raw
    new: Content
    """The content that is new since the previous moment."""
    known: Content | None = None
    """Everything known, where a chunk begins."""


def update_of(moments: Sequence[Moment], *, from_known: bool = False) -> Update:
    """The sum of successive moments; `from_known`: together with everything known at the first one.

    Raises:
        ProtocolError: the snapshot was written by another version, whose values differ.
    """
    contents = [moment.new for moment in moments]
    if from_known and moments[0].known is not None:
        contents[0] = moments[0].known
    lists = [each.constituents for each in contents if each.constituents is not None]
    return Update(
        position=moments[-1].position,
        snapshot=decode(moments[-1].snapshot, Snapshot),
        prices=tuple(latest([each.prices for each in contents if each.prices is not None])),
        constituents=lists[-1] if lists else None,
        lines=tuple(line for each in contents for line in each.lines),
        events=tuple(event for each in contents for event in each.events),
        seconds=tuple(sample for each in contents for sample in each.seconds),
    )


def moment_of(update: Update, mirror: Mirror | None) -> Moment:
    """The moment of an update; with everything in `mirror` where a chunk begins, otherwise None."""
    return Moment(
        at=update.snapshot.taken_at.timestamp(),
        position=update.position,
        snapshot=msgspec.Raw(encode(update.snapshot)),
        new=Content(pack(update.prices), update.lines, update.events, update.seconds, update.constituents),
        known=None if mirror is None else _everything(mirror),
    )


def _everything(mirror: Mirror) -> Content:
    return Content(
        prices=pack(mirror.prices_since(0)[1]),
        lines=tuple(mirror.since(0)[1][-_KEPT_LINES:]),
        events=tuple(mirror.events_since(0)[1][-_KEPT_EVENTS:]),
        seconds=tuple(mirror.seconds_since(0)[1][-_KEPT_SECONDS:]),
        constituents=tuple(mirror.constituents()),
    )


def notable(events: tuple[PipelineEvent, ...]) -> int:
    """How many of the events are not part of the routine."""
    return sum(event.kind not in _ROUTINE for event in events)


def errors(events: tuple[PipelineEvent, ...], lines: tuple[LogLine, ...]) -> int:
    """How many errors there are among events and log lines."""
    levels = [event.level for event in events] + [line.level for line in lines]
    return sum(level >= logging.ERROR for level in levels)


def decode_moment(data: Any) -> Moment:
    """A moment.

    Raises:
        ProtocolError: it is not a moment, or of another version.
    """
    moment: Moment = decode(data, Moment)
    return moment
