"""The demo controls: switching faults, killing, stopping, and a market that is unavailable."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sp500tui.errors import DatabaseError
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.tui.demo.faults import CLEAR, KILL_WRITER, OUTAGE_SECONDS, STOP_DATABASE
from sp500tui.tui.demo.render import effect_text, entries
from sp500tui.tui.demo.screen import DemoScreen
from sp500tui.tui.shell.pipeline_rows import shown_rows
from tests.support.parameters import sizes
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.fake_pipeline import NOON, FakePipeline, degraded, running
from tests.tui.conftest import Drive, Driven, notes


@asynccontextmanager
async def opened(
    drive: Drive, fake: FakePipeline | None = None, market: CannedMarket | None = None, **more: Any
) -> AsyncIterator[tuple[Driven, DemoScreen, CannedMarket]]:
    """The demo controls, opened by their number key."""
    fake, market = fake or FakePipeline(), market or CannedMarket()
    fake.demo_market = market
    async with drive(fake, **more) as driven:
        await driven.press("3")
        screen = driven.app.screen
        assert isinstance(screen, DemoScreen)
        await driven.until(lambda: screen._market is not None or market.away, "the market's answer")
        await driven.pilot.pause()
        yield driven, screen, market


def noted(driven: Driven, words: str) -> bool:
    return words in notes(driven.app)


async def mark(driven: Driven, screen: DemoScreen, entry: object) -> None:
    """Put the cursor on an entry."""
    screen.fault_list.cursor = list(entries()).index(entry)  # type: ignore[arg-type]
    await driven.pilot.pause()


class TestFaults:
    async def test_right_and_left_change_the_strength(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, market):
            await driven.press("down", "right")
            await driven.until(lambda: market.now.throttle == 0.1)
            await driven.until(
                lambda: "faults (1 on)" in driven.text() and "10 % of requests" in driven.text()
            )
            await driven.press("l")
            await driven.until(lambda: market.now.throttle == 0.5)
            await driven.press("left", "h")
            await driven.until(lambda: market.now.throttle == 0)

    async def test_each_of_several_quick_keys_has_its_effect(self, drive: Drive) -> None:
        class Slow(CannedMarket):
            """Answers when it may, with the faults at the time of the request."""

            may_answer = threading.Event()

            def faults(self) -> Mapping[str, object]:
                found = super().faults()
                self.may_answer.wait(30)
                return found

        market = Slow()
        market.may_answer.set()
        async with opened(drive, market=market) as (driven, _, _):
            await driven.press("down")
            market.may_answer.clear()
            await driven.press("right", "right", "right")
            market.may_answer.set()
            await driven.until(lambda: market.now.throttle == 1.0)

    @pytest.mark.parametrize("key", ["space", "enter"])
    async def test_space_and_enter_switch(self, drive: Drive, key: str) -> None:
        async with opened(drive) as (driven, _, market):
            await driven.press(key)
            await driven.until(lambda: market.now.latency == 0.5)
            await driven.until(lambda: "● latency" in driven.text())
            await driven.press(key)
            await driven.until(lambda: market.now.latency == 0)

    async def test_a_double_click_switches_too(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, market):
            await driven.pilot.click("#faults", offset=(6, 5), times=2)
            await driven.until(lambda: market.now.drop == 0.5)

    async def test_clear_all_switches_every_fault_off(self, drive: Drive) -> None:
        market = CannedMarket(drop=0.5, stale=1.0, wikipedia="down")
        async with opened(drive, market=market) as (driven, screen, _):
            await driven.until(lambda: "faults (3 on)" in driven.text())
            await driven.press("x")
            await driven.until(lambda: market.now.drop == 0 and market.now.wikipedia == "ok")
            await driven.until(lambda: "faults (0 on)" in driven.text())
            await mark(driven, screen, CLEAR)
            await driven.press("enter")
            await driven.until(lambda: market.now.stale == 0)

    async def test_what_to_watch_for_is_shown_for_the_marked_fault(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            assert "Every response is delayed" in driven.text()
            await driven.press("j")
            await driven.until(lambda: "injected 37 times" in driven.text())

    async def test_an_unreachable_market_shows_the_error(self, drive: Drive) -> None:
        market = CannedMarket()
        market.away = True
        async with opened(drive, market=market) as (driven, screen, _):
            await driven.until(lambda: "the demo market at http://127.0.0.1:1 does not" in driven.text())
            assert "unknown" in driven.text()
            market.away = False
            screen.run_query()
            await driven.until(lambda: "faults (0 on)" in driven.text() and "unknown" not in driven.text())

    async def test_before_the_market_runs(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("3", "space")
            await driven.until(lambda: noted(driven, "The demo market is still starting"))

    async def test_without_the_demo_a_message_shows_how_to_start_it(self, drive: Drive) -> None:
        async with drive(demo=False) as driven:
            await driven.press("3")
            assert driven.main.is_current
            await driven.until(lambda: noted(driven, "sp500tui --demo"))


class TestActs:
    async def test_a_writer_is_killed(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            # given a question that is answered with no
            await driven.press("K")
            assert "Kill writer-1 with SIGKILL?" in driven.text()
            await driven.press("K", "n")
            assert ("kill_worker", "writer-1") not in driven.pipeline.calls
            # when it is answered with yes
            await driven.press("K", "y")
            # then it is done, and also from the list
            await driven.until(lambda: noted(driven, "writer-1 killed"))
            assert driven.pipeline.calls.count(("kill_worker", "writer-1")) == 1
            await mark(driven, screen, KILL_WRITER)
            await driven.press("enter", "y")
            await driven.until(lambda: driven.pipeline.calls.count(("kill_worker", "writer-1")) == 2)

    async def test_without_a_writer_a_message_is_shown(self, drive: Drive) -> None:
        fake = FakePipeline(replace(running(), workers=()))
        async with opened(drive, fake) as (driven, _, _):
            await driven.press("K")
            await driven.until(lambda: noted(driven, "has no writer to kill"))

    async def test_a_writer_without_a_process_shows_a_message(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FakePipeline, "kill_worker", lambda self, name: False)
        async with opened(drive) as (driven, _, _):
            await driven.press("K", "y")
            await driven.until(lambda: noted(driven, "no process at the moment"))

    async def test_the_database_is_stopped_for_a_while(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            await mark(driven, screen, STOP_DATABASE)
            await driven.press("space")
            assert "Stop the database for 10 s?" in driven.text()
            assert ("stop_database", OUTAGE_SECONDS) not in driven.pipeline.calls
            await driven.press("y")
            await driven.until(lambda: ("stop_database", OUTAGE_SECONDS) in driven.pipeline.calls)
            await driven.until(lambda: noted(driven, "The database is stopped for 10 s"))

    async def test_a_database_by_url_cannot_be_stopped(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FakePipeline, "stop_database", lambda self, seconds: False)
        async with opened(drive) as (driven, _, _):
            await driven.press("D", "y")
            await driven.until(lambda: noted(driven, "Only the embedded database can be stopped"))

    async def test_a_server_that_does_not_stop_shows_the_error(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: FakePipeline, seconds: float) -> bool:
            raise DatabaseError("the server does not stop; terminate it manually")

        monkeypatch.setattr(FakePipeline, "stop_database", fail)
        async with opened(drive) as (driven, _, _):
            await driven.press("D", "y")
            await driven.until(lambda: noted(driven, "the server does not stop; terminate it manually"))


class TestWatching:
    @pytest.mark.parametrize("size", sizes((62, 17), (200, 60), (80, 24), (120, 40)))
    async def test_controls_and_pipeline_are_seen_at_every_size(
        self, drive: Drive, size: tuple[int, int]
    ) -> None:
        async with opened(drive, size=size) as (driven, _, _):
            await driven.until(lambda: "latency" in driven.text() and "▸ price" in driven.text())

    async def test_the_pipeline_and_its_problems_are_shown_above(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            driven.show(degraded())
            await driven.until(lambda: "Yahoo Finance answers 429" in driven.text())

    async def test_events_are_listed_as_they_happen(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            assert "no events yet" in driven.text()
            for listener in driven.pipeline.listeners:
                listener(PipelineEvent(EventKind.DATABASE_BACK, "back after 10.1 s", 20, NOON))
            await driven.until(lambda: len(driven.app.events) == 1)
            driven.app.refresh_data()
            await driven.until(lambda: "back after 10.1 s" in driven.text())

    async def test_stages_can_be_chosen_and_scaled_here(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            line = 1 + shown_rows(screen.strip.size.height).index(StageName.CONVERTER)
            await driven.pilot.click("#strip", offset=(65, line))
            await driven.until(lambda: screen.strip.selected is StageName.CONVERTER)
            await driven.press("plus")
            assert ("scale", StageName.CONVERTER, 3) in driven.pipeline.calls


@pytest.mark.parametrize("size", sizes((80, 24), (120, 40), keep=1))
async def test_a_problem_is_shown_once(drive: Drive, size: tuple[int, int]) -> None:
    async with opened(drive, FakePipeline(degraded()), size=size) as (driven, _, _market):
        await driven.until(lambda: "held up: " in driven.text(), "the verdict")
        assert driven.text().count("PostgreSQL does not answer") == 1


async def test_what_the_faults_changed_is_on_the_frame_of_their_list(drive: Drive) -> None:
    async with opened(drive) as (driven, _, market):
        # GIVEN a market without faults, and then one that is slow
        before = running()
        await driven.press("space")
        await driven.until(lambda: market.now.latency == 0.5)

        # WHEN requests take longer
        stages = tuple(
            replace(each, latency=replace(each.latency, p95=2400.0)) if each.name is StageName.PRICE else each
            for each in before.stages
        )
        driven.show(replace(before, stages=stages))

        # THEN both figures are shown
        p95 = before.stage(StageName.PRICE).latency.p95
        await driven.until(lambda: f"price p95 {p95:,.0f} → 2,400 ms" in driven.text())


async def test_what_they_changed_is_known_after_the_screen_was_closed(drive: Drive) -> None:
    async with opened(drive) as (driven, _, market):
        before = running()
        await driven.press("2")
        await driven.until(lambda: market.now.latency == 0.5)
        await driven.press("escape", "3")
        driven.show(replace(before, sources=replace(before.sources, failed=before.sources.failed + 12)))
        await driven.until(lambda: "12 failed" in driven.text())


@pytest.mark.parametrize(
    ("width", "text"), [(60, "p95 47 → 99 ms · cycle 1 → 2 s"), (20, "p95 47 → 99 ms"), (5, "")]
)
def test_the_frame_has_as_many_changes_as_fit(width: int, text: str) -> None:
    assert effect_text(["p95 47 → 99 ms", "cycle 1 → 2 s"], width) == text


class TestStrengthsByDigit:
    async def test_a_digit_sets_the_strength_and_zero_switches_off(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, market):
            await driven.press("4")
            await driven.until(lambda: market.now.latency == 12.0)
            await driven.press("1")
            await driven.until(lambda: market.now.latency == 0.1)
            await driven.press("0")
            await driven.until(lambda: market.now.latency == 0.0)
            assert driven.app.screen is screen, "no other screen was opened"

    async def test_a_strength_that_a_fault_does_not_have_is_named(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, market):
            await driven.press("down", "4")
            await driven.until(lambda: noted(driven, "The strengths of 429 too many requests are 1 to 3"))
            assert market.now.throttle == 0

    async def test_on_an_action_the_digits_open_the_screens(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            await mark(driven, screen, KILL_WRITER)
            await driven.press("2")
            await driven.until(lambda: driven.app.screen is not screen, "another screen")
            assert not isinstance(driven.app.screen, DemoScreen)
