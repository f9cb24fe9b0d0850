"""Every key of the dashboard does what it says, whatever the pipeline is doing."""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip

from sp500tui import logs
from sp500tui.domain import ConfigurationError, Sp500tuiError
from sp500tui.paths import Paths
from sp500tui.pipeline.control import StopStep
from sp500tui.pipeline.snapshot import EventKind, Phase, PipelineEvent, StageName
from sp500tui.settings import Settings
from sp500tui.tui.app import DashboardApp, run_dashboard
from sp500tui.tui.messages import PricesChanged, SnapshotTaken
from sp500tui.tui.screens import registry
from sp500tui.tui.screens.help import HelpScreen
from sp500tui.tui.screens.main import MainScreen
from sp500tui.tui.screens.quit import StopScreen
from sp500tui.tui.widgets.line_canvas import LineCanvas
from tests.tui.conftest import CannedLog, Drive
from tests.tui.fake_pipeline import NOON, FakePipeline, degraded, draining, empty, failed, live_price, running


class TestScaling:
    async def test_plus_and_minus_change_the_selected_stage_and_tell_old_and_new(self, drive: Drive) -> None:
        # given the price workers selected
        async with drive() as driven:
            # when one is added
            await driven.press("plus")
            # then the pipeline was asked and the words are there
            assert ("scale", StageName.PRICE, 9) in driven.pipeline.calls
            assert driven.said == "price workers 8 → 9"
            # and back again
            await driven.press("minus")
            assert driven.said == "price workers 9 → 8"

    async def test_the_unshifted_keys_work_too(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("equals_sign", "underscore")
            assert [call[2] for call in driven.pipeline.calls if call[0] == "scale"] == [9, 8]

    async def test_bounds_are_told_and_not_crossed(self, drive: Drive) -> None:
        async with drive(price_workers=8) as driven:
            stages = tuple(replace(stage, size=64) for stage in running().stages)
            driven.show(replace(running(), stages=stages))
            await driven.press("plus")
            assert driven.said == "price workers stay at 64: 1 to 64 are possible"
            assert not any(call[0] == "scale" for call in driven.pipeline.calls)

    async def test_the_scraper_cannot_be_scaled(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("left", "plus")
            assert driven.said == "the scraper is always one worker"

    @pytest.mark.parametrize(
        ("keys", "stage"),
        [
            (("right",), StageName.CONVERTER),
            (("l", "l"), StageName.WRITER),
            (("right", "right", "right"), StageName.SCRAPER),
            (("h",), StageName.SCRAPER),
            (("left", "left"), StageName.WRITER),
        ],
    )
    async def test_arrows_select_a_stage(self, drive: Drive, keys: tuple[str, ...], stage: StageName) -> None:
        async with drive() as driven:
            await driven.press(*keys)
            assert driven.app.selected_stage is stage
            assert driven.main.strip.selected is stage

    async def test_arrows_stay_with_the_text_while_a_filter_is_typed(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("slash", "l", "left", "h")
            assert driven.app.selected_stage is StageName.PRICE
            assert driven.main.panel.table.filter_text == "hl"

    async def test_a_click_on_a_stage_selects_it(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.pilot.click("#strip", offset=(65, 2))
            await driven.pilot.pause()
            assert driven.app.selected_stage is StageName.CONVERTER
            assert "converters selected" in driven.text()

    async def test_a_click_on_a_queue_selects_nothing(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.pilot.click("#strip", offset=(18, 2))
            assert driven.app.selected_stage is StageName.PRICE


class TestPipelineKeys:
    async def test_p_pauses_and_resumes(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("p")
            assert ("pause", None) in driven.pipeline.calls
            await driven.until(lambda: "paused" in driven.text())
            await driven.press("p")
            assert ("resume", None) in driven.pipeline.calls

    async def test_a_draining_pipeline_is_not_paused(self, drive: Drive) -> None:
        async with drive(FakePipeline(draining())) as driven:
            await driven.press("p")
            assert driven.said == "cannot pause: the pipeline is draining"
            assert ("pause", None) not in driven.pipeline.calls

    async def test_capital_p_pauses_one_stage(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("P")
            assert driven.said == "price workers paused"
            await driven.until(lambda: "‖ paused" in driven.text())
            await driven.press("P")
            assert driven.said == "price workers resumed"
            assert driven.pipeline.calls[-2:] == [("pause", StageName.PRICE), ("resume", StageName.PRICE)]

    async def test_r_runs_a_cycle_or_says_why_not(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("r")
            assert driven.said == "no cycle started: one is under way or the pipeline is stopping"
            driven.show(replace(running(), cycle=replace(running().cycle, running=False)))
            await driven.press("r")
            assert driven.said == "cycle started"

    async def test_brackets_step_the_interval(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("left_square_bracket")
            assert driven.said == "interval 15 s → 10 s"
            await driven.press("right_square_bracket", "right_square_bracket")
            assert driven.said == "interval 15 s → 30 s"

    async def test_the_screen_can_be_slowed_and_hurried(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("greater_than_sign")
            assert driven.app.refresh_rate == 8
            await driven.press("less_than_sign", "less_than_sign")
            assert driven.said == "screen looks 2 times a second"

    async def test_keys_before_the_pipeline_exists_say_so(self, build: Callable[..., DashboardApp]) -> None:
        app = build(FakePipeline())
        app.opener.cancel(0)
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press("plus")
            assert app.feed.pipeline is None
            assert "the pipeline is still starting" in str(app.screen.query_one("#strip").border_subtitle)


class TestView:
    async def test_space_holds_the_panels_and_not_the_status(self, drive: Drive) -> None:
        async with drive() as driven:
            # given a frozen view
            await driven.press("space")
            assert driven.main.panel.table.frozen
            before = driven.text()
            # when workers and counters move on
            moved = running()
            workers = tuple(replace(worker, doing="something else") for worker in moved.workers)
            driven.show(
                replace(moved, workers=workers, ledger=replace(moved.ledger, fetched=21_127, stored=20_872))
            )
            await driven.until(lambda: "21,127" in driven.text(), "the equation going on")
            # then only the status did, and says that the view is frozen
            assert "something else" not in driven.text()
            assert "view frozen" in driven.text()
            assert "view frozen" in before
            await driven.press("space")
            await driven.until(lambda: "something else" in driven.text(), "the panels catching up")

    async def test_a_frozen_log_catches_up(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await driven.press("space")
            log.say("said while nobody looked")
            driven.app.look()
            await driven.pilot.pause()
            assert "said while nobody looked" not in driven.text()
            await driven.press("space")
            await driven.until(lambda: "said while nobody looked" in driven.text())

    async def test_c_switches_the_currency(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("c")
            assert driven.main.panel.table.show_converted
            assert driven.said == "prices in DKK first"
            await driven.press("c")
            assert driven.said == "prices as quoted first"

    async def test_y_copies_the_marked_price(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("g", "y")
            assert driven.app.clipboard.startswith(f"{driven.main.panel.table.cursor_symbol}\t")

    async def test_y_copies_the_marked_worker(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.main.worker_list.focus()
            await driven.press("down", "y")
            assert driven.app.clipboard == "price-1 busy 50 symbols, AAPL to AXON"

    async def test_y_without_rows_says_so(self, drive: Drive) -> None:
        async with drive(FakePipeline(empty(), [])) as driven:
            await driven.press("y")
            await driven.until(lambda: "there is no row to copy" in notes(driven.app))

    @pytest.mark.parametrize(("key", "kind"), [("e", "csv"), ("E", "json")])
    async def test_e_exports_what_is_shown(self, drive: Drive, tmp_path: Path, key: str, kind: str) -> None:
        async with drive() as driven:
            await driven.press("slash", *"apple", "enter", key)
            path = tmp_path / f"sp500tui-prices-20260514-174600.{kind}"
            await driven.until(path.exists, "the file")
            assert str(path) in notes(driven.app)
            text = path.read_text()
            assert "AAPL" in text
            assert "MSFT" not in text

    async def test_an_export_that_cannot_be_written_says_why(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.app.export_folder = Path("/proc/none")
            await driven.press("e")
            await driven.until(lambda: "cannot export" in notes(driven.app))

    async def test_z_gives_the_focused_panel_the_screen_and_takes_it_back(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("z")
            assert driven.main.maximized is driven.main.panel
            assert "workers · all stages" not in driven.text()
            assert "running" in driven.text()
            await driven.press("z")
            assert driven.main.maximized is None

    async def test_enter_asks_for_the_details_of_the_symbol(self, drive: Drive) -> None:
        seen: list[Message] = []
        async with drive(hook=seen.append) as driven:
            await driven.press("g", "enter")
            symbol = driven.main.panel.table.cursor_symbol
            chosen = [message for message in seen if type(message).__name__ == "SymbolChosen"]
            assert [getattr(message, "symbol", None) for message in chosen][:1] == [symbol]

    async def test_tab_walks_through_the_panels(self, drive: Drive) -> None:
        async with drive() as driven:
            focused = []
            for _ in range(3):
                await driven.press("tab")
                focused.append(type(driven.app.focused).__name__)
            assert focused == ["LogLines", "WorkersPanel", "PriceTable"]

    async def test_help_lists_every_key_and_closes(self, drive: Drive) -> None:
        async with drive(size=(80, 24)) as driven:
            await driven.press("question_mark")
            assert top_of(driven.app) is HelpScreen
            text = "\n".join(driven.app.screen.query_one(LineCanvas).lines_shown())
            assert all(command.title in text for command in driven.app.commands())
            await driven.press("j", "pagedown", "G", "g", "k", "escape")
            assert top_of(driven.app) is MainScreen

    async def test_a_click_on_the_key_bar_presses_the_key(self, drive: Drive) -> None:
        async with drive() as driven:
            bar = driven.main.query_one("#keys", LineCanvas).lines_shown()[0]
            await driven.pilot.click("#keys", offset=(bar.index("pause"), 0))
            await driven.until(lambda: ("pause", None) in driven.pipeline.calls)

    async def test_every_action_is_in_the_command_palette(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("ctrl+p", *"run cycle")
            await driven.until(lambda: "pipeline: Run cycle (r)" in driven.text())
            await driven.press("enter")
            await driven.until(lambda: ("run_cycle_now",) in driven.pipeline.calls)

    async def test_a_number_shows_its_screen(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("question_mark")
            await driven.app.run_action("show_screen('pipeline')")
            assert top_of(driven.app) is MainScreen


class TestStopping:
    async def test_q_drains_then_spools_then_kills(self, drive: Drive) -> None:
        # given a pipeline that ends only when killed
        async with drive() as driven:
            # when q is pressed for the first time
            await driven.press("q")
            assert driven.pipeline.calls[-1] == ("stop", StopStep.DRAIN)
            await driven.until(lambda: top_of(driven.app) is StopScreen)
            await driven.until(lambda: "q again spools" in driven.text())
            # then each further q takes the next step
            await driven.press("q")
            assert driven.pipeline.calls[-1] == ("stop", StopStep.SPOOL)
            await driven.until(lambda: "q again kills" in driven.text())
            await driven.press("q")
            assert driven.pipeline.calls[-1] == ("stop", StopStep.KILL)
            await driven.until(lambda: driven.result is not None)
            assert driven.result == 1

    async def test_a_clean_drain_ends_with_zero(self, drive: Drive) -> None:
        clean = replace(running(), ledger=replace(running().ledger, stored=20_923, queued=0))
        pipeline = FakePipeline(clean)
        pipeline.ends_at = StopStep.DRAIN
        async with drive(pipeline) as driven:
            await driven.press("q")
            await driven.until(lambda: driven.result is not None)
            assert driven.result == 0

    async def test_the_note_can_be_hidden_and_comes_back(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("ctrl+c", "escape")
            assert top_of(driven.app) is MainScreen
            assert driven.result is None
            await driven.press("q")
            assert top_of(driven.app) is StopScreen

    async def test_leaving_before_the_pipeline_exists_starts_nothing(
        self, build: Callable[..., DashboardApp]
    ) -> None:
        pipeline = FakePipeline()
        app = build(pipeline)
        app.opener.cancel(0)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("q")
        assert app.return_value is not None
        assert ("start",) not in pipeline.calls

    async def test_a_pipeline_that_ended_by_itself_is_left_at_once(self, drive: Drive) -> None:
        async with drive(FakePipeline(replace(running(), phase=Phase.STOPPED))) as driven:
            await driven.press("q")
            assert driven.result is not None
            assert not any(call[0] == "stop" for call in driven.pipeline.calls)


class TestStates:
    async def test_messages_arrive_typed_and_only_when_there_is_news(self, drive: Drive) -> None:
        seen: list[Message] = []
        async with drive(hook=seen.append) as driven:
            # given everything was told once
            await driven.until(lambda: any(isinstance(message, PricesChanged) for message in seen))
            seen.clear()
            # when one price moves
            driven.pipeline.prices.append(live_price("AAPL", running_price(driven.pipeline), 1.0, 9_999))
            await driven.until(lambda: any(isinstance(message, PricesChanged) for message in seen))
            # then just that one is sent, to the screen that shows it
            changed = {id(m): m for m in seen if isinstance(m, PricesChanged)}.values()
            assert [price.row.quote.symbol for message in changed for price in message.prices] == ["AAPL"]
            assert any(isinstance(message, SnapshotTaken) for message in seen)

    async def test_without_list_and_prices_the_screen_says_what_since_when_and_what_else(
        self, drive: Drive
    ) -> None:
        async with drive(FakePipeline(empty(), []), demo=False) as driven:
            await driven.until(lambda: "No list of constituents" in driven.text())
            text = " ".join(driven.text().split())
            assert "next attempt in 9 s" in text
            assert "sp500tui --demo" in text

    async def test_a_degraded_run_says_why_and_when_it_tries_again(self, drive: Drive) -> None:
        async with drive(FakePipeline(degraded())) as driven:
            assert (
                "degraded, next attempt in 3 s: Yahoo Finance answers 429; PostgreSQL does not answer"
                in driven.text()
            )
            assert "PostgreSQL ✗ down" in driven.text()

    async def test_a_failed_pipeline_keeps_the_screen(self, drive: Drive) -> None:
        async with drive(FakePipeline(failed(), [])) as driven:
            assert "failed: the data folder cannot be written: /srv/data" in driven.text()

    async def test_a_pipeline_that_cannot_be_opened_is_told(self, build: Callable[..., DashboardApp]) -> None:
        class Broken(FakePipeline):
            def start(self) -> None:
                raise ConfigurationError(
                    "the data folder cannot be written: /srv/data; choose another with --data-dir"
                )

        app = build(Broken())
        async with app.run_test(size=(120, 40)) as pilot:
            for _ in range(200):
                if app.snapshot.phase is Phase.FAILED:
                    break
                await pilot.pause(0.01)
            assert "choose another with --data-dir" in app.snapshot.failure

    async def test_errors_in_the_pipeline_become_one_note(self, drive: Drive) -> None:
        async with drive() as driven:
            event = PipelineEvent(
                EventKind.DATABASE_DOWN, "PostgreSQL [red]does not answer\x1b[31m", 40, NOON
            )
            for _ in range(3):
                driven.pipeline.listeners[0](event)
            await driven.until(lambda: "does not answer" in notes(driven.app))
            assert notes(driven.app).count("does not answer") == 1
            assert "\x1b" not in notes(driven.app)

    async def test_hostile_words_stay_words(self, drive: Drive, log: CannedLog) -> None:
        hostile = "[red]x[/] \x1b[2J\x07 🙂 שלום ‮end"
        log.say(hostile, 40)
        snapshot = running()
        workers = tuple(
            replace(each, name="price-[b]", doing=hostile, last_error=hostile) for each in snapshot.workers
        )
        nasty = replace(snapshot, workers=workers, phase=Phase.FAILED, failure=hostile)
        async with drive(FakePipeline(nasty), size=(200, 60)) as driven:
            driven.main.worker_list.focus()
            await driven.pilot.pause()
            text = driven.text()
            assert "[red]x[/]" in text
            assert not set("\x1b\x07‮") & set(text)

    async def test_a_window_too_small_says_so_and_recovers(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.pilot.resize_terminal(10, 5)
            await driven.pilot.pause()
            await driven.pilot.resize_terminal(58, 20)
            await driven.until(lambda: "too small" in driven.text())
            await driven.pilot.resize_terminal(120, 40)
            await driven.until(lambda: "bottleneck" in driven.text())
            assert "too small" not in driven.text()

    async def test_keys_mashed_at_random_break_nothing(self, drive: Drive) -> None:
        dice = random.Random(11)
        keys = [
            *"+-pr[]cyezbsSRgGhjklw?<>123456789",
            "up",
            "down",
            "enter",
            "escape",
            "tab",
            "space",
            "slash",
            "home",
        ]
        async with drive(size=(100, 30)) as driven:
            for _ in range(6):
                await driven.pilot.press(*(dice.choice(keys) for _ in range(12)))
                if dice.random() < 0.3:
                    await driven.pilot.resize_terminal(dice.randint(10, 200), dice.randint(5, 60))
            assert driven.app.is_running

    async def test_many_looks_leave_no_more_widgets_than_before(self, drive: Drive) -> None:
        async with drive() as driven:
            before = len(list(driven.app.screen.walk_children()))
            for _ in range(200):
                driven.app.look()
            await driven.pilot.pause()
            assert len(list(driven.app.screen.walk_children())) == before

    async def test_a_look_without_news_repaints_nothing(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with drive() as driven:
            painted: list[int] = []
            strip = driven.main.strip
            original = strip.render_line

            def paint(y: int) -> Strip:
                painted.append(y)
                return original(y)

            monkeypatch.setattr(strip, "render_line", paint)
            for _ in range(5):
                driven.app.look()
                await driven.pilot.pause()
            assert painted == []

    async def test_a_blurred_window_is_looked_at_less_often(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.app.app_focus = False
            due = [driven.app._due_while_blurred() for _ in range(8)]
            assert sum(due) == 2

    async def test_a_process_can_be_spawned_from_the_running_app(self, drive: Drive) -> None:
        resource_tracker.ensure_running()
        async with drive() as driven:
            process = multiprocessing.get_context("spawn").Process(target=int)
            process.start()
            await driven.until(lambda: not process.is_alive(), "the end of the process")
            assert process.exitcode == 0


class TestThemes:
    async def test_the_theme_is_remembered(self, drive: Drive, tmp_path: Path) -> None:
        async with drive() as driven:
            driven.app.theme = "sp500tui-light"
            file = tmp_path / "state" / "dashboard.json"
            await driven.until(file.exists, "the note of the theme")
        assert json.loads(file.read_text()) == {"theme": "sp500tui-light"}
        async with drive() as driven:
            assert driven.app.theme == "sp500tui-light"

    async def test_the_setting_wins_over_the_memory(self, drive: Drive) -> None:
        async with drive(theme="ansi-dark") as driven:
            assert driven.app.theme == "ansi-dark"

    def test_an_unknown_theme_is_refused(self, build: Callable[..., DashboardApp]) -> None:
        with pytest.raises(ConfigurationError, match="theme 'mauve' is not known; use one of sp500tui-dark"):
            build(FakePipeline(), theme="mauve")

    async def test_a_memory_that_cannot_be_written_is_told(self, drive: Drive, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("a file in the way")
        async with drive() as driven:
            driven.app.theme = "sp500tui-light"
            await driven.until(lambda: "cannot be remembered" in notes(driven.app))


class TestKeymap:
    async def test_a_key_can_be_changed(self, drive: Drive) -> None:
        async with drive(keymap={"pipeline.pause": "f5"}) as driven:
            await driven.press("f5")
            assert ("pause", None) in driven.pipeline.calls
            await driven.press("p")
            assert driven.pipeline.calls.count(("pause", None)) == 1

    def test_an_unknown_id_is_refused_with_the_nearest(self, build: Callable[..., DashboardApp]) -> None:
        with pytest.raises(ConfigurationError, match=r"'pipeline.paus'; did you mean 'pipeline.pause'"):
            build(FakePipeline(), keymap={"pipeline.paus": "f5"})

    def test_an_empty_key_is_refused(self, build: Callable[..., DashboardApp]) -> None:
        with pytest.raises(ConfigurationError, match="'quit' has the empty key"):
            build(FakePipeline(), keymap={"quit": "x,"})


def top_of(app: DashboardApp) -> type[Screen[object]]:
    return type(app.screen)


def notes(app: DashboardApp) -> str:
    return "\n".join(note.message for note in app._notifications)


def running_price(pipeline: FakePipeline) -> Decimal:
    return next(price.row.quote.price for price in pipeline.prices if price.row.quote.symbol == "AAPL")


class TestRun:
    @pytest.fixture
    def paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        logs.configure(console=False, folder=tmp_path)
        return Paths.of(Settings(data_dir=tmp_path))

    def lived(self, monkeypatch: pytest.MonkeyPatch, code: int | None, crash: str = "") -> FakePipeline:
        """Have the app open its pipeline and end at once."""
        pipeline = FakePipeline()
        pipeline.ends_at = StopStep.DRAIN

        def run(app: DashboardApp) -> int | None:
            app.opener.start()
            app.opener.cancel(5)
            app.crashed = crash
            return code

        stand_in = types.ModuleType("sp500tui.pipeline.pipeline")
        monkeypatch.setattr(stand_in, "Pipeline", lambda settings, paths: pipeline, raising=False)
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
        monkeypatch.setattr(DashboardApp, "run", run)
        return pipeline

    @pytest.mark.parametrize(("code", "result"), [(0, 0), (143, 143), (None, 1)])
    def test_the_pipeline_is_stopped_whatever_ended_the_screen(
        self, paths: Paths, monkeypatch: pytest.MonkeyPatch, code: int | None, result: int
    ) -> None:
        pipeline = self.lived(monkeypatch, code)
        assert run_dashboard(Settings(drain_timeout=0.1), paths) == result
        assert not pipeline.calls or pipeline.calls[-1] == ("stop", StopStep.DRAIN)

    def test_a_crash_names_the_log(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lived(monkeypatch, None, "ValueError: no number")
        with pytest.raises(
            Sp500tuiError, match=r"the dashboard failed \(ValueError: no number\); details are in .*app.log"
        ):
            run_dashboard(Settings(drain_timeout=0.1), paths)


async def test_the_demo_screen_needs_a_demo(drive: Drive) -> None:
    async with drive(demo=False) as driven:
        demo_only = [entry.name for entry in registry.SCREENS if entry.demo_only]
        for name in demo_only:
            await driven.app.run_action(f"show_screen('{name}')")
        await driven.pilot.pause()
        assert top_of(driven.app) is MainScreen
        assert notes(driven.app).count("--demo") == len(demo_only)
