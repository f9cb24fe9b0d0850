"""Messages round-trip, and anything else is refused."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from signal import SIGTERM

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import DatabaseError
from sp500tui.logs.setup import LogLine
from sp500tui.model import Resolution
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.report import RunReport
from sp500tui.remote import commands, wire
from sp500tui.remote.commands import Poll, Request
from sp500tui.remote.wire import Hello, Position, ProtocolError, Update, decode, encode
from tests.support.tui import fake_pipeline
from tests.support.tui.fake_cluster import one_lost, three_nodes
from tests.support.tui.fake_pipeline import NOON, listed, second_sample, seeded_prices

SNAPSHOTS = [
    fake_pipeline.running(),
    fake_pipeline.with_history(fake_pipeline.running()),
    fake_pipeline.degraded(),
    fake_pipeline.empty(),
    fake_pipeline.failed(),
    fake_pipeline.draining(),
    three_nodes(),
    one_lost(),
]


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_an_update_arrives_as_it_was_sent(snapshot: Snapshot) -> None:
    # given an update with all fields
    update = Update(
        position=Position(503, 7, 3, 1),
        snapshot=snapshot,
        prices=tuple(seeded_prices()[:20]),
        constituents=tuple(listed()),
        lines=(LogLine(7, NOON, 20, "price-3", "fifty quotes — “ok”"),),
        events=(PipelineEvent(EventKind.THROTTLED, "429", 30, NOON, StageName.PRICE, "price-3"),),
        seconds=(second_sample(7),),
        watched=seeded_prices()[0],
        database_url="postgresql://me:secret@host/x",
        has_demo_market=True,
        report=RunReport.from_snapshot(snapshot)
        .with_failure(DatabaseError("no server", "08006"))
        .with_signal(SIGTERM),
    )
    # when it is encoded and decoded, then nothing has changed
    assert decode(encode(update), Update) == update


def test_text_that_cannot_be_encoded_is_replaced() -> None:
    # given an update whose snapshot names a file with an undecodable name
    failed = replace(fake_pipeline.failed(), failure="/tmp/\udcff cannot be written")
    update = Update(
        position=Position(503, 7, 3, 1),
        snapshot=failed,
        prices=tuple(seeded_prices()[:20]),
        constituents=tuple(listed()),
        lines=(LogLine(7, NOON, 20, "price-3", "fifty quotes — “ok”"),),
        events=(PipelineEvent(EventKind.THROTTLED, "429\ud800", 30, NOON, StageName.PRICE, "price-3"),),
        seconds=(second_sample(7),),
        report=RunReport.from_snapshot(fake_pipeline.running()),
    )
    # when it is encoded and decoded, then only the characters that have no encoding have changed
    expected = msgspec.structs.replace(
        update,
        snapshot=replace(failed, failure="/tmp/? cannot be written"),
        events=(replace(update.events[0], message="429?"),),
    )
    assert decode(encode(update), Update) == expected


@pytest.mark.parametrize(
    "request_",
    [
        Poll(Position(1, 2, 3, 4), "BRK.B"),
        commands.Scale(StageName.PRICE, 16),
        commands.ScaleNode("host-a", StageName.WRITER, 1),
        commands.Pause(),
        commands.Resume(StageName.WRITER),
        commands.RunCycle(),
        commands.SetInterval(0.5),
        commands.Heal(Resolution.MINUTE, NOON, NOON, ("AAPL",)),
        commands.Check(Resolution.MINUTE, NOON, NOON, ("AAPL",)),
        commands.ReadHistory(),
        commands.Stop(ShutdownLevel.SPOOL),
        commands.KillWorker("writer-1"),
        commands.Announce("tour: the database is stopped for 10 s"),
        commands.StopDatabase(10.0),
        commands.ReadFaults(),
        commands.SetFaults({"latency": 0.5, "missing": ["AAPL"]}),
        commands.ReadStatistics(),
    ],
)
def test_a_request_arrives_as_it_was_sent(request_: object) -> None:
    assert decode(encode(request_), Request) == request_


def test_the_greeting_of_a_later_version_can_be_read() -> None:
    # given a greeting with a field that this version does not have
    later = {"type": "hello", "protocol": 99, "program": "9.0", "steering": False, "colour": "blue"}
    # when it is decoded, then the known fields are there
    assert decode(encode(later), Hello) == Hello(99, "9.0", steering=False)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data, Request)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode(b"\x91" * 100_000 + b"\xc0", commands.AnyCommand)


def test_a_value_of_a_wrong_type_is_refused() -> None:
    with pytest.raises(ProtocolError, match="size"):
        decode(encode({"type": "scale", "stage": "price", "size": "many"}), Request)
    with pytest.raises(ProtocolError, match="sixteenth"):
        decode(encode({"type": "scale", "stage": "sixteenth", "size": 1}), Request)


def test_threads_make_one_decoder_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # given decoders that are slow to create; creating two at once can crash the process
    making: list[object] = []
    most = 0

    class SlowDecoder:
        def __init__(self, kind: object) -> None:
            nonlocal most
            making.append(kind)
            most = max(most, len(making))
            time.sleep(0.01)
            making.remove(kind)

    monkeypatch.setattr(msgspec.msgpack, "Decoder", SlowDecoder)
    monkeypatch.setattr(wire, "_decoders", {})
    # when threads request decoders of the same types for the first time
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(wire.decoder_of, [Update, Hello] * 8))
    # then one is created at a time, and one for each type
    assert most == 1
    assert len(set(map(id, found))) == 2


def test_every_command_is_marked_as_reading_or_changing_the_pipeline() -> None:
    reading = {kind for kind in commands.AnyCommand.__args__ if not kind.changes}
    assert reading == {
        commands.ReadFaults,
        commands.ReadHistory,
        commands.ReadSpans,
        commands.ReadStatistics,
    }
