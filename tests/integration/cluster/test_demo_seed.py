"""The demo markets of several nodes share one seed and show the same prices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.shared.demo_seed import share_demo_seed, time_of_day
from sp500tui.config.settings import Settings
from tests.support.cluster.valkey import ValkeyServer


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(34_220, "09:30:20"), (34_279.9, "09:31:19"), (86_399, "23:59:59"), (86_400 + 61, "00:01:01")],
)
def test_seconds_are_shown_as_a_time_of_day(seconds: float, text: str) -> None:
    assert time_of_day(seconds) == text


def test_the_first_node_sets_the_seed_for_all(
    valkey: ValkeyServer, make_broker: Callable[..., Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a first node with a configured seed
    one, two = make_broker(valkey), make_broker(valkey)
    first = share_demo_seed(one, Settings(demo=True, market_seed=7), reset=True)
    assert (first.seed, first.start_at) == (7, "09:30:20")

    # when others join, their market has the same time as that of the first one, whatever their configuration
    with monkeypatch.context() as later:
        later.setattr(two, "now", lambda: one.now() + 60)
        second = share_demo_seed(two, Settings(demo=True, market_seed=8), reset=False)
    assert second.seed == 7
    assert "09:31:20" <= second.start_at < "09:32:20"

    # and a node that finds no other starts with a new seed
    third = share_demo_seed(two, Settings(demo=True, market_seed=8), reset=True)
    assert (third.seed, third.start_at) == (8, "09:30:20")
    unseeded = share_demo_seed(two, Settings(demo=True), reset=True).seed
    assert share_demo_seed(one, Settings(demo=True), reset=False).seed == unseeded
