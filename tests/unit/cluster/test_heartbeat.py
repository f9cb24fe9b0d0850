"""Heartbeats round-trip; an unreadable one is ignored."""

from __future__ import annotations

import json

import pytest

from sp500tui.cluster.membership.heartbeat import Heartbeat, decode, decode_workers, encode, encode_workers
from sp500tui.cluster.membership.membership import check_versions, node_name, short_name
from sp500tui.cluster.membership.view import ClusterView
from sp500tui.errors import ConfigurationError
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import (
    Health,
    Latency,
    Phase,
    SourceSnapshot,
    WorkerSnapshot,
    WorkerState,
)
from tests.unit.cluster.test_view import a_stage

BEAT = Heartbeat(
    name="vm:1:ab",
    host="vm",
    version="0.1.0",
    uptime=12.5,
    phase=Phase.DRAINING,
    fetch_group="office",
    stages=(a_stage(StageName.PRICE), a_stage(StageName.WRITER)),
    sources=SourceSnapshot(Health.DEGRADED, "slow", rate_limit=2.5, last_success=0.25),
    held_up=3.5,
    held_up_by="429",
    end_to_end=Latency(1.0, 2.0, 3.0),
    trouble="database: away",
)
WORKER = WorkerSnapshot(
    name="price-1",
    stage=StageName.PRICE,
    state=WorkerState.BUSY,
    doing="50 symbols",
    state_seconds=0.5,
    items=100,
    rate_1=1.0,
    rate_10=2.0,
    rate_60=3.0,
    latency=Latency(5.0, 6.0, 7.0),
    restarts=1,
    last_error="",
    retry_in=None,
    pid=11,
    thread=12,
    history=(0.0, 2.0),
    node="vm:1:ab",
)


def test_a_heartbeat_round_trips() -> None:
    assert decode("vm:1:ab", encode(BEAT)) == BEAT


def test_workers_round_trip_with_the_name_of_their_node() -> None:
    assert decode_workers("vm:1:ab", encode_workers((WORKER,))) == (WORKER,)


@pytest.mark.parametrize("text", [b"", b"null", b"[1]", b"\xff", b'{"name": "x"}', b'{"stages": 3}'])
def test_an_unreadable_heartbeat_names_the_node_only(text: bytes) -> None:
    found = decode("vm:9:zz", text)
    assert (found.name, found.version, found.stages) == ("vm:9:zz", "unknown", ())
    assert decode_workers("vm:9:zz", text) == ()


def test_only_the_common_fields_of_another_version_are_read() -> None:
    fields = json.loads(encode(BEAT)) | {"version": "9.0.0", "colour": "blue"}
    found = decode("vm:1:ab", json.dumps(fields).encode())
    assert (found.name, found.host, found.version) == ("vm:1:ab", "vm", "9.0.0")


def test_nodes_of_another_version_are_not_joined() -> None:
    view = ClusterView(time=10.0, last_seen={"vm:1:ab": 9.5}, heartbeats={"vm:1:ab": BEAT})
    check_versions(view, "0.1.0")
    with pytest.raises(
        ConfigurationError, match=r"node vm:1 runs sp500tui 0\.1\.0, this is 0\.2\.0: .*update"
    ):
        check_versions(view, "0.2.0")


def test_a_lost_node_of_another_version_is_ignored() -> None:
    check_versions(ClusterView(time=100.0, last_seen={"vm:1:ab": 9.5}, heartbeats={"vm:1:ab": BEAT}), "0.2.0")


def test_every_program_has_a_unique_name() -> None:
    one, other = node_name(), node_name()
    assert one != other
    assert short_name(one) == short_name(other)
