"""Runs of a fake pipeline, second by second, as recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

from sp500tui.logs.setup import LogLine
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot
from sp500tui.remote.recording.blocks import BlockWriter, FileFacts
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.remote.recording.stores import StoredBlock, save
from sp500tui.remote.updates import UpdateSource
from sp500tui.remote.wire import Position, RunFacts
from tests.support.tui.fake_pipeline import NOON, FakePipeline, live_price, running, second_sample
from tests.support.waiting import FakeClock

FACTS = FileFacts("0.1.0", RunFacts(demo=True, currency="DKK", drain_timeout=30.0, broker=""))
START = NOON.timestamp()


class ListedLog:
    """A log to which tests add lines."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        return len(self.lines), self.lines[seq:], 0


@dataclass
class FakeLife:
    """A run, second by second: a cycle every `interval` seconds, and the events and errors added by a test."""

    interval: int = 15
    symbols: Sequence[str] = ("AAPL", "BRK.B", "MSFT")
    pipeline: FakePipeline = field(default_factory=lambda: FakePipeline(prices=()))
    log: ListedLog = field(default_factory=ListedLog)
    second: int = 0
    known: dict[str, LivePrice] = field(default_factory=dict)
    events: int = 0

    def live(self, notes: Callable[[FakeLife], None] = lambda _: None) -> None:
        """Advance by one second."""
        self.second += 1
        at = NOON + timedelta(seconds=self.second)
        cycle = self.second // self.interval
        if self.second % self.interval == 0:
            version = len(self.symbols) * cycle
            for number, symbol in enumerate(self.symbols, start=1):
                price = live_price(
                    symbol, Decimal(100 + cycle) + Decimal(number) / 100, 1.5, version + number
                )
                self.known[symbol] = price
            self.pipeline.prices = list(self.known.values())
            self.event(EventKind.CYCLE_FINISHED, f"cycle {cycle} finished")
        fetched = len(self.symbols) * cycle
        ledger = Ledger(fetched=fetched, stored=fetched)
        self.pipeline.seconds = [*self.pipeline.seconds[-179:], second_sample(self.second)]
        self.pipeline.now_shows = replace(running(), taken_at=at, uptime=float(self.second), ledger=ledger)
        notes(self)

    def event(self, kind: EventKind, message: str, level: int = 20) -> None:
        """Emit an event now."""
        self.events += 1
        at = NOON + timedelta(seconds=self.second)
        event = PipelineEvent(kind, message, level, at, number=self.events)
        for listener in self.pipeline.listeners:
            listener(event)
        self.pipeline.events = [*self.pipeline.events, event]

    def line(self, message: str, level: int = 20) -> None:
        """Log a line now."""
        at = NOON + timedelta(seconds=self.second)
        self.log.lines.append(LogLine(len(self.log.lines) + 1, at, level, "main", message))


def recorded(
    seconds: int, life: FakeLife | None = None, notes: Callable[[FakeLife], None] = lambda _: None
) -> tuple[list[StoredBlock], list[Snapshot]]:
    """The blocks of a run of a number of seconds, and the snapshot of every second."""
    life = life or FakeLife()
    source, writer = UpdateSource(life.pipeline, life.log, clock=lambda: float(life.second)), BlockWriter()
    position, blocks, snapshots = Position(), [], []
    for _ in range(seconds):
        life.live(notes)
        update = source.since(position)
        position = update.position
        snapshots.append(update.snapshot)
        blocks.append(writer.add(update))
    blocks.append(writer.finish())
    return [block for block in blocks if block is not None], snapshots


def recording(seconds: int, notes: Callable[[FakeLife], None] = lambda _: None) -> Recording:
    """An in-memory recording of a run of a number of seconds."""
    return Recording.of_blocks(FACTS, recorded(seconds, notes=notes)[0])


def replayed(at: Recording, clock: FakeClock | None = None) -> ReplayedPipeline:
    """The replay of a recording from its beginning."""
    return ReplayedPipeline(at, Playback(at.first, at.last, clock=clock or FakeClock()))


def written(folder: Path, blocks: list[StoredBlock]) -> Path:
    """A file with these blocks."""
    path = save(folder, FACTS, blocks, prefix="test", keep=9)
    assert path is not None
    return path


@cache
def half_a_minute() -> tuple[list[StoredBlock], list[Snapshot]]:
    """A recording of one chunk."""
    return recorded(30)


@cache
def twelve_minutes() -> tuple[list[StoredBlock], list[Snapshot]]:
    """A recording of two chunks."""
    return recorded(720)
