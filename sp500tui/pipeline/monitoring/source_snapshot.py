"""The state of Yahoo Finance as front ends see it, from the throttle and the exchange rates."""

from __future__ import annotations

from sp500tui.pipeline.core.snapshot import Health, SourceSnapshot
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.sources.throttle import CircuitState, ThrottleState


def source_snapshot(state: ThrottleState, fx: FxRates) -> SourceSnapshot:
    """The state of Yahoo Finance from the throttle and the exchange rates."""
    pair, rate, age = fx.primary()
    if state.circuit is CircuitState.CLOSED:
        slow = state.rate < state.limit
        started = state.last_success_age is not None
        health = Health.DEGRADED if slow else Health.OK if started else Health.STARTING
        message = f"Yahoo Finance: {state.rate:.1f} of {state.limit:.1f} requests/s allowed" if slow else ""
    else:
        health, message = Health.DOWN, state.message
    return SourceSnapshot(
        health=health,
        message=message,
        rate_limit=state.rate,
        max_rate=state.limit,
        retry_in=state.retry_in,
        requests=state.requests,
        succeeded=state.succeeded,
        failed=state.failed,
        throttled=state.throttled,
        last_success=state.last_success_age,
        fx_pair=pair,
        fx_rate=str(rate.rate) if rate else "",
        fx_age=age,
    )
