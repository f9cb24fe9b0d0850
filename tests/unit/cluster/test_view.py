"""The view of the cluster: live and lost nodes, and the desired number of workers of each."""

from __future__ import annotations

import pytest

from sp500tui.cluster.membership.heartbeat import Heartbeat, encode
from sp500tui.cluster.membership.view import ClusterView, distribute, parse, unresponsive
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Latency, Phase, StageSnapshot


def a_stage(name: StageName, size: int = 2) -> StageSnapshot:
    return StageSnapshot(
        name, size=size, alive=size, busy=0, items=0, failed=0, rate=0.0, latency=Latency(), restarts=0
    )


def a_beat(name: str, *stages: StageName) -> Heartbeat:
    return Heartbeat(name, "vm", "0.1.0", phase=Phase.RUNNING, stages=tuple(map(a_stage, stages)))


class TestSilent:
    @pytest.mark.parametrize(
        ("age", "lost"), [(0.0, ()), (4.9, ()), (5.0, ("b",)), (3600.0, ("b",)), (-2.0, ())]
    )
    def test_five_seconds_without_a_heartbeat_are_too_many(self, age: float, lost: tuple[str, ...]) -> None:
        assert unresponsive({"a": 100.0, "b": 100.0 - age}, 100.0) == lost

    def test_a_silent_node_is_not_alive(self) -> None:
        view = ClusterView(
            time=100.0, last_seen={"a": 99.5, "b": 90.0}, heartbeats={"a": a_beat("a"), "b": a_beat("b")}
        )
        assert [beat.name for beat in view.alive()] == ["a"]


class TestSpread:
    @pytest.mark.parametrize(
        ("total", "nodes", "shares"),
        [
            (7, "ab", [4, 3]),
            (6, "ab", [3, 3]),
            (8, "abc", [3, 3, 2]),
            (1, "abc", [1, 1, 1]),
            (0, "a", [1]),
            (1000, "ab", [64, 64]),
            (5, "", []),
        ],
    )
    def test_workers_are_shared_out_evenly_and_every_node_keeps_one(
        self, total: int, nodes: str, shares: list[int]
    ) -> None:
        assert list(distribute(total, list(nodes)).values()) == shares


class TestWanted:
    def test_a_number_is_for_one_stage_of_one_node(self) -> None:
        view = ClusterView(desired={"vm:1:ab|price": "5", "vm:1:ab|writer": "many"})
        assert view.desired_size("vm:1:ab", StageName.PRICE) == 5
        assert view.desired_size("vm:1:ab", StageName.WRITER) is None
        assert view.desired_size("vm:2:cd", StageName.PRICE) is None

    def test_only_living_nodes_with_the_stage_run_it(self) -> None:
        heartbeats = {
            "a": a_beat("a", StageName.PRICE),
            "b": a_beat("b", StageName.WRITER),
            "c": a_beat("c", StageName.PRICE),
        }
        view = ClusterView(time=10.0, last_seen={"a": 9.0, "b": 9.0, "c": 1.0}, heartbeats=heartbeats)
        assert view.running(StageName.PRICE) == ("a",)


CYCLE = {
    "number": "7",
    "total": "3",
    "running": "0",
    "began": "90.0",
    "due": "110.0",
    "seconds": "1.5",
    "skipped": "0",
    "interval": "10.0",
    "complete": "1",
}


def test_the_members_are_read_from_the_answer_of_the_broker() -> None:
    beat = a_beat("vm:1:ab", StageName.PRICE)
    view = parse(
        [
            b"100.5",
            [b"vm:1:ab", b"100.0"],
            [b"vm:1:ab", encode(beat)],
            [],
            [
                [
                    b"vm:2:cd",
                    b"90.25 " + encode(a_beat("vm:2:cd")),
                    [b"rows", b"500"],
                    [b"rows vm:1:ab", b"300"],
                ]
            ],
            b"vm:1:ab",
            [part.encode() for pair in CYCLE.items() for part in pair],
            [b"interval", b"2.0"],
            [b"AAPL", b"no answer"],
            [b"USD", b"[]"],
            b"abc",
        ]
    )
    assert view.alive() == (beat,)
    assert view.silence("vm:1:ab") == 0.5
    assert view.scheduler == "vm:1:ab"
    assert (view.cycle, view.desired, view.missing) == (
        CYCLE,
        {"interval": "2.0"},
        {"AAPL": "no answer"},
    )
    assert (view.rates, view.list_version) == ({"USD": b"[]"}, "abc")
    (lost,) = view.lost
    assert (lost.heartbeat.name, lost.last_seen, lost.held) == ("vm:2:cd", 90.25, {"rows": 500})
    assert lost.new_owners == {("vm:1:ab", "rows"): 300}
