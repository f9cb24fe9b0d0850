"""Guarantee: failed requests are retried with back-off; every symbol is priced or reported as missing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sp500tui.pipeline.core.snapshot import Health, Snapshot
from sp500tui.simulator.process import DemoMarket
from tests.faults.checker import Checker
from tests.faults.rig.engine import Engine, EngineStarter
from tests.faults.rig.program import pause, wait_for
from tests.faults.rig.steps import FIFTY


def requests(market: DemoMarket) -> int:
    """Requests of every kind that the market has seen so far."""
    seen: Any = market.statistics()["requests"]
    return sum(seen.values())


def everything_is_well(snapshot: Snapshot) -> bool:
    return not snapshot.missing and snapshot.sources.health in (Health.OK, Health.DEGRADED)


def recovers(run: Engine, check: Checker, url: str) -> None:
    """Wait until every symbol has a price again, and check that everything served was stored."""
    cycle = run.snapshot().cycle.number
    run.waits_for(
        lambda s: s.cycle.number > cycle + 1 and everything_is_well(s), "every symbol priced again", 60
    )
    run.stores(20)
    ledger = run.ends()
    assert ledger.dead == 0
    verdict = check.verdict(url)
    assert verdict.wrong <= {"lost"}, str(verdict)


@pytest.mark.thorough
def test_a_storm_of_429_is_met_with_few_requests(
    engine: EngineStarter, check: Checker, market: DemoMarket, database_url: str
) -> None:
    storm(engine, check, market, database_url, 8)


@pytest.mark.soak
def test_a_minute_of_429_is_met_with_ten_requests(
    engine: EngineStarter, check: Checker, market: DemoMarket, database_url: str
) -> None:
    storm(engine, check, market, database_url, 60)


def storm(
    engine: EngineStarter,
    check: Checker,
    market: DemoMarket,
    url: str,
    seconds: int,
) -> None:
    """After the first 5 s at most ten requests are sent, the screen counts down, and recovery is automatic."""
    run = engine(url, interval=0.2, price_workers=8)
    run.stores(20)
    market.set_faults(throttle=1.0)
    run.waits_for(lambda s: s.sources.health is Health.DOWN and s.sources.retry_in is not None, "a countdown")
    pause(5)
    before = requests(market)
    pause(seconds - 5)
    assert requests(market) - before <= 10
    market.clear_faults()
    recovers(run, check, url)


def happened(market: DemoMarket) -> Counter[str]:
    """Number of times that each fault has been injected."""
    counts: Any = market.statistics()["faults"]
    return Counter(counts)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "faults",
    [
        {"server_error": 0.2, "html": 0.2, "garbage": 0.2},
        {"truncated_body": 0.2, "drop": 0.2, "slow_body": 0.2, "slow_body_seconds": 3.0},
        {"empty": 0.2, "missing_symbol": 0.2, "unrequested_symbols": 1.0, "stale": 0.3},
        {"nan_price": 0.2, "null_price": 0.2, "negative_price": 0.2, "fx": "zero"},
        # Both at once: some ten seconds pass between two attempts for a crumb.
        {"invalid_crumb": 1.0, "corrupt_crumb": 1.0, "limits": {"invalid_crumb": 2, "corrupt_crumb": 2}},
    ],
    ids=lambda faults: "-".join(faults),
)
def test_invalid_answers_are_neither_stored_nor_silently_ignored(
    engine: EngineStarter,
    check: Checker,
    market: DemoMarket,
    database_url: str,
    faults: dict[str, object],
) -> None:
    """Nothing is stored that was not served, every symbol is priced or reported, and recovery is automatic."""
    run = engine(database_url, request_timeout=1.0, batch_size=10)
    before = happened(market)
    market.set_faults(**faults)
    chances = {name for name, value in faults.items() if isinstance(value, float) and value <= 1}
    wait_for(lambda: set(happened(market) - before) >= chances, f"requests that meet each of {chances}")
    seen = run.snapshot()
    if seen.cycle.number > 1 and not seen.cycle.running:
        named = {missing.symbol for missing in seen.missing}
        priced = {price.row.quote.symbol for price in run.pipeline.prices_since(0)[1]}
        assert named | priced >= set(FIFTY.split(","))
    market.clear_faults()
    recovers(run, check, database_url)
