"""The effects of the faults as text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import CycleSnapshot, Latency, MissingSymbol, Snapshot
from sp500tui.tui.demo.effects import effects
from tests.support.tui.fake_pipeline import running

CYCLE = CycleSnapshot(42, 503, 503, False, 1.6, 0.4, 0, 2.0)


def calm(p95: float | None = 47.0) -> Snapshot:
    return with_price(replace(running(), cycle=CYCLE, missing=()), latency=Latency(p95=p95), oldest_work=None)


def with_price(snapshot: Snapshot, **changes: Any) -> Snapshot:
    stages = tuple(
        replace(stage, **changes) if stage.name is StageName.PRICE else stage for stage in snapshot.stages
    )
    return replace(snapshot, stages=stages)


def test_slow_answers_change_latency_and_cycle() -> None:
    now = with_price(replace(calm(), cycle=replace(CYCLE, seconds=7.5)), latency=Latency(p95=2400.0))
    assert effects(calm(), now)[:2] == ["price p95 47 → 2,400 ms", "cycle 1.6 → 7.5 s"]


def test_a_request_in_progress_counts_while_nothing_finishes() -> None:
    now = with_price(calm(None), oldest_work=9.8)
    assert effects(calm(), now)[0] == "price p95 47 → >9,000 ms"


def test_figures_that_are_not_known_or_have_not_changed_are_left_out() -> None:
    assert effects(None, calm()) == []
    assert effects(calm(None), calm()) == []
    assert effects(calm(), calm(None)) == []
    assert effects(calm(), calm()) == ["price p95 47 → 47 ms"]


def test_what_happened_since_is_counted() -> None:
    before = calm(None)
    sources = replace(
        before.sources, rate_limit=before.sources.rate_limit / 2, failed=before.sources.failed + 12
    )
    journal = replace(before.journal, rows=before.journal.rows + 1)
    now = replace(before, sources=sources, journal=journal, missing=(MissingSymbol("AAPL", "left out"),))
    limit, *counts = effects(before, with_price(now, restarts=before.stage(StageName.PRICE).restarts + 1))
    assert limit.startswith("limit ")
    assert limit.endswith("/s")
    assert "12 failed" in counts
    assert "1 missing" in counts
    assert "1 row in the journal" in counts
    assert counts[-1] == "1 restart"
