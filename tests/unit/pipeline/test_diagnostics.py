"""Which stage holds the others up, and how Yahoo Finance does, in words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from sp500tui.model import FxRate
from sp500tui.pipeline.core.snapshot import (
    DatabaseSnapshot,
    Health,
    Latency,
    QueueName,
    QueueSnapshot,
    StageName,
    StageSnapshot,
    WorkerSnapshot,
    WorkerState,
)
from sp500tui.pipeline.monitoring.diagnostics import bottleneck, source_snapshot
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.sources.throttle import CircuitState, ThrottleState
from tests.support.rows import OPENING

STAGES = tuple(
    StageSnapshot(name, size=2, alive=2, busy=0, items=0, failed=0, rate=0.0, latency=Latency(), restarts=0)
    for name in StageName
)
EMPTY = tuple(
    QueueSnapshot(
        name, ready=0, in_flight=0, capacity=100, high_water=0, oldest_age=None, rate_in=0, rate_out=0
    )
    for name in QueueName
)
UP = DatabaseSnapshot(health=Health.OK)


def stages(name: StageName, **changes: object) -> list[StageSnapshot]:
    return [replace(each, **changes) if each.name is name else each for each in STAGES]  # type: ignore[arg-type]


def queues(name: QueueName, ready: int, age: float = 0.0) -> list[QueueSnapshot]:
    return [replace(each, ready=ready, oldest_age=age) if each.name is name else each for each in EMPTY]


def waiting(stage: StageName, doing: str) -> WorkerSnapshot:
    return WorkerSnapshot(
        name=f"{stage}-1",
        stage=stage,
        state=WorkerState.BACKOFF,
        doing=doing,
        state_seconds=1,
        items=0,
        rate_1=0,
        rate_10=0,
        rate_60=0,
        latency=Latency(),
        restarts=0,
        last_error="",
        retry_in=None,
        pid=1,
        thread=1,
    )


def test_there_is_no_bottleneck_while_every_stage_keeps_up() -> None:
    assert bottleneck(STAGES, EMPTY, (), UP) is None
    assert bottleneck(STAGES, queues(QueueName.ROWS, 74, 0.9), (), UP) is None


@pytest.mark.parametrize(
    ("name", "changes", "ready", "age", "reason", "advice"),
    [
        (StageName.WRITER, {"busy": 2}, 75, 0.0, "all 2 busy, 75 rows wait", "+ adds one"),
        (StageName.WRITER, {"busy": 64, "alive": 64, "size": 64}, 75, 0.0, "all 64 busy, 75 rows wait", ""),
        (StageName.WRITER, {"busy": 1}, 5, 1.0, "5 rows wait", ""),
        (StageName.CONVERTER, {"paused": True}, 80, 0.0, "paused", "p resumes"),
        (StageName.PRICE, {"busy": 2}, 2_000, 9.0, "all 2 busy, 2,000 tickers wait", "+ adds one"),
    ],
)
def test_the_reason_and_the_advice(
    name: StageName, changes: dict[str, object], ready: int, age: float, reason: str, advice: str
) -> None:
    fed_by = {
        StageName.PRICE: QueueName.TICKERS,
        StageName.CONVERTER: QueueName.QUOTES,
        StageName.WRITER: QueueName.ROWS,
    }
    found = bottleneck(stages(name, **changes), queues(fed_by[name], ready, age), (), UP)
    assert found is not None
    assert (found.stage, found.reason, found.advice) == (name, reason, advice)


def test_the_last_full_queue_determines_the_bottleneck() -> None:
    both = [replace(each, ready=100) for each in EMPTY]
    found = bottleneck(STAGES, both, (), replace(UP, health=Health.DOWN))
    assert found is not None
    assert (found.stage, found.reason) == (StageName.WRITER, "the database takes no rows")


def test_the_reason_names_what_all_workers_wait_for() -> None:
    workers = [waiting(StageName.PRICE, "throttled")] * 2
    found = bottleneck(STAGES, queues(QueueName.TICKERS, 100), workers, UP)
    assert found is not None
    assert found.reason == "all 2 wait: throttled"


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
            replace(CALM, circuit=CircuitState.OPEN, message="asks for fewer requests", retry_in=9.0),
            Health.DOWN,
            "Yahoo Finance: asks for fewer requests",
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


def test_a_stage_that_no_node_of_the_cluster_runs_is_the_bottleneck() -> None:
    found = bottleneck(stages(StageName.WRITER, size=0, alive=0), queues(QueueName.ROWS, 90), [], UP)
    assert found is not None
    assert (found.stage, found.reason) == (StageName.WRITER, "no node runs it")
    assert found.advice == "sp500tui worker --stages writer adds one"
