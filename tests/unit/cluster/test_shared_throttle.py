"""One limit and one back-off for all nodes with the same outgoing address."""

from __future__ import annotations

import pytest

from sp500tui.cluster.shared.throttle import SharedThrottle, peers, share
from sp500tui.errors import ThrottledError
from sp500tui.pipeline.core.names import StageName
from sp500tui.sources.throttle import CircuitState
from tests.unit.cluster.test_view import a_beat


@pytest.mark.parametrize(
    ("limit", "nodes", "part"), [(5.0, 1, 5.0), (5.0, 2, 2.5), (6.0, 4, 1.5), (5.0, 0, 5.0)]
)
def test_the_limit_is_shared_evenly(limit: float, nodes: int, part: float) -> None:
    assert share(limit, nodes) == part


def test_only_nodes_that_send_from_the_same_address_share() -> None:
    alive = [a_beat("a", StageName.PRICE), a_beat("b", StageName.WRITER), a_beat("c", StageName.PRICE)]
    assert [beat.name for beat in peers(alive, "")] == ["a", "c"]
    assert peers(alive, "elsewhere") == ()


def test_the_share_changes_with_the_number_of_nodes() -> None:
    throttle = SharedThrottle(8.0, burst=16)
    throttle.divide(4)
    assert (throttle.state().limit, throttle.state().rate) == (2.0, 2.0)
    throttle.divide(2)
    assert (throttle.state().limit, throttle.state().rate) == (4.0, 4.0)


def test_a_rate_that_a_429_has_lowered_stays_low() -> None:
    throttle = SharedThrottle(8.0, burst=16)
    throttle.acquire()
    throttle.throttled(0.0)
    lowered = throttle.state().rate
    assert lowered < 8.0
    throttle.divide(4)
    assert throttle.state().rate == lowered / 4
    throttle.divide(1)
    assert throttle.state().rate == lowered


def test_the_back_off_of_another_node_holds_this_one_and_is_not_forwarded() -> None:
    throttle = SharedThrottle(8.0, burst=16)
    throttle.hold(30.0, "429 (heard by vm:2)")
    with pytest.raises(ThrottledError, match=r"429 \(heard by vm:2\)"):
        throttle.acquire()
    assert throttle.state().circuit is CircuitState.OPEN
    assert throttle.own_backoff() == (0.0, "")


def test_its_own_back_off_is_published_and_not_extended_by_the_others() -> None:
    throttle = SharedThrottle(8.0, burst=16)
    throttle.acquire()
    throttle.throttled(20.0)
    throttle.hold(3000.0, "from elsewhere")
    left, reason = throttle.own_backoff()
    assert 0 < left <= 60
    assert "elsewhere" not in reason
