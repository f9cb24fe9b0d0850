"""The status bar tells state, progress, equation and trouble at every width, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.config.settings import Settings
from sp500tui.model import MarketState
from sp500tui.pipeline.core.snapshot import (
    Bottleneck,
    Health,
    Latency,
    Ledger,
    MarketSnapshot,
    MissingSymbol,
    Phase,
    QueueName,
    Snapshot,
    StageName,
)
from sp500tui.tui.prices.empty_state import prices_notice
from sp500tui.tui.render.labels import bottleneck_label, phase_word, session_label, trend, trouble
from sp500tui.tui.render.lines import Line, Role, longest_that_fits, width_of
from sp500tui.tui.shell.status_bar import View, equation, status_lines
from sp500tui.tui.startup import starting_snapshot
from tests.support.tui.fake_pipeline import NOON, degraded, draining, empty, failed, queue, running

VIEW = View("17:46:00", NOON)


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


def bar(snapshot: Snapshot, width: int, height: int = 3, view: View = VIEW) -> list[str]:
    return [text_of(line) for line in status_lines(snapshot, view, width, height)]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200, 300])
@pytest.mark.parametrize("make", [running, degraded, empty, failed, draining])
def test_every_line_is_exactly_as_wide_as_the_window(make: Callable[[], Snapshot], width: int) -> None:
    lines = status_lines(make(), VIEW, width, 3)
    assert [width_of(line) for line in lines] == [width] * 3


def test_a_calm_run_at_120_columns() -> None:
    first, second, third = bar(running(), 120)
    assert "sp500tui  ● running   demo  cycle 42 ━━━━━━━━━─ 451/503 next in 7 s" in first
    assert "NYSE open, closes in 2 h 14 min" in first
    assert first.endswith("17:46:00 ")
    assert "fetched 21,126 = stored 20,871 + duplicate 203 + queued" in second
    assert second.endswith("PostgreSQL ✓  Yahoo ✓ ")
    assert "fetch to commit p50 61 ms p95 143 ms" in third
    assert "missing none" in third


def test_two_lines_at_80_columns_still_tell_the_essentials() -> None:
    first, second = bar(running(), 80, 2)
    assert first.startswith("● running")
    assert "451/503" in first
    assert "open for 2 h 14 min" in first
    assert first.endswith("DB ✓  Yahoo ✓")
    assert second.strip() == "got 21,126 = stored 20,871 + dup 203 + queued 52 + in-fl 0 + spool 0 + dead 0"


def test_200_columns_name_the_database() -> None:
    assert "embedded PostgreSQL ✓" in bar(running(), 200)[1]
    elsewhere = replace(
        running().database, embedded=False, url="postgresql://user:***@db.example:5432/market?x=1"
    )
    assert "PostgreSQL db.example:5432/market ✓" in bar(replace(running(), database=elsewhere), 200)[1]


def test_trouble_takes_the_third_line_and_has_words_beside_its_colour() -> None:
    first, second, third = bar(degraded(), 120)
    assert "! degraded" in first
    assert "PostgreSQL ✗ down  Yahoo ! degraded" in second
    assert third.strip() == (
        "! degraded, next attempt in 3 s: Yahoo Finance answers 429; PostgreSQL does not answer"
    )


def test_a_frozen_view_says_so() -> None:
    assert "view paused" in bar(running(), 120, view=View("17:46:00", NOON, frozen=True))[0]


def test_skipped_cycles_and_missing_symbols_are_named() -> None:
    snapshot = replace(
        running(),
        cycle=replace(running().cycle, skipped=2),
        missing=tuple(MissingSymbol(f"NOPE{n}", "unknown") for n in range(5)),
    )
    first, _, third = bar(snapshot, 160)
    assert "2 skipped" in first
    assert "missing 5: NOPE0, NOPE1, NOPE2…" in third


@pytest.mark.parametrize("width", [80, 120, 160])
def test_skipped_starts_take_the_countdowns_place_and_give_it_back(width: int) -> None:
    # given a cycle that is late, in time, and one that is over
    cycle = running().cycle
    late, in_time, over = (
        bar(replace(running(), cycle=replace(cycle, running=under_way, skipped=skipped)), width)[0]
        for under_way, skipped in ((True, 1), (True, 0), (False, 1))
    )
    # then only the one under way says so, and nothing beside it moves
    assert "1 skipped" in late
    assert "skipped" not in in_time + over
    assert len(late) == len(in_time)
    assert late.rpartition("skipped")[2].strip() in in_time


@pytest.mark.parametrize(
    ("phase", "running_now", "next_in", "words"),
    [
        (Phase.RUNNING, False, 0.4, "next in 0.4 s"),
        (Phase.RUNNING, True, None, "running"),
        (Phase.RUNNING, False, None, "none due"),
        (Phase.DRAINING, True, 3.0, "none"),
        (Phase.RUNNING, False, 600.0, "next in 10 min"),
    ],
)
def test_the_countdown(phase: Phase, running_now: bool, next_in: float | None, words: str) -> None:
    cycle = replace(running().cycle, running=running_now, next_in=next_in)
    assert f" {words} " in bar(replace(running(), phase=phase, cycle=cycle), 120)[0]


class TestEquation:
    @given(st.lists(st.integers(0, 10**9), min_size=6, max_size=6), st.integers(58, 200))
    def test_it_always_fits(self, numbers: list[int], width: int) -> None:
        ledger = Ledger(sum(numbers), *numbers)
        line = longest_that_fits(equation(ledger), width)
        assert width_of(line) == width
        assert "…" not in text_of(line)

    def test_a_short_form_leaves_out_zeros_only(self) -> None:
        assert text_of(equation(Ledger(7, 4, 0, 3, 0, 0, 0))[4]) == "got 7 = stored 4 + queued 3"

    def test_an_unbalanced_one_is_never_shown_as_equal(self) -> None:
        assert " ≠ " in text_of(equation(Ledger(5, 1))[0])

    def test_dead_letters_stand_out(self) -> None:
        roles = {span.text.strip(): span.role for span in equation(Ledger(1, 0, 0, 0, 0, 0, 1))[1]}
        assert roles["1"] is Role.BAD or roles["dead"] is Role.LABEL


@pytest.mark.parametrize(
    ("state", "following", "words"),
    [
        (MarketState.REGULAR, MarketState.POST, ("NYSE open", "closes in 1 h")),
        (MarketState.PRE, MarketState.REGULAR, ("NYSE pre-market", "opens in 1 h")),
        (MarketState.POST, MarketState.POSTPOST, ("NYSE after hours", "ends in 1 h")),
        (MarketState.CLOSED, MarketState.PRE, ("NYSE closed", "pre-market in 1 h")),
        (MarketState.CLOSED, None, ("NYSE closed", "")),
        (MarketState.OVERNIGHT, MarketState.PRE, ("NYSE overnight", "pre-market in 1 h")),
        (MarketState.UNKNOWN, MarketState.PRE, ("NYSE", "pre-market in 1 h")),
        ("LATE_NIGHT", MarketState.PRE, ("NYSE late_night", "pre-market in 1 h")),
        (None, None, ("NYSE", "session not known yet")),
    ],
)
def test_sessions(state: str | None, following: MarketState | None, words: tuple[str, str]) -> None:
    change = NOON + timedelta(hours=1) if following else None
    assert session_label(MarketSnapshot(state, following, change), NOON) == words


def test_phases_have_a_word_and_a_sign_each() -> None:
    signs = {phase_word(replace(running(), phase=phase))[:2] for phase in Phase}
    assert len(signs) == len(Phase)
    assert phase_word(degraded())[1] == "degraded"


@pytest.mark.parametrize(
    ("ready", "inward", "out", "word"),
    [
        (0, 9, 9, "empty"),
        (5, 10, 10.2, "steady"),
        (5, 10, 2, "filling"),
        (5, 2, 10, "draining"),
        (5, 0, 0, "steady"),
    ],
)
def test_trends(ready: int, inward: float, out: float, word: str) -> None:
    assert trend(queue(QueueName.ROWS, ready, 100, 9, 1.0, inward, out))[1] == word


def test_trouble_is_none_when_all_is_well() -> None:
    assert trouble(running()) is None
    assert trouble(failed()) == ("failed: the data folder cannot be written: /srv/data", Role.BAD)


def test_bottlenecks_in_words() -> None:
    assert bottleneck_label(running()) == (
        "bottleneck: price workers (5 of 8 busy, the tickers queue fills): + adds one"
    )
    assert bottleneck_label(replace(running(), bottleneck=Bottleneck(StageName.WRITER, "slow"))) == (
        "bottleneck: writers (slow)"
    )
    assert bottleneck_label(replace(running(), bottleneck=None)) == "no bottleneck: every stage keeps up"
    assert bottleneck_label(empty()) == "no bottleneck: no work yet"


def test_what_all_wait_for_is_no_stage_that_keeps_up() -> None:
    away = replace(degraded(), bottleneck=None)
    assert bottleneck_label(away).startswith("held up: the writers wait for PostgreSQL")
    refused = replace(running(), bottleneck=None, sources=replace(running().sources, health=Health.DOWN))
    assert bottleneck_label(refused) == "held up: the price workers wait for Yahoo Finance"


class TestNotice:
    def test_loading(self) -> None:
        notice = prices_notice(starting_snapshot(Settings(demo=True), NOON, 2.0))
        assert notice == "Loading the list of constituents …\nfor 2 s"

    def test_waiting_for_prices(self) -> None:
        assert prices_notice(running()).startswith("Waiting for the first prices …")

    def test_no_list(self) -> None:
        text = " ".join(prices_notice(empty()).split())
        assert "No list of constituents: Wikipedia cannot be reached: no route to host" in text
        assert "for 10 min 31 s, next attempt in 9 s" in text
        assert "sp500tui --demo" in text

    def test_no_prices(self) -> None:
        sources = replace(running().sources, health=Health.DOWN, message="Yahoo is away", last_success=None)
        assert prices_notice(replace(running(), sources=sources)).startswith("No prices: Yahoo is away")

    def test_failed(self) -> None:
        assert prices_notice(failed()).startswith("The pipeline failed: the data folder")


def test_the_opening_snapshot_has_the_configured_sizes_and_balances() -> None:
    snapshot = starting_snapshot(Settings(price_workers=7), NOON, 1.0)
    assert snapshot.stage(StageName.PRICE).size == 7
    assert snapshot.ledger.is_balanced
    assert snapshot.phase is Phase.STARTING
    assert snapshot.end_to_end == Latency()
    assert starting_snapshot(Settings(), NOON, 1.0, ValueError("broken")).phase is Phase.FAILED
