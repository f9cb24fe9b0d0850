"""Invalid values on the broker are left out and reported once; the others are read."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.cluster.broker import values as untrusted
from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.membership.heartbeat import Heartbeat, decode, decode_workers, encode
from sp500tui.cluster.membership.membership import check_versions
from sp500tui.cluster.membership.view import ClusterView, parse, unserved_stages
from sp500tui.cluster.node.snapshot import merge_stages, merge_upstream, node_snapshots
from sp500tui.cluster.queue.codec import FetchedCodec, RowCodec, TickerCodec
from sp500tui.cluster.scheduling.schedule_fields import from_fields, resumed_state, validated_fields
from sp500tui.cluster.shared.state import SharedConstituents, SharedFxRates, SharedMissingSymbols
from sp500tui.config.settings import MAX_INTERVAL, MAX_WORKERS, MIN_INTERVAL
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import SourceSnapshot
from tests.unit.cluster.test_heartbeat import BEAT
from tests.unit.cluster.test_view import CYCLE

HOSTILE = (
    b"",
    b"\xff\xfe\x00",
    b"nan",
    b"-inf",
    b"1e999",
    b"-1",
    b"9" * 5000,
    b"1_000",
    "\u0661\u0662".encode(),
    b"null",
    b"[]",
    b"{}",
    b"[" * 20_000,
    b'{"a":NaN}',
    b"\x1b[2J",
    b"0x10",
    b" 7 ",
    b"true",
)
values = st.one_of(
    st.sampled_from(HOSTILE), st.binary(max_size=30), st.integers().map(lambda n: str(n).encode())
)
names = st.sampled_from(
    [b"vm:1:ab", b"interval", b"run_now", b"paused|price", b"vm:1:ab|price", b"number", b"\xff", b""]
)
hashes = st.lists(st.tuples(names, values), max_size=6).map(
    lambda pairs: [part for pair in pairs for part in pair]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


class HashBroker:
    """A broker on which every hash has the same fields."""

    def __init__(self, fields: dict[str, bytes] | None = None) -> None:
        self.fields = fields or {}

    def key(self, *components: str) -> str:
        return ":".join(components)

    def read_hash(self, *_: object, **__: object) -> dict[str, bytes]:
        return self.fields


def looked_at(view: ClusterView) -> None:
    """Do everything that a node does with a view, without its broker."""
    for stage in StageName:
        size = view.desired_size("vm:1:ab", stage)
        assert size is None or 1 <= size <= MAX_WORKERS
        view.running(stage)
    assert view.interval is None or MIN_INTERVAL <= view.interval <= MAX_INTERVAL
    check_versions(ClusterView(), "0.1.0")
    wanted = view.desired_size
    heartbeats = [BEAT, *view.alive()]
    stages = merge_stages(heartbeats, wanted)
    assert all(isinstance(stage.size, int) and math.isfinite(stage.rate) for stage in stages)
    merge_upstream(SourceSnapshot(), heartbeats)
    for node in node_snapshots(view, BEAT, wanted):
        assert f"{node.heard:.0f} {node.uptime:.0f}"
        assert "\x1b" not in node.host + node.version + node.message
    unserved_stages(view, dict.fromkeys(QueueName, Depth(1, 0, 10, 9.0)))
    if view.cycle:
        from_fields(view.cycle, 1.0)
        resumed_state(view.cycle, 1.0, 5.0)


@given(st.tuples(*[hashes] * 8, values, values))
def test_any_list_of_members_can_be_read(components: tuple[Any, ...]) -> None:
    heard, heartbeats, details, held, takers, cycle, desired, missing, record, version = components
    lost: Sequence[object] = [[b"vm:2:cd", record, held, takers]]
    answer = [
        b"1700000000.5",
        heard,
        heartbeats,
        details,
        lost,
        record,
        cycle,
        desired,
        missing,
        cycle,
        version,
    ]
    looked_at(parse(answer))


@given(st.dictionaries(st.sampled_from([*CYCLE]), st.text(max_size=8)))
def test_a_schedule_with_any_field_changed_is_read_or_left_out(changes: dict[str, str]) -> None:
    found = validated_fields({**CYCLE, **changes})
    if found:
        record = resumed_state(found, 0.0, 100.0)
        assert record.due <= 100.0 + record.interval


@pytest.mark.parametrize("missing", [*CYCLE])
def test_a_schedule_without_a_field_is_left_out(missing: str) -> None:
    assert validated_fields({name: value for name, value in CYCLE.items() if name != missing}) == {}


FIELDS = json.loads(encode(BEAT))


@given(st.sampled_from([*FIELDS]), json_values)
def test_a_heartbeat_with_any_field_changed_can_be_shown(name: str, value: object) -> None:
    beat = decode("vm:1:ab", json.dumps({**FIELDS, name: value}).encode())
    assert beat.name == "vm:1:ab"
    now = 1_700_000_000.0
    looked_at(ClusterView(time=now, last_seen={"vm:1:ab": now, "x": now}, heartbeats={"x": beat}))


@given(st.sampled_from([*FIELDS["stages"][0]]), json_values)
def test_a_stage_with_any_field_changed_can_be_shown(name: str, value: object) -> None:
    stages = [{**FIELDS["stages"][0], name: value}]
    beat = decode("vm:1:ab", json.dumps({**FIELDS, "stages": stages}).encode())
    looked_at(ClusterView(time=1.0, last_seen={"x": 1.0}, heartbeats={"x": beat}))


@pytest.mark.parametrize("data", HOSTILE)
def test_an_invalid_heartbeat_leaves_a_node_with_a_name(data: bytes) -> None:
    assert decode("vm:1:ab", data) == Heartbeat(
        "vm:1:ab", "vm:1:ab", "unknown", trouble="unreadable heartbeat"
    )
    assert decode_workers("vm:1:ab", data) == ()


@given(st.sampled_from(["ticker", "quote", "row"]), st.lists(json_values, max_size=16))
def test_any_queue_entry_is_decoded_or_refused(kind: str, fields: list[object]) -> None:
    for codec in (TickerCodec(lambda: 1.0), FetchedCodec(lambda: 1.0), RowCodec(lambda: 1.0)):
        with pytest.raises(BrokerError, match="unreadable queue entry"):
            codec.decode(json.dumps([kind, *fields, {}]).encode())


@pytest.mark.parametrize("tick", ["NaN", "Infinity", "1e999", '"soon"', "true", "null", "[]"])
def test_a_ticker_requested_at_no_time_is_refused(tick: str) -> None:
    with pytest.raises(BrokerError, match="unreadable queue entry"):
        TickerCodec(lambda: 1.0).decode(f'["ticker","AAPL",{tick},0]'.encode())


@pytest.mark.parametrize("price", ["NaN", "1E999999999", "-Infinity", "1E-999999999", "x", ""])
def test_an_invalid_price_in_an_entry_is_refused(price: str) -> None:
    time = "2026-05-04T13:30:00+00:00"
    entry = ["quote", "AAPL", price, None, None, "USD", time, "REGULAR", None, time, 1.0, "price-1"]
    with pytest.raises(BrokerError, match="unreadable queue entry"):
        FetchedCodec(lambda: 1.0).decode(json.dumps(entry).encode())


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("base", "data"),
    [
        *(("USD", data) for data in HOSTILE),
        ("USD", json.dumps(["6.9", "2026-05-04T13:30:00"]).encode()),
        ("USD", json.dumps(["6.9", (NOW + timedelta(days=400)).isoformat()]).encode()),
        ("USD", json.dumps(["-6.9", NOW.isoformat()]).encode()),
        ("USD", json.dumps(["1E400", NOW.isoformat()]).encode()),
        ("USD", json.dumps(["NaN", NOW.isoformat()]).encode()),
        ("USD", json.dumps([{}, NOW.isoformat()]).encode()),
        ("drop table", json.dumps(["6.9", NOW.isoformat()]).encode()),
    ],
    # Without the time, which differs in every worker process.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_rate_is_not_accepted(base: str, data: bytes) -> None:
    book = SharedFxRates("DKK", HashBroker({base: data}))  # type: ignore[arg-type]
    book.merge({base: data, "EUR": json.dumps(["7.46", NOW.isoformat()]).encode()})
    assert book.primary()[1] is None
    assert [pair for pair, _ in book.unknown_pairs()] == ["USD"], "what is no currency is not asked for"
    assert book.is_pending(["USD"])


@pytest.mark.parametrize("record", [None, *HOSTILE, b'{"listed":[{}]}', b'{"listed":[],"chosen":[1,2]}'])
def test_a_list_that_cannot_be_read_does_not_replace_the_current_one(record: bytes | None) -> None:
    broker = HashBroker({} if record is None else {"version": b"2", "record": record})
    current_constituents = SharedConstituents(lambda: pytest.fail("not asked"), ("AAPL",), 60.0, broker)  # type: ignore[arg-type]
    current_constituents.refresh_from("2")
    current_constituents.refresh_from("2")
    assert current_constituents.symbols == ("AAPL",)


def test_reasons_of_missing_symbols_are_shown_without_control_characters() -> None:
    book = SharedMissingSymbols(HashBroker())  # type: ignore[arg-type]
    view = parse([b"1", [], [], [], [], b"", [], [], [b"AAPL", b"\x1b[2J\xff"], [], b""])
    book.merge(view.missing)
    (missing,) = book.snapshot()
    assert "\x1b" not in missing.reason


def test_an_unreadable_value_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    untrusted.warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert validated_fields({"number": "many"}) == {}
    assert len(caplog.records) == 1
    assert "the schedule of the cycles" in caplog.text
