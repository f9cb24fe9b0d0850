"""Actions of keys on the pipeline, the shutdown steps, and the names of keys: decisions without a screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.message import Message

from sp500tui.config.settings import Settings
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import MissingSymbol, Phase
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.polling import PipelineFeed
from sp500tui.tui.quit.shutdown import (
    ShutdownController,
    ShutdownStatus,
    in_progress,
    stopping_lines,
    unsaved_summary,
)
from sp500tui.tui.render.lines import width_of
from sp500tui.tui.shell import pipeline_actions as steering
from sp500tui.tui.shell.key_bar import ShownKey, key_line
from sp500tui.tui.shell.themes import remember_theme, remembered_theme
from sp500tui.tui.startup import PipelineLoader, starting_snapshot
from tests.support.tui.fake_pipeline import (
    NOON,
    FakePipeline,
    degraded,
    draining,
    empty,
    live_price,
    running,
    with_history,
)
from tests.tui.conftest import CannedLog

CLEAN = replace(running(), ledger=Ledger(10, 9, 1))


@pytest.mark.parametrize(
    ("present", "direction", "then"),
    [(4.0, 1, 8.0), (4.0, -1, 2.0), (0.5, -1, 0.5), (30.0, 1, 30.0), (5.0, 1, 8.0), (5.0, -1, 4.0)],
)
def test_refresh_rates_step_within_bounds(present: float, direction: int, then: float) -> None:
    assert steering.step_refresh(present, direction) == then


def test_stages_go_round() -> None:
    seen = running()
    assert steering.neighbour(seen, StageName.WRITER, 1) is StageName.SCRAPER
    assert steering.neighbour(seen, StageName.SCRAPER, -1) is StageName.WRITER


def test_the_history_stage_is_selectable_once_it_was_started() -> None:
    seen = with_history(running())
    assert steering.neighbour(seen, StageName.WRITER, 1) is StageName.HISTORY
    assert steering.neighbour(seen, StageName.HISTORY, 1) is StageName.SCRAPER


class TestLadder:
    def test_every_request_is_one_step_and_the_last_times_out(self) -> None:
        # given a fake clock
        now = [100.0]
        pipeline = FakePipeline()
        shutdown_controller = ShutdownController(30.0, lambda: now[0])
        assert not shutdown_controller.escalated
        # when all shutdown steps are taken
        for _ in range(4):
            shutdown_controller.escalate(pipeline, running())
            now[0] += 1
        # then every step was requested, and waiting ends soon after the last
        assert [call[1] for call in pipeline.calls] == [
            ShutdownLevel.DRAIN,
            ShutdownLevel.SPOOL,
            ShutdownLevel.KILL,
            ShutdownLevel.KILL,
        ]
        assert shutdown_controller.status == ShutdownStatus(ShutdownLevel.KILL, 4.0, 30.0, 52)
        assert not shutdown_controller.is_expired
        now[0] += 2
        assert shutdown_controller.is_expired

    @pytest.mark.parametrize(
        ("step", "now", "then"),
        [
            (
                ShutdownLevel.DRAIN,
                "Draining: storing everything already fetched.",
                "Press q again to spool the rest to disk",
            ),
            (
                ShutdownLevel.SPOOL,
                "Spooling: writing the rest to the journal",
                "Press q again to kill the workers",
            ),
            (ShutdownLevel.KILL, "Killing the remaining workers.", "Quitting"),
        ],
    )
    def test_the_notice_names_the_current_step_and_the_effect_of_the_next_key(
        self, step: ShutdownLevel, now: str, then: str
    ) -> None:
        lines = stopping_lines(ShutdownStatus(step, 3.0, 30.0, 104), draining(), 70)
        text = "\n".join("".join(span.text for span in line) for line in lines)
        assert now in text
        assert then in text
        assert "50 %" in text
        assert "52 quotes in progress, 0 in the journal" in text
        assert ("3 s (timeout 30 s)" in text) == (step is ShutdownLevel.DRAIN)
        assert all(width_of(line) <= 70 for line in lines)

    def test_a_drain_is_not_over_while_the_database_is_unavailable(self) -> None:
        # given quotes spooled to the journal because the database is down
        away = replace(degraded(), ledger=replace(degraded().ledger, queued=0, spooled=50))
        # when it drains, then they are still to be stored, and the reason for the wait is shown
        lines = stopping_lines(ShutdownStatus(ShutdownLevel.DRAIN, 3.0, 30.0, 100), away, 74)
        text = "\n".join("".join(span.text for span in line) for line in lines)
        assert "50 %" in text
        assert "50 in the journal" in text
        assert "next attempt in 3 s" in text
        # and when it spools, they remain in the journal
        lines = stopping_lines(ShutdownStatus(ShutdownLevel.SPOOL, 3.0, 30.0, 100), away, 74)
        assert "100 %" in "".join(span.text for span in lines[2])
        assert all(width_of(line) <= 74 for line in lines)

    @pytest.mark.parametrize(
        ("ledger", "words"),
        [
            (Ledger(9, 9), ""),
            (Ledger(9, 8, spooled=1), "1 quote in the journal, to be stored at the next start"),
            (Ledger(9, 8, queued=1), "1 quote not stored because the workers were killed"),
            (Ledger(9, 8, dead=1), "1 row rejected by the database (see sp500tui dead-letters list)"),
        ],
    )
    def test_what_is_not_stored_is_printed(self, ledger: Ledger, words: str) -> None:
        assert unsaved_summary(replace(running(), ledger=ledger)) == words

    def test_symbols_without_a_price_are_left_behind_too(self) -> None:
        missing = (MissingSymbol("NOPE", "unknown"),)
        left = replace(running(), ledger=Ledger(9, 8, spooled=1), missing=missing)
        assert unsaved_summary(left).endswith("; 1 symbol without a price in the last cycle")

    def test_with_nothing_in_progress_the_drain_is_complete(self) -> None:
        lines = stopping_lines(ShutdownStatus(ShutdownLevel.DRAIN, 0.0, 30.0, 0), CLEAN, 70)
        assert "100 %" in "".join(span.text for span in lines[2])
        assert in_progress(CLEAN) == 0


class TestFeed:
    def feed(self, pipeline: FakePipeline | None, log: CannedLog) -> PipelineFeed:
        feed = PipelineFeed(lambda: starting_snapshot(Settings(), NOON, 1.0), log, lambda: NOON)
        feed.pipeline = pipeline
        return feed

    def test_before_the_pipeline_there_is_only_the_log(self, log: CannedLog) -> None:
        log.say("hello")
        news = self.feed(None, log).poll()
        assert news.snapshot.phase is Phase.STARTING
        assert [line.message for line in news.lines] == ["hello"]
        assert news.constituents is None

    def test_everything_is_reported_once(self, log: CannedLog) -> None:
        pipeline = FakePipeline()
        feed = self.feed(pipeline, log)
        first = feed.poll()
        assert len(first.prices) == len(first.constituents or ()) == 503
        again = feed.poll()
        assert (again.prices, again.constituents, again.lines) == ([], None, [])

    def test_only_the_changed_price_is_returned(self, log: CannedLog) -> None:
        pipeline = FakePipeline()
        feed = self.feed(pipeline, log)
        feed.poll()
        pipeline.prices.append(live_price("MMM", pipeline.prices[0].row.quote.price, 1.0, 9_999))
        assert [price.version for price in feed.poll().prices] == [9_999]

    def test_a_list_that_comes_late_is_posted(self, log: CannedLog) -> None:
        pipeline = FakePipeline(empty(), [])
        feed = self.feed(pipeline, log)
        assert feed.poll().constituents is None
        pipeline.names = FakePipeline().names
        assert len(feed.poll().constituents or ()) == 503

    def test_another_list_is_posted_again(self, log: CannedLog) -> None:
        pipeline = FakePipeline()
        feed = self.feed(pipeline, log)
        feed.poll()
        newer = replace(running().constituents, count=500)
        pipeline.now_shows = replace(running(), constituents=newer)
        assert feed.poll().constituents is not None


def keeping(reported: list[Message]) -> Callable[[Message], bool]:
    def post(message: Message) -> bool:
        reported.append(message)
        return True

    return post


class TestOpener:
    def wait(self, opener: PipelineLoader) -> None:
        opener.start()
        assert opener.thread.join(30)

    def test_the_pipeline_is_started_and_posted(self) -> None:
        reported: list[Message] = []
        pipeline = FakePipeline()
        opener = PipelineLoader(lambda: pipeline, keeping(reported))
        self.wait(opener)
        assert pipeline.calls == [("start",)]
        assert opener.pipeline is pipeline
        assert [type(message).__name__ for message in reported] == ["PipelineOpened"]

    def test_a_failure_is_posted(self) -> None:
        reported: list[Message] = []

        def broken() -> FakePipeline:
            raise OSError("disk on fire")

        self.wait(PipelineLoader(broken, keeping(reported)))
        assert [type(message).__name__ for message in reported] == ["PipelineFailed"]

    def test_nothing_starts_after_a_cancel(self) -> None:
        pipeline = FakePipeline()
        opener = PipelineLoader(lambda: pipeline, lambda message: True)
        opener.cancel(1.0)
        self.wait(opener)
        assert pipeline.calls == []
        assert opener.pipeline is None


class TestKeys:
    entries = (
        ShownKey("prices.select", (("⏎", "enter"),), "details"),
        ShownKey("stage.more", (("+", "plus"), ("-", "minus")), "scale"),
        ShownKey("pipeline.pause", (("p", "p"),), "pause"),
        ShownKey("prices.group", (("b", "b"),), "by sector"),
        ShownKey("help", (("?", "question_mark"),), "help"),
        ShownKey("quit", (("q", "q"),), "quit"),
        ShownKey("palette", (("^p", "ctrl+p"),), "palette"),
    )

    def test_all_are_shown_where_there_is_room(self) -> None:
        line, spots = key_line(self.entries, 100)
        text = "".join(span.text for span in line)
        assert text.startswith(" ⏎ details  + - scale  p pause  b by sector ")
        assert text.endswith(" ? help  q quit  ^p palette ")
        assert len(text) == 100
        for spot in spots:
            assert text[spot.left] in "⏎+-pb?q^"
        assert {spot.key for spot in spots if "+" in text[spot.left : spot.right]} == {"plus"}

    def test_the_important_ones_stay(self) -> None:
        text = "".join(span.text for span in key_line(self.entries, 50)[0])
        assert "+ - scale" in text
        assert "p pause" in text
        assert "by sector" not in text
        assert "q quit" in text

    def test_number_keys_precede_the_permanent_keys_and_are_left_out_first(self) -> None:
        screens = [
            ShownKey("screen.database", (("2", "2"),), "database"),
            ShownKey("screen.demo", (("3", "3"),), "faults"),
        ]
        entries = [*screens, *self.entries]
        wide, spots = key_line(entries, 100)
        text = "".join(span.text for span in wide)
        assert text.endswith("  2 database  3 faults  ? help  q quit  ^p palette ")
        assert {spot.key: text[spot.left : spot.right] for spot in spots}["2"] == "2 database"
        narrow = "".join(span.text for span in key_line(entries, 56)[0])
        assert "+ - scale  p pause" in narrow
        assert "database" not in narrow

    def test_every_command_has_its_own_id_a_title_and_an_explanation(
        self, build: Callable[..., DashboardApp]
    ) -> None:
        commands = build(FakePipeline()).commands()
        ids = [command.binding.id for command in commands]
        assert len(set(ids)) == len(ids)
        assert all(command.title and command.explanation for command in commands)

    def test_keys_are_shown_as_configured(self, build: Callable[..., DashboardApp]) -> None:
        app = build(FakePipeline(), keymap={"pipeline.pause": "f5,x"})
        keys = {command.binding.id: app.keys_of(command.binding) for command in app.commands()}
        assert keys["pipeline.pause"] == "f5 x"
        assert keys["stage.more"] == "+"
        assert keys["stage.previous"] == "← h"


class TestThemeMemory:
    def test_a_stored_theme_is_read_back(self, tmp_path: Path) -> None:
        file = tmp_path / "deep" / "dashboard.json"
        assert remembered_theme(file) is None
        remember_theme(file, "nord")
        assert remembered_theme(file) == "nord"

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"theme": "mauve"}', '{"theme": 3}', "\xff"])
    def test_a_damaged_state_file_is_ignored(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "dashboard.json"
        file.write_text(text, encoding="latin-1")
        assert remembered_theme(file) is None
