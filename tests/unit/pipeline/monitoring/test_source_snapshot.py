"""The health of Yahoo Finance, from the throttle and the exchange rates."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from sp500tui.model import FxRate
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.pipeline.monitoring.source_snapshot import source_snapshot
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.sources.throttle import CircuitState, ThrottleState
from tests.support.pipeline.rows import OPENING

CALM = ThrottleState(
    circuit=CircuitState.CLOSED,
    rate=4.0,
    limit=4.0,
    retry_in=None,
    requests=7,
    succeeded=7,
    failed=1,
    throttled=2,
    last_success_age=0.5,
    message="",
)


@pytest.mark.parametrize(
    ("state", "health", "message"),
    [
        (CALM, Health.OK, ""),
        (replace(CALM, last_success_age=None), Health.STARTING, ""),
        (replace(CALM, rate=1.0), Health.DEGRADED, "Yahoo Finance: 1.0 of 4.0 requests/s allowed"),
        (
            replace(
                CALM, circuit=CircuitState.OPEN, message="Yahoo Finance limits the request rate", retry_in=9.0
            ),
            Health.DOWN,
            "Yahoo Finance limits the request rate",
        ),
    ],
)
def test_the_health_of_yahoo_finance(state: ThrottleState, health: Health, message: str) -> None:
    fx = FxRates("DKK")
    fx.update([FxRate("USD", "DKK", Decimal("6.858"), OPENING)])
    seen = source_snapshot(state, fx)
    assert (seen.health, seen.message, seen.retry_in) == (health, message, state.retry_in)
    assert (seen.requests, seen.failed, seen.throttled) == (7, 1, 2)
    assert (seen.fx_pair, seen.fx_rate) == ("USD/DKK", "6.858")
    assert seen.fx_age is not None


def test_before_the_first_rate_none_is_shown() -> None:
    assert source_snapshot(CALM, FxRates("DKK")).fx_rate == ""
