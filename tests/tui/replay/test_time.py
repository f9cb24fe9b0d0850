"""Times other than the present in the dashboard: the last minutes of a live one, and replays of recordings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sp500tui.config.settings import Settings
from sp500tui.errors import DatabaseError
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.remote.recording.blocks import BlockWriter
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.remote.updates import UpdateSource
from sp500tui.remote.wire import Position
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.coverage.screen import CoverageScreen
from sp500tui.tui.database.screen import DatabaseScreen, Reading
from sp500tui.tui.demo.screen import FaultList
from sp500tui.tui.replay.controls import TimeControls
from sp500tui.tui.replay.time_bar import TimeBar
from sp500tui.tui.replay_app import ReplayApp
from sp500tui.tui.shell.key_bar import KeyBar
from sp500tui.tui.symbol.screen import SymbolScreen
from tests.support.remote.recorded import FACTS, START, FakeLife, recorded
from tests.support.tui.canned_coverage import CannedCoverage
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.canned_reader import CannedReader
from tests.support.tui.fake_pipeline import NOON, FakePipeline, degraded, listed
from tests.support.waiting import FakeClock
from tests.tui.conftest import CannedLog, Driven, until_shown

LENGTH = 180
Show = Callable[..., AbstractAsyncContextManager[Driven]]


def notes(life: FakeLife) -> None:
    """The events of the run: throttling after 60 s, an error after 120 s, a log line every 20 s."""
    if life.second == 60:
        life.event(EventKind.THROTTLED, "Yahoo Finance answers 429", 30)
    if life.second == 120:
        life.event(EventKind.DATABASE_DOWN, "PostgreSQL does not answer", 40)
    if life.second % 20 == 0:
        life.line(f"second {life.second}")


@pytest.fixture(scope="module")
def past() -> Recording:
    """Three minutes of a run."""
    return Recording.of_blocks(FACTS, recorded(LENGTH, notes=notes)[0])


@pytest.fixture
def live(log: CannedLog, tmp_path: Path, past: Recording) -> Show:
    """Runs a live dashboard that has recorded three minutes."""

    @asynccontextmanager
    async def opened(keymap: Mapping[str, str] = {}, **options: Any) -> AsyncIterator[Driven]:
        pipeline = FakePipeline()
        app = DashboardApp(
            lambda: pipeline,
            Settings(demo=True, data_dir=tmp_path, keymap=dict(keymap)),
            log=log,
            state_file=tmp_path / "dashboard.json",
            export_folder=tmp_path,
            clock=lambda: NOON + timedelta(seconds=LENGTH),
            **{"recent": lambda: past} | options,
        )
        async with app.run_test(size=(120, 40)) as pilot:
            await until_shown(pilot)
            yield Driven(app, pilot, pipeline)

    return opened


def replay_app(pipeline: ReplayedPipeline, folder: Path) -> ReplayApp:
    """The dashboard on a recording."""
    return ReplayApp(
        lambda: pipeline,
        FACTS.run.applied_to(Settings(data_dir=folder)),
        log=pipeline,
        state_file=folder / "dashboard.json",
        export_folder=folder,
        replayed=pipeline,
        refusal=pipeline.refusal,
    )


@pytest.fixture
def replay(tmp_path: Path, past: Recording) -> Show:
    """Runs the dashboard on the recording with a fixed clock."""

    @asynccontextmanager
    async def opened(at: float = 1.0, clock: FakeClock | None = None) -> AsyncIterator[Driven]:
        playback = Playback(past.first, past.last, clock=clock or FakeClock())
        playback.seek(START + at)
        pipeline = ReplayedPipeline(past, playback)
        app = replay_app(pipeline, tmp_path)
        async with app.run_test(size=(120, 40)) as pilot:
            driven = Driven(app, pilot, FakePipeline())
            await driven.until(lambda: app.feed.pipeline is pipeline and bar(driven), "the time bar")
            yield driven

    return opened


def bar(driven: Driven) -> str:
    """The text of the time bar; empty without one."""
    bars = driven.app.screen.query(TimeBar)
    return "".join("".join(each.lines_shown()) for each in bars)


def key_bar(driven: Driven) -> str:
    """The text of the key bar."""
    return "".join(driven.app.screen.query_one(KeyBar).lines_shown())


async def at(driven: Driven, time: str) -> None:
    """Wait until the bar shows this time."""
    await driven.until(lambda: time in bar(driven), f"{time} in the bar: {bar(driven)}")


async def test_a_key_that_moves_to_the_past_while_the_pipeline_ends_does_not_fail_the_dashboard(
    live: Show,
) -> None:
    """Given a requested stop, when the key polls last, then no bar is mounted on closing screens."""
    async with live() as dashboard:
        await dashboard.press("q")
        dashboard.pipeline.ends_at = ShutdownLevel.DRAIN
        dashboard.app.action_time_step(-1)
        assert dashboard.result is not None
    assert dashboard.app.crashed == ""


class TestLookingBack:
    async def test_comma_goes_backward_and_full_stop_forward(self, live: Show) -> None:
        async with live() as dashboard:
            assert bar(dashboard) == ""
            # when the user goes back three times, then the state of that time is shown
            await dashboard.press("comma", "comma", "comma")
            await at(dashboard, "17:48:45 15 s ago")
            await dashboard.until(lambda: "fetched 33" in dashboard.text(), "the equation of that time")
            assert dashboard.app.clock() == NOON + timedelta(seconds=165)
            await dashboard.press("full_stop")
            await at(dashboard, "17:48:50 10 s ago")
            # and the end returns to the present
            await dashboard.press("full_stop", "full_stop")
            assert dashboard.said == "Back at the present"
            await dashboard.until(lambda: not bar(dashboard))
            await dashboard.until(lambda: "fetched 21,126" in dashboard.text(), "the present")
            assert dashboard.app.clock() == NOON + timedelta(seconds=LENGTH)

    async def test_end_returns_to_the_present(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("ctrl+left")
            await at(dashboard, "17:48:00 1 min ago")
            await dashboard.press("end")
            await dashboard.until(lambda: not bar(dashboard))
            await dashboard.until(lambda: "fetched 21,126" in dashboard.text(), "the present")

    async def test_end_belongs_to_the_lists_at_the_present(self, live: Show) -> None:
        async with live() as dashboard:
            table = dashboard.main.panel.table
            await dashboard.press("end")
            await dashboard.until(lambda: table.cursor_symbol is not None)
            assert table.cursor_row == table.row_count - 1

    async def test_prices_and_log_are_those_of_the_time(self, live: Show, log: CannedLog) -> None:
        log.say("something of now")
        async with live() as dashboard:
            await dashboard.until(lambda: "something of now" in dashboard.text())
            await dashboard.press("ctrl+left", "ctrl+left")
            await at(dashboard, "17:47:00")
            await dashboard.until(lambda: "second 60" in dashboard.text(), "the log of that time")
            assert "something of now" not in dashboard.text()
            rows = dashboard.main.panel.table
            await dashboard.until(lambda: str(rows.row("AAPL")).count("104.01"))
            await dashboard.press("end")
            await dashboard.until(lambda: "something of now" in dashboard.text())
            assert "second 60" not in dashboard.text()
            await dashboard.until(lambda: not str(rows.row("AAPL")).count("104.01"))

    async def test_the_seconds_are_those_of_the_time(self, live: Show) -> None:
        async with live() as dashboard:
            feed = dashboard.app.feed
            await dashboard.press("ctrl+left")
            await dashboard.until(lambda: feed.recent_seconds.second == 120)
            await dashboard.press("ctrl+left")
            await dashboard.until(lambda: feed.recent_seconds.second == 60)
            await dashboard.press("end")
            await dashboard.until(lambda: feed.recent_seconds.second == 0)

    async def test_jumps_to_events_and_errors(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("left_curly_bracket")
            await at(dashboard, "17:48:00")
            await dashboard.press("left_curly_bracket")
            await at(dashboard, "17:47:00")
            await dashboard.press("right_parenthesis")
            await at(dashboard, "17:48:00")
            await dashboard.press("right_parenthesis")
            assert dashboard.said == "no later error is recorded"
            assert "17:48:00" in bar(dashboard)

    async def test_without_an_earlier_event_the_present_stays(self, live: Show) -> None:
        quiet = Recording.of_blocks(FACTS, recorded(30)[0])
        async with live(recent=lambda: quiet) as dashboard:
            for key, what in (("left_curly_bracket", "event"), ("left_parenthesis", "error")):
                await dashboard.press(key)
                assert dashboard.said == f"no earlier {what} is recorded"
                assert bar(dashboard) == ""
            assert "fetched 21,126" in dashboard.text()

    async def test_the_bar_names_the_key_as_configured(self, live: Show) -> None:
        async with live(keymap={"time.end": "f4"}) as dashboard:
            await dashboard.press("comma")
            await dashboard.until(lambda: bar(dashboard).endswith("f4 now "), "the key in the bar")
            await dashboard.press("f4")
            await dashboard.until(lambda: not bar(dashboard))

    async def test_the_past_cannot_be_controlled(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("comma", "plus")
            assert dashboard.said == "This is the past: return to the present first"
            assert [call for call in dashboard.pipeline.calls if call[0] != "start"] == []

    @pytest.mark.parametrize("key", ["P", "equals_sign"])
    async def test_no_confirmation_is_requested_for_what_is_impossible_in_the_past(
        self, live: Show, key: str
    ) -> None:
        async with live() as dashboard:
            await dashboard.press("comma", key)
            assert dashboard.said == "This is the past: return to the present first"
            assert dashboard.app.screen is dashboard.main

    async def test_keys_that_steer_are_listed_at_the_present_only(self, live: Show) -> None:
        async with live() as dashboard:
            assert "scale" in key_bar(dashboard)
            await dashboard.press("comma")
            await dashboard.until(lambda: "scale" not in key_bar(dashboard), "keys of the past")
            await dashboard.until(lambda: "+ − price" not in dashboard.text(), "a title without keys")
            assert "quit" in key_bar(dashboard)
            assert "stage.more" not in {command.binding.id for command in dashboard.app.commands()}
            await dashboard.press("end")
            await dashboard.until(lambda: "scale" in key_bar(dashboard), "keys of the present")
            await dashboard.until(lambda: "+ − price" in dashboard.text(), "a title with keys")

    async def test_quitting_returns_to_the_present_first(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("comma", "q")
            assert ("stop", ShutdownLevel.DRAIN) in dashboard.pipeline.calls
            assert dashboard.app.time_controls.replayed is None

    async def test_every_screen_has_the_bar(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("comma", "2")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: "return to the present to query it" in dashboard.text())
            await dashboard.press("3")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: "PostgreSQL does not answer" in dashboard.text())

    async def test_the_faults_of_the_present_are_not_shown_in_the_past(self, live: Show) -> None:
        async with live() as dashboard:
            dashboard.pipeline.demo_market = CannedMarket(latency=0.5)
            await dashboard.press("3")
            await dashboard.until(lambda: "faults (1 on)" in dashboard.text())
            await dashboard.press("comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: "A recording does not contain the faults" in dashboard.text())
            assert "faults (" not in dashboard.text()
            shown = str(dashboard.app.screen.query_one(FaultList).rows_shown())
            assert "500 ms" not in shown
            # and no key is named that would run an action
            assert "kill a writer" in shown
            assert "space" not in shown
            await dashboard.press("end")
            await dashboard.until(lambda: "faults (1 on)" in dashboard.text())
            assert "space" in str(dashboard.app.screen.query_one(FaultList).rows_shown())

    async def test_the_database_screen_shows_nothing_that_was_read_at_another_time(self, live: Show) -> None:
        reader = CannedReader()
        async with live() as dashboard:
            await dashboard.app.push_screen(DatabaseScreen(reader))
            await dashboard.until(lambda: "20,871 rows  counted" in dashboard.text())
            reader.failure = DatabaseError("the past is not recorded")
            await dashboard.press("comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: "the past is not recorded" in dashboard.text())
            assert "counted" not in dashboard.text()
            assert "after two queries" not in dashboard.text()
            # and at the present it is read again
            reader.failure = None
            await dashboard.press("end")
            await dashboard.until(lambda: "20,871 rows  counted" in dashboard.text())

    async def test_the_coverage_of_another_time_is_not_shown(self, live: Show) -> None:
        reader = CannedCoverage()
        async with live() as dashboard:
            screen = CoverageScreen(reader)
            await dashboard.app.push_screen(screen)
            await dashboard.until(lambda: "NVDA" in dashboard.text())
            await dashboard.press("m")
            marks = set(screen.marks)
            assert marks
            reader.failure = DatabaseError("the past is not recorded")
            await dashboard.press("comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: "the past is not recorded" in dashboard.text())
            assert "NVDA" not in dashboard.text()
            reader.failure = None
            await dashboard.press("end")
            await dashboard.until(lambda: "NVDA" in dashboard.text())
            assert screen.marks == marks

    async def test_an_answer_that_arrives_after_the_time_has_changed_is_not_shown(self, live: Show) -> None:
        async with live() as dashboard:
            screen = DatabaseScreen(CannedReader())
            await dashboard.app.push_screen(screen)
            await dashboard.until(lambda: screen.stored is not None)
            assert screen.stored is not None
            of_the_present = replace(screen.stored, rows=())
            await dashboard.press("comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: screen.stored is not None, "the answer to the query of that time")
            screen.keep_answer(screen.QuerySucceeded(Reading(of_the_present, 0), 0))
            screen.keep_failure(screen.QueryFailed("late", 0))
            assert screen.stored is not of_the_present
            assert screen.failure == ""

    async def test_the_journeys_of_the_present_are_not_shown_in_the_past(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("9")
            await dashboard.until(lambda: "No quote was committed in the last 30 s" in dashboard.text())
            await dashboard.press("comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(
                lambda: "A recording does not contain the journeys of quotes" in dashboard.text()
            )
            assert "No quote" not in dashboard.text()

    async def test_lessons_do_not_wait_for_a_start_in_the_past(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("8", "comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(
                lambda: "! This is the past: return to the present first" in dashboard.text()
            )
            assert "still starting" not in dashboard.text()

    async def test_the_timeline_is_that_of_the_time_and_does_not_call_it_live(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("5")
            await dashboard.until(lambda: "timeline (live, 10 s)" in dashboard.text())
            # given a view that was frozen at the present
            await dashboard.press("left")
            await dashboard.until(lambda: "timeline (frozen" in dashboard.text())
            # when the user goes back in time, then the view is of that time
            await dashboard.press("comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: "timeline (10 s, recorded by the second" in dashboard.text())
            assert "╷0 s" in dashboard.text()
            assert "╷now" not in dashboard.text()
            # and a batch, which a recording does not have, cannot be followed
            await dashboard.until(lambda: "follow batch" not in key_bar(dashboard))
            await dashboard.press("f")
            assert "No batch" not in dashboard.said
            # and a view that was frozen there does not stay when the time changes again
            await dashboard.press("left")
            await dashboard.until(lambda: "timeline (frozen" in dashboard.text())
            await dashboard.press("comma")
            await at(dashboard, "10 s ago")
            await dashboard.until(lambda: "timeline (10 s, recorded by the second" in dashboard.text())
            await dashboard.press("end")
            await dashboard.until(lambda: "timeline (live, 10 s)" in dashboard.text())
            await dashboard.until(lambda: "follow batch" in key_bar(dashboard))

    async def test_the_symbol_screen_keeps_no_candles_of_another_time(self, live: Show) -> None:
        reader = CannedReader()
        async with live() as dashboard:
            screen = SymbolScreen("AAPL", reader)
            await dashboard.app.push_screen(screen)
            await dashboard.until(lambda: "candles" in str(screen.chart.border_title))
            reader.failure = DatabaseError("a recording has no database")
            await dashboard.press("comma")
            await at(dashboard, "5 s ago")
            await dashboard.until(lambda: dashboard.text().count("a recording has no database") == 2)
            await dashboard.until(lambda: "does not contain the journeys" in dashboard.text())
            assert "candles" not in str(screen.chart.border_title)
            # and at the present they are shown again
            reader.failure = None
            await dashboard.press("end")
            await dashboard.until(lambda: "candles" in str(screen.chart.border_title))

    async def test_there_is_no_time_before_the_first(self, live: Show) -> None:
        async with live() as dashboard:
            await dashboard.press("ctrl+left", "ctrl+left", "ctrl+left")
            await at(dashboard, "2 min 59 s ago")
            assert dashboard.said == "Nothing earlier is recorded (2 min 59 s)"
            await dashboard.press("comma")
            await at(dashboard, "2 min 59 s ago")

    async def test_nothing_is_recorded_yet(self, live: Show) -> None:
        async with live(recent=lambda: None) as dashboard:
            await dashboard.press("comma")
            assert dashboard.said.startswith("Nothing is recorded yet")
            await dashboard.press("full_stop")
            assert dashboard.said == "This is the present"
            assert bar(dashboard) == ""


class TestReplaying:
    async def test_space_plays_and_pauses(self, replay: Show) -> None:
        clock = FakeClock()
        async with replay(clock=clock) as dashboard:
            assert "‖ 2026-05-14 17:46:01 ×1" in bar(dashboard)
            await dashboard.press("space")
            clock.now += 30
            await at(dashboard, "▶ 2026-05-14 17:46:31")
            await dashboard.press("greater_than_sign")
            clock.now += 10
            await at(dashboard, "▶ 2026-05-14 17:46:51 ×2")
            await dashboard.press("space")
            clock.now += 10
            await at(dashboard, "‖ 2026-05-14 17:46:51")

    async def test_steps_are_single_moments(self, replay: Show) -> None:
        async with replay(at=100.0) as dashboard:
            await dashboard.press("full_stop")
            await at(dashboard, "17:47:41")
            await dashboard.press("comma", "comma")
            await at(dashboard, "17:47:39")
            await dashboard.press("end")
            await at(dashboard, "17:49:00 ")
            await dashboard.press("full_stop")
            assert dashboard.said == "The recording ends here"
            # and the key to the end does not mention a present
            labels = {command.binding.id: command.title for command in dashboard.app.commands()}
            assert labels["time.end"] == "Last moment"
            await dashboard.press("home")
            await at(dashboard, "17:46:01")
            await dashboard.press("comma")
            assert dashboard.said == "The recording begins here"
            assert "17:46:01" in bar(dashboard)
            assert "fetched 0 " in dashboard.text()

    async def test_it_stops_at_the_end_and_begins_again(self, replay: Show) -> None:
        clock = FakeClock()
        async with replay(at=170.0, clock=clock) as dashboard:
            await dashboard.press("space")
            clock.now += 60
            await at(dashboard, "‖ 2026-05-14 17:49:00")
            await dashboard.press("space")
            await at(dashboard, "▶ 2026-05-14 17:46:01")

    async def test_nothing_can_be_controlled_and_q_quits(self, replay: Show) -> None:
        async with replay() as dashboard:
            await dashboard.press("plus", "p", "r", "P")
            assert "space play" in dashboard.text()
            assert "p pause" not in dashboard.text()
            await dashboard.press("q")
            assert dashboard.result == 0

    async def test_all_rows_are_there(self, replay: Show) -> None:
        async with replay(at=60.0) as dashboard:
            table = dashboard.main.panel.table
            await dashboard.until(lambda: table.row_count == len(listed()))


VIEWS = {
    "main": ((), ()),
    "prices": (("z",), ("z",)),
    "next panel": (("tab", "z"), ("z", "shift+tab")),
}
"""The keys that zoom a panel of the main screen, and those that return."""
SIZES = [
    pytest.param((120, 40), id="120x40"),
    pytest.param((80, 24), id="80x24", marks=pytest.mark.thorough),
]
MOMENTS = (19, 37, 53)
"""Seconds whose pictures are compared: before, during and after the faults."""
REFRESHES = (1, 17, MOMENTS[0], 32, MOMENTS[1], 47, MOMENTS[2])
"""Seconds at which both dashboards are refreshed, because prices flash shortly after a change."""


def faults(life: FakeLife) -> None:
    """A source that throttles after 20 s, and an outage of the database from 30 s to 40 s."""
    if life.second == 20:
        life.event(EventKind.THROTTLED, "Yahoo Finance answers 429", 30)
        life.line("answered 429; next attempt in 12 s", 30)
    if life.second == 30:
        life.event(EventKind.DATABASE_DOWN, "PostgreSQL does not answer", 40)
        life.line("PostgreSQL does not answer", 40)
    if 30 <= life.second < 40:
        life.pipeline.now_shows = replace(
            degraded(), taken_at=life.pipeline.now_shows.taken_at, ledger=life.pipeline.now_shows.ledger
        )


async def still_picture(driven: Driven) -> str:
    """The screen as SVG, once it no longer changes."""
    svg, before = driven.app.export_screenshot(title=""), ""
    while svg != before:
        await driven.pilot.pause()
        svg, before = driven.app.export_screenshot(title=""), svg
    return svg


async def pictures(driven: Driven) -> dict[str, str]:
    """SVGs of every view without its keys and its time bar, which a live dashboard does not have."""
    app, found = driven.app, {}
    app.show_message("")
    for widget in app.screen.query("KeyBar, TimeBar"):
        widget.styles.display = "none"
    for name, (keys, back) in VIEWS.items():
        await driven.press(*keys)
        app.refresh_data()
        await driven.pilot.pause()
        driven.main.panel.table.advance(app.clock())
        found[name] = await still_picture(driven)
        await driven.press(*back)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
async def test_the_pictures_of_a_replay_are_those_of_the_run(tmp_path: Path, size: tuple[int, int]) -> None:
    # given a run with faults, shown while it is recorded
    life, writer = FakeLife(), BlockWriter()
    source, position, blocks = UpdateSource(life.pipeline, life.log), Position(), []
    seen: dict[int, dict[str, str]] = {}
    app = DashboardApp(
        lambda: life.pipeline,
        FACTS.run.applied_to(Settings(data_dir=tmp_path)),
        log=life.log,
        state_file=tmp_path / "dashboard.json",
        export_folder=tmp_path,
        clock=lambda: NOON + timedelta(seconds=life.second),
        refusal="as of a recording, so that no title names keys that steer",
    )
    life.live()
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot)
        live = Driven(app, pilot, life.pipeline)
        while life.second <= MOMENTS[-1]:
            update = source.since(position)
            position = update.position
            blocks.append(writer.add(update))
            if life.second in REFRESHES:
                app.refresh_data()
                await pilot.pause()
            if life.second in MOMENTS:
                seen[life.second] = await pictures(live)
            life.live(faults)
    recording = Recording.of_blocks(FACTS, [each for each in (*blocks, writer.finish()) if each is not None])

    # when the recording is played
    clock = FakeClock()
    playback = Playback(recording.first, recording.last, clock=clock)
    pipeline = ReplayedPipeline(recording, playback)
    replay = replay_app(pipeline, tmp_path)
    async with replay.run_test(size=size) as pilot:
        shown = Driven(replay, pilot, life.pipeline)
        await shown.until(lambda: replay.feed.pipeline is pipeline and bar(shown), "the time bar")
        replay.change_time(TimeControls.play)
        for second in REFRESHES:
            clock.now += START + second - playback.at
            replay.refresh_data()
            await pilot.pause()
            # then every picture is the same as in the run
            if second in MOMENTS:
                assert await pictures(shown) == seen[second], second
        # and also after jumps to the moments in any order
        replay.change_time(TimeControls.play)
        for second in reversed(MOMENTS[:-1]):
            playback.seek(START + second)
            replay.change_time(lambda _: "")
            await pilot.pause()
            found = await pictures(shown)
            # except for the column of trends in the zoomed prices, which begins at the moment of the jump
            assert {name for name in VIEWS if found[name] != seen[second][name]} <= {"prices"}, second
    assert len({svg for each in seen.values() for svg in each.values()}) == len(MOMENTS) * len(VIEWS)
