"""One scrape describes one snapshot, with the names and labels that dashboards and alerts rely on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sp500tui.headless.metrics import MeasuredRun, RunCollector
from sp500tui.model import Constituent
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.metrics import DURATION_BOUNDS, Durations, LatencyHistogram
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import (
    DatabaseSnapshot,
    Health,
    JournalSnapshot,
    LivePrice,
    LockSnapshot,
    Snapshot,
    SourceSnapshot,
    WorkerState,
)
from tests.support.pipeline.fake_run import FakeRun, a_snapshot
from tests.support.pipeline.rows import row

LEDGER = Ledger(fetched=100, stored=60, duplicate=20, queued=8, in_flight=7, spooled=4, dead=1)


class Run(FakeRun):
    """A fake run with given durations, which counts its snapshots."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self.snapshots = 0
        self.histogram = LatencyHistogram()

    def snapshot(self) -> Snapshot:
        self.snapshots += 1
        return super().snapshot()

    def durations(self) -> Mapping[str, Durations]:
        return {"fetch": self.histogram.durations(), "commit": Durations()}


def registry_of(run: MeasuredRun | None) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(RunCollector(lambda: run, clock=lambda: a_snapshot().taken_at))
    return registry


def value(run: MeasuredRun, name: str, **labels: str) -> float | None:
    return registry_of(run).get_sample_value(f"sp500tui_{name}", labels)


def test_the_equation_is_complete() -> None:
    run = Run(replace(a_snapshot(), ledger=LEDGER))
    ends = [value(run, "quotes_total", outcome=name) for name in ("stored", "duplicate", "dead")]
    pending = [value(run, "quotes_pending", state=name) for name in ("queued", "in_flight", "spooled")]
    assert ends == [60, 20, 1]
    assert pending == [8, 7, 4]
    assert value(run, "quotes_fetched_total") == sum(
        map(float, [*filter(None, ends), *filter(None, pending)])
    )


def test_every_queue_has_its_items_and_the_age_of_the_oldest() -> None:
    run = Run(a_snapshot())
    for queue in QueueName:
        assert value(run, "queue_items", queue=queue, state="ready") == 12
        assert value(run, "queue_items", queue=queue, state="in_flight") == 2
        assert value(run, "queue_oldest_seconds", queue=queue) == 0.1


def test_an_empty_queue_has_no_oldest_item() -> None:
    queues = tuple(replace(queue, oldest_age=None) for queue in a_snapshot().queues)
    assert value(Run(replace(a_snapshot(), queues=queues)), "queue_oldest_seconds", queue="rows") == 0


def test_a_stage_has_a_sample_for_every_state_also_without_workers() -> None:
    run = Run(a_snapshot())
    samples = {
        (sample.labels["stage"], sample.labels["state"])
        for family in registry_of(run).collect()
        for sample in family.samples
        if sample.name == "sp500tui_stage_workers"
    }
    assert samples == {
        (stage.value, state.value.replace(" ", "_")) for stage in StageName for state in WorkerState
    }


def test_the_time_of_a_stage_is_counted_by_state() -> None:
    run = Run(a_snapshot())
    assert value(run, "stage_blocked_seconds_total", stage="converter") == 1.5
    assert value(run, "stage_state_seconds_total", stage="converter", state="idle") == 10
    assert value(run, "stage_state_seconds_total", stage="converter", state="waiting_for_database") == 0


def test_processor_time_is_counted_for_threads_and_for_the_processes_of_writers() -> None:
    run = Run(a_snapshot())
    assert value(run, "stage_processor_seconds_total", stage="writer", of="threads") == 2.5
    assert value(run, "stage_processor_seconds_total", stage="writer", of="processes") == 0.5


def test_the_interpreter_lock_is_described_where_there_is_one() -> None:
    assert value(Run(a_snapshot()), "interpreter_lock_held_ratio") is None
    run = Run(replace(a_snapshot(), interpreter_lock=LockSnapshot(0.25, wait_ms=1.5, longest_ms=5.0)))
    assert value(run, "interpreter_lock_held_ratio") == 0.25
    assert value(run, "interpreter_lock_wait_seconds") == 0.0015


def test_requests_are_counted_by_outcome_and_the_throttle_is_described() -> None:
    source = SourceSnapshot(
        Health.DOWN, rate_limit=2.5, retry_in=12.0, requests=13, succeeded=9, failed=1, throttled=2
    )
    run = Run(replace(a_snapshot(), sources=source))
    assert [value(run, "requests_total", outcome=name) for name in ("ok", "failed", "throttled")] == [9, 1, 2]
    assert value(run, "throttle_requests_per_second") == 2.5
    assert value(run, "throttle_open") == 1
    assert value(run, "throttle_retry_seconds") == 12
    assert value(run, "health", component="source", state="down") == 1
    assert value(run, "health", component="source", state="ok") == 0


def test_the_storage_is_described() -> None:
    run = Run(
        replace(
            a_snapshot(),
            journal=JournalSnapshot(bytes=4096, rows=12, limit_bytes=1 << 30),
            database=DatabaseSnapshot(Health.DOWN, "refused"),
        )
    )
    assert value(run, "journal_bytes") == 4096
    assert value(run, "journal_rows") == 12
    assert value(run, "database_up") == 0
    assert value(run, "health", component="database", state="down") == 1


def test_durations_are_a_cumulative_histogram() -> None:
    run = Run(a_snapshot())
    for seconds in (0.004, 0.2, 0.2, 70.0):
        run.histogram.record(seconds)
    assert value(run, "fetch_seconds_bucket", le="0.005") == 1
    assert value(run, "fetch_seconds_bucket", le="0.25") == 3
    assert value(run, "fetch_seconds_bucket", le="60.0") == 3
    assert value(run, "fetch_seconds_bucket", le="+Inf") == 4
    assert value(run, "fetch_seconds_count") == 4
    assert value(run, "fetch_seconds_sum") == pytest.approx(70.404)
    assert value(run, "commit_seconds_count") == 0


def test_a_duration_on_a_bound_belongs_to_its_bucket() -> None:
    histogram = LatencyHistogram()
    for bound in DURATION_BOUNDS:
        histogram.record(bound)
    assert histogram.durations().counts == (*(1 for _ in DURATION_BOUNDS), 0)


def price(symbol: str, age: float) -> LivePrice:
    """The latest trade of a symbol, some seconds ago."""
    traded = a_snapshot().taken_at - timedelta(seconds=age)
    return LivePrice(replace(row(0), quote=replace(row(0).quote, symbol=symbol, quote_time=traded)), 1)


def test_the_ages_of_the_symbols_are_quantiles() -> None:
    run = Run(a_snapshot())
    run.prices = [price("AAPL", age) for age in range(101)]
    assert [value(run, "symbol_age_seconds", quantile=name) for name in ("0", "0.5", "0.9", "1")] == [
        0,
        50,
        90,
        100,
    ]


def test_a_symbol_that_has_left_the_list_does_not_age() -> None:
    run = Run(a_snapshot())
    run.prices = [price("GONE", 86_400), price("AAPL", 3)]
    run.listed = [Constituent(symbol, "", "", "", "", None, "", "") for symbol in ("AAPL", "NEW")]
    assert value(run, "symbol_age_seconds", quantile="1") == 3


def test_before_the_first_price_there_is_no_age() -> None:
    assert value(Run(a_snapshot()), "symbol_age_seconds", quantile="1") is None


def test_a_scrape_takes_one_snapshot() -> None:
    run = Run(a_snapshot())
    registry = registry_of(run)
    assert run.snapshots == 0
    generate_latest(registry)
    assert run.snapshots == 1


def test_before_the_run_exists_there_is_only_the_version() -> None:
    names = [family.name for family in registry_of(None).collect()]
    assert names == ["sp500tui_build"]


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    # given a run with all values known
    run = Run(
        replace(
            a_snapshot(),
            sources=SourceSnapshot(Health.OK, retry_in=1.0, last_success=1.0, fx_age=1.0),
            database=DatabaseSnapshot(Health.OK, rows_total=1),
            interpreter_lock=LockSnapshot(0.25, wait_ms=1.5, longest_ms=5.0),
        )
    )

    # when it is scraped
    endings = {"counter": "_total", "info": "_info"}
    names = {family.name + endings.get(family.type, "") for family in registry_of(run).collect()}

    # then the page has exactly these
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert names == set(re.findall(r"`(sp500tui_\w+)", page))
