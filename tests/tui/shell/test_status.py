"""The status bar: state, progress, equation and verdict at every width."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.config.settings import Settings
from sp500tui.model import MarketState
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import (
    CycleSnapshot,
    Health,
    Latency,
    MarketSnapshot,
    MissingSymbol,
    Phase,
    Snapshot,
)
from sp500tui.pipeline.core.verdict import ADDS_ONE, RESUMES, RESUMES_STAGE, Severity, Verdict, VerdictKind
from sp500tui.tui.prices.panel import prices_notice
from sp500tui.tui.render.labels import PHASE_SIGNS, phase_word, session_label, trend, trouble, verdict_label
from sp500tui.tui.render.lines import Line, Role, Span, width_of
from sp500tui.tui.shell.status_bar import View, equation, equation_on_two_lines, status_lines
from sp500tui.tui.startup import starting_snapshot
from tests.support.tui.fake_pipeline import NOON, degraded, draining, empty, failed, judged, queue, running

VIEW = View("17:46:00", NOON)
DEFAULTS = {"stage.more": "+", "pipeline.pause": "p", "stage.pause": "P"}


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


def bar(snapshot: Snapshot, width: int, height: int = 3, view: View = VIEW) -> list[str]:
    return [text_of(line) for line in status_lines(snapshot, view, width, height)]


@pytest.mark.parametrize("height", [2, 3, 4])
@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200, 300])
@pytest.mark.parametrize("make", [running, degraded, empty, failed, draining])
def test_every_line_is_exactly_as_wide_as_the_window(
    make: Callable[[], Snapshot], width: int, height: int
) -> None:
    lines = status_lines(make(), VIEW, width, height)
    assert [width_of(line) for line in lines] == [width] * height


def test_a_calm_run_at_120_columns() -> None:
    first, second, third = bar(running(), 120)
    assert "sp500tui  ● running   demo  cycle 42 ━━━━━━━━━─ 451/503 1.2 of 15 s" in first
    assert first.endswith("NYSE closes in 2 h  USD/DKK 6.8721, 12 s old ")
    assert second.startswith(" fetched 21,126 = stored 20,871 + duplicate 203 + queued  52 + in flight   0")
    assert second.strip().endswith("+ spooled 0 + dead 0  adds up ✓")
    assert third.startswith(" ✓ keeps up: a cycle takes 1.2 of 15 s; the request limit (4/s) sets the pace ")
    assert third.endswith("Yahoo ✓  PostgreSQL ✓ 20,871 rows ")


@pytest.mark.parametrize(
    ("state", "following", "texts"),
    [
        (
            MarketState.REGULAR,
            MarketState.POST,
            [
                "NYSE open, closes in 2 h 14 min",
                "NYSE closes in 2 h 14 min",
                "NYSE closes in 2 h",
                "NYSE open",
            ],
        ),
        (
            MarketState.CLOSED,
            MarketState.PRE,
            [
                "NYSE closed, pre-market in 2 h 14 min",
                "NYSE pre-market in 2 h 14 min",
                "NYSE pre-market in 2 h",
            ],
        ),
        (
            MarketState.POST,
            MarketState.CLOSED,
            ["NYSE after hours, ends in 2 h 14 min", "NYSE after hours, ends in 2 h", "NYSE after hours"],
        ),
    ],
)
def test_the_session_never_reads_as_if_the_time_had_passed(
    state: MarketState, following: MarketState, texts: list[str]
) -> None:
    market = replace(running().market, state=state, next_state=following)
    shown = {
        text_of(status_lines(replace(running(), market=market), VIEW, width, 4)[0])
        for width in range(60, 160)
    }
    assert all(any(line.rstrip().endswith(text) for line in shown) for text in texts)
    assert not any(" for " in line for line in shown)


def test_four_lines_at_80_columns_have_the_whole_equation_and_the_verdict() -> None:
    first, second, third, fourth = bar(running(), 80, 4)
    assert first.startswith("● running   demo  cycle 42 451/503 1.2 of 15 s")
    assert first.endswith("NYSE open, closes in 2 h 14 min")
    assert second.strip() == "fetched 21,126 = stored 20,871 + duplicate 203 + queued 52  adds up ✓"
    assert third.startswith("USD/DKK 6.8721, 12 s old ")
    assert third.endswith("Yahoo ✓  embedded PostgreSQL ✓ 20,871 rows")
    assert fourth.strip() == "✓ keeps up: a cycle takes 1.2 of 15 s; the request limit (4/s) sets the pace"


def test_a_line_too_short_for_the_equation_leaves_out_terms_and_never_digits() -> None:
    listed = replace(degraded(), missing=())
    for width in range(60, 100):
        second = bar(listed, width)[1].rstrip()
        numbers = re.findall(r"[\d,]+", second)
        assert set(numbers) <= {"25,126", "20,871", "203", "3,952", "0", "100"}
        assert second.endswith("✓")
    assert bar(listed, 60)[1].rstrip() == "fetched 25,126 = stored 20,871 + duplicate 203 + … ✓"


def test_without_room_for_its_age_the_exchange_rate_is_shown_next_to_the_named_session() -> None:
    assert bar(running(), 80)[0].endswith("NYSE open  USD/DKK 6.8721")
    assert bar(running(), 60)[0].endswith("NYSE open")


@pytest.mark.parametrize("state", [None, MarketState.UNKNOWN])
def test_the_exchange_is_not_named_without_a_session(state: MarketState | None) -> None:
    snapshot = replace(running(), market=MarketSnapshot(state))
    for width in range(40, 200):
        assert not re.search(r"NYSE(?!,)", " ".join(bar(snapshot, width))), width


def test_the_equation_continues_on_the_next_line_without_rounding() -> None:
    _, second, third, _ = bar(degraded(), 60, 4)
    assert second.strip() == "fetched 25,126 = stored 20,871 + duplicate 203"
    assert third.startswith("+ queued 3,952 + spooled 100  adds up ✓ ")
    assert third.endswith("Yahoo !  DB ✗")


def test_two_lines_have_the_health_at_the_end_of_the_first() -> None:
    first, second = bar(running(), 80, 2)
    assert first.startswith("● running")
    assert "451/503" in first
    assert first.endswith("Yahoo ✓  PostgreSQL ✓")
    assert second.strip() == "fetched 21,126 = stored 20,871 + duplicate 203 + queued 52  adds up ✓"


def test_200_columns_name_the_database_and_the_requests() -> None:
    third = bar(running(), 200)[2]
    assert "embedded PostgreSQL ✓" in third
    assert "fetch to commit p95 143 ms  1,204 requests, 0 failed, limit 4/s" in third
    elsewhere = replace(
        running().database, embedded=False, url="postgresql://user:***@db.example:5432/market?x=1"
    )
    assert "PostgreSQL db.example:5432/market ✓" in bar(replace(running(), database=elsewhere), 200)[2]


def test_a_limit_that_is_not_known_yet_is_not_shown_as_zero() -> None:
    third = bar(replace(running(), sources=replace(running().sources, rate_limit=0.0)), 200)[2]
    assert "1,204 requests, 0 failed  Yahoo" in third


def test_a_problem_is_the_verdict_and_has_text_in_addition_to_its_colour() -> None:
    first, _, third = bar(degraded(), 200)
    assert "! degraded" in first
    assert "Yahoo ! degraded" in third
    assert "DB ✗ down" in third or "PostgreSQL ✗ down" in third
    assert third.startswith(" ✗ held up: the database is down: PostgreSQL does not answer; 52 rows wait")


def test_a_paused_view_is_labelled() -> None:
    assert "view paused" in bar(running(), 120, view=View("17:46:00", NOON, frozen=True))[0]


def test_missing_symbols_are_named_where_there_is_room() -> None:
    snapshot = replace(running(), missing=tuple(MissingSymbol(f"NOPE{n}", "unknown") for n in range(7)))
    assert bar(snapshot, 160)[1].endswith("missing 7: NOPE0, NOPE1, NOPE2, NOPE3, NOPE4… ")
    assert bar(snapshot, 80, 4)[2].startswith("missing 7: NOPE0… ")


@pytest.mark.parametrize(
    ("phase", "change", "words"),
    [
        (Phase.RUNNING, {"running": False, "next_in": 0.4}, "next in 1 s"),
        (Phase.RUNNING, {"running": False, "next_in": 0.0}, "next in 1 s"),
        (Phase.RUNNING, {"running": True, "next_in": None, "seconds": 0.04}, "0.0 of 15 s"),
        (Phase.RUNNING, {"running": True, "next_in": 3.0, "seconds": 31.0}, "31 of 15 s"),
        (Phase.RUNNING, {"running": False, "next_in": None}, "none due"),
        (Phase.PAUSED, {"running": False, "next_in": 0.0}, "paused"),
        (Phase.DRAINING, {"running": False, "next_in": 3.0}, "none due"),
        (Phase.RUNNING, {"running": False, "next_in": 600.0}, "next in 10 min"),
        (Phase.RUNNING, {"running": True, "seconds": 75.0, "interval": 600.0}, "1.2 of 10 min"),
    ],
)
def test_the_time_of_the_cycle(phase: Phase, change: dict[str, object], words: str) -> None:
    cycle = replace(running().cycle, **change)  # type: ignore[arg-type]
    assert f" {words}" in bar(replace(running(), phase=phase, cycle=cycle), 120)[0]


def test_nothing_moves_while_a_cycle_ends_and_the_next_one_is_due() -> None:
    calm = running()
    ended = replace(calm, cycle=replace(calm.cycle, running=False, next_in=1.0))
    firsts = [bar(snapshot, 120)[0] for snapshot in (calm, ended)]
    assert len({line.index("USD/DKK") for line in firsts}) == 1


class TestEquation:
    @given(
        st.integers(0, 10**8),
        st.integers(0, 10**8),
        st.lists(st.integers(0, 9_999), min_size=4, max_size=4),
        st.integers(80, 200),
    )
    def test_two_lines_have_fixed_text(
        self, stored: int, duplicate: int, others: list[int], width: int
    ) -> None:
        ledger = Ledger(stored + duplicate + sum(others), stored, duplicate, *others)
        lines = [text_of(line) for line in equation_on_two_lines(ledger, width)]
        shown = " ".join(" ".join(lines).split())
        whole = f"{ledger} adds up ✓".replace("in_flight", "in flight")
        assert shown in {whole, f"{ledger.summary} adds up ✓"}
        assert all(len(line) <= width for line in lines)

    @given(st.lists(st.integers(0, 999), min_size=6, max_size=6))
    def test_60_columns_have_room_for_all_terms(self, numbers: list[int]) -> None:
        ledger = Ledger(sum(numbers) + 999_000, numbers[0] + 999_000, *numbers[1:])
        shown = " ".join(" ".join(text_of(line) for line in equation_on_two_lines(ledger, 60)).split())
        assert shown.replace(" adds up", "") in {f"{ledger} ✓", f"{ledger.summary} ✓"}

    @given(st.lists(st.integers(0, 99_999), min_size=6, max_size=6))
    def test_a_single_line_never_rounds(self, numbers: list[int]) -> None:
        ledger = Ledger(sum(numbers), *numbers)
        for line in equation(ledger):
            assert f"fetched {sum(numbers):,} = stored {numbers[0]:,}" in text_of(line)

    def test_zero_terms_are_dropped_when_narrow(self) -> None:
        wide, _, _, narrow, *_ = (text_of(line) for line in equation(Ledger(7, 4, 0, 3, 0, 0, 0)))
        assert wide == (
            "fetched 7 = stored 4 + duplicate 0 + queued   3 + in flight   0 + spooled 0 + dead 0  adds up ✓"
        )
        assert narrow == "fetched 7 = stored 4 + queued 3 ✓"

    def test_an_unbalanced_equation_is_labelled(self) -> None:
        words = text_of(next(equation(Ledger(5, 1))))
        assert " ≠ " in words
        assert words.endswith("does not add up ✗")

    def test_dead_letters_stand_out(self) -> None:
        assert Span("1", Role.BAD) in next(equation(Ledger(1, 0, 0, 0, 0, 0, 1)))


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


def test_each_phase_has_a_label_and_a_sign() -> None:
    signs = {phase_word(replace(running(), phase=phase))[:2] for phase in Phase}
    assert len(signs) == len(Phase)
    assert phase_word(degraded())[1] == "degraded"


@pytest.mark.parametrize(
    ("ready", "inward", "out", "word"),
    [
        (0, 9, 9, "empty"),
        (5, 10, 10.2, "steady"),
        (5, 10, 2, "fills"),
        (5, 2, 10, "drains"),
        (5, 0, 0, "steady"),
    ],
)
def test_trends(ready: int, inward: float, out: float, word: str) -> None:
    assert trend(queue(QueueName.ROWS, ready, 100, 9, 1.0, inward, out))[1] == word


def test_trouble_is_none_when_all_is_well() -> None:
    assert trouble(running()) is None
    assert trouble(failed()) == ("failed: the data folder cannot be written: /srv/data", Role.BAD)


class TestVerdict:
    def words(self, snapshot: Snapshot) -> str:
        return verdict_label(judged(snapshot))[0]

    def test_all_is_well_with_the_time_of_a_cycle(self) -> None:
        assert verdict_label(judged(running())) == ("✓ keeps up: a cycle takes 1.2 of 15 s", Role.GOOD)

    def test_a_late_cycle_is_a_warning(self) -> None:
        cycle = replace(running().cycle, seconds=17.0, skipped=1)
        assert self.words(replace(running(), cycle=cycle)) == "! behind: a cycle takes 17 of 15 s"

    def test_advice_is_given_where_an_action_helps(self) -> None:
        assert verdict_label(running())[0].endswith("the request limit (4/s) sets the pace")
        behind = Verdict(VerdictKind.BEHIND, Severity.WARNING, "behind: Yahoo answers in 2 s", "+ adds one")
        assert verdict_label(replace(running(), verdict=behind)) == (
            "! behind: Yahoo answers in 2 s; + adds one",
            Role.WARN,
        )

    @pytest.mark.parametrize(
        ("sentence", "advice", "width", "shown"),
        [
            (
                "keeps up: a cycle takes 1.6 of 2.0 s; the request limit (55/s) sets the pace",
                "",
                60,
                "keeps up: cycle 1.6 of 2.0 s; limit (55/s) sets the pace",
            ),
            (
                "behind: a cycle takes 7.6 of 2.0 s: Yahoo Finance answers in 2.4 s",
                "24 price workers would help",
                60,
                "behind: cycle 7.6 of 2.0 s: Yahoo answers in 2.4 s; …",
            ),
            (
                "behind: a cycle takes 7.6 of 2.0 s: Yahoo Finance answers in 2.4 s",
                "24 price workers would help",
                80,
                "behind: cycle 7.6 of 2.0 s: Yahoo answers in 2.4 s; 24 workers would help",
            ),
            (
                "held up: the database is down: PostgreSQL does not answer; 2,515 rows wait in the journal",
                "",
                80,
                "held up: database down: PostgreSQL does not answer; 2,515 rows in the journal",
            ),
            (
                "held up: the database is down: the database postgresql://u@h:1/x does not answer: no server listens",
                "",
                80,
                "held up: database down: does not answer: no server listens",
            ),
            (
                "the rows queue is full (4,096 of 4,096): a commit takes 520 ms",
                "+ adds one",
                60,
                "the rows queue is full: a commit takes 520 ms; + adds one",
            ),
            (
                "the rows queue is full (4,096 of 4,096): a commit takes 1,520 ms",
                "12 writers would help",
                60,
                "the rows queue is full: a commit takes 1,520 ms; …",
            ),
        ],
    )
    def test_a_narrow_window_has_fewer_words_and_then_fewer_clauses(
        self, sentence: str, advice: str, width: int, shown: str
    ) -> None:
        found = replace(
            running(), verdict=Verdict(VerdictKind.BEHIND, Severity.WARNING, sentence, advice), missing=()
        )
        assert text_of(status_lines(found, VIEW, width, 4)[-1]).strip() == f"! {shown}"
        wide = sentence if not advice else f"{sentence}; {advice}"
        assert text_of(status_lines(found, VIEW, 160, 4)[-1]).strip() == f"! {wide}"

    def test_degraded_precedes_well_and_follows_what_is_worse(self) -> None:
        slow = replace(
            running().sources, health=Health.DEGRADED, message="Yahoo Finance: 2 of 4 requests/s allowed"
        )
        assert self.words(replace(running(), sources=slow)) == (
            "! Yahoo Finance: 2 of 4 requests/s allowed; keeps up: a cycle takes 1.2 of 15 s"
        )
        words, role = verdict_label(degraded())
        assert words.startswith(
            "✗ held up: the database is down: PostgreSQL does not answer; 52 rows wait in the "
        )
        assert words.endswith("; Yahoo Finance answers 429")
        assert role is Role.BAD

    @pytest.mark.parametrize(
        ("advice", "key_id", "shown"),
        [
            (ADDS_ONE, "stage.more", "; f8 adds one"),
            (RESUMES, "pipeline.pause", "; f8 resumes"),
            (RESUMES_STAGE, "stage.pause", "; f8 resumes the selected stage"),
        ],
    )
    def test_advice_names_the_key_as_configured_and_is_left_out_without_one(
        self, advice: str, key_id: str, shown: str
    ) -> None:
        snapshot = replace(running(), verdict=Verdict(VerdictKind.BEHIND, Severity.WARNING, "behind", advice))
        assert verdict_label(snapshot, {key_id: "f8"}.__getitem__)[0] == f"! behind{shown}"
        assert verdict_label(snapshot, lambda _: "")[0] == "! behind"
        assert advice.startswith(f"{DEFAULTS[key_id]} "), "advice is printed with the default key elsewhere"

    @pytest.mark.parametrize(
        ("selected", "shown"),
        [
            (StageName.WRITER, "; + adds one"),
            (StageName.PRICE, "; one more writer would help"),
            (None, "; + adds one"),
        ],
    )
    def test_a_key_is_advised_only_where_it_acts_on_the_stage_in_question(
        self, selected: StageName | None, shown: str
    ) -> None:
        verdict = Verdict(VerdictKind.BEHIND, Severity.WARNING, "behind", ADDS_ONE, StageName.WRITER)
        keys = {"stage.more": "+"}.__getitem__
        assert verdict_label(replace(running(), verdict=verdict), keys, selected)[0] == f"! behind{shown}"

    def test_nothing_is_claimed_before_the_first_cycle(self) -> None:
        fresh = replace(running(), cycle=CycleSnapshot(interval=15.0))
        assert self.words(fresh) == "◌ starting: no cycle has begun yet"

    def test_a_pause_names_what_is_paused(self) -> None:
        assert self.words(replace(degraded(), phase=Phase.PAUSED)).startswith(
            "‖ paused: the scraper and the price workers take no work; p resumes"
        )
        for name, title in ((StageName.SCRAPER, "the scraper"), (StageName.WRITER, "the writers")):
            stages = tuple(replace(each, paused=each.name is name) for each in running().stages)
            snapshot = replace(running(), stages=stages)
            assert self.words(snapshot).startswith(f"‖ paused: {title} take")
            assert phase_word(snapshot)[:2] == ("‖", "paused")

    @pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED])
    def test_a_pipeline_that_starts_or_ends_claims_nothing_else(self, phase: Phase) -> None:
        sign, _ = PHASE_SIGNS[phase]
        assert self.words(replace(running(), phase=phase)) == f"{sign} {phase}"

    def test_a_failure_is_shown_even_while_paused(self) -> None:
        stages = tuple(replace(each, paused=True) for each in running().stages)
        assert self.words(replace(failed(), stages=stages)).startswith("✗ failed: the data folder")

    def test_every_verdict_begins_with_a_sign(self) -> None:
        for make in (running, degraded, empty, failed, draining):
            assert self.words(make())[:2] in {"✓ ", "! ", "✗ ", "‖ ", "◌ ", "▽ ", "■ "}


def test_a_cycle_is_not_ruled_out_before_the_pipeline_runs() -> None:
    lines = bar(starting_snapshot(Settings(demo=True), NOON, 2.0), 120)
    assert "cycle –" in lines[0]
    assert "none due" not in lines[0]


class TestNotice:
    def test_loading(self) -> None:
        notice = prices_notice(starting_snapshot(Settings(demo=True), NOON, 2.0))
        assert notice == "Loading the list of constituents …\nfor 2 s"

    def test_nothing_is_loading_where_no_node_runs_the_scraper(self) -> None:
        alone = Verdict(
            VerdictKind.NO_WORKERS, Severity.PROBLEM, "held up: no node runs the scraper", "start one"
        )
        notice = prices_notice(replace(starting_snapshot(Settings(), NOON, 2.0), verdict=alone))
        assert notice == "No node runs the scraper\nstart one"

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
        notice = prices_notice(failed())
        assert notice.startswith("The pipeline failed: the data folder")
        assert "network" not in notice


def test_the_opening_snapshot_has_the_configured_sizes_and_balances() -> None:
    snapshot = starting_snapshot(Settings(price_workers=7), NOON, 1.0)
    assert snapshot.stage(StageName.PRICE).size == 7
    assert snapshot.ledger.is_balanced
    assert snapshot.phase is Phase.STARTING
    assert snapshot.end_to_end == Latency()
    assert starting_snapshot(Settings(), NOON, 1.0, ValueError("broken")).phase is Phase.FAILED
