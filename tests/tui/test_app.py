"""The dashboard in every state of the pipeline: what it shows, how it stops, what it stores."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import signal
import sys
import threading
import types
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from textual.css.query import NoMatches
from textual.message import Message
from textual.strip import Strip

from sp500tui.config.loader import Configuration
from sp500tui.config.options import BY_FIELD
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.headless.runner import run_headless
from sp500tui.logs import setup as logs
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import MissingSymbol, Phase, Snapshot
from sp500tui.pipeline.runtime.stop_signals import StopSignals
from sp500tui.tui import screens as registry
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.messages import PricesChanged, SnapshotTaken
from sp500tui.tui.quit.screen import StopScreen
from sp500tui.tui.run import run_dashboard
from tests.support.parameters import sizes
from tests.support.tui.fake_cluster import three_nodes
from tests.support.tui.fake_pipeline import NOON, FakePipeline, degraded, empty, failed, live_price, running
from tests.support.waiting import Wait
from tests.tui.conftest import CannedLog, Drive, notes, top_of, until


class TestStopping:
    async def test_a_message_that_finds_its_widgets_removed_is_no_failure_at_the_end(
        self, drive: Drive
    ) -> None:
        reached = threading.Event()

        def look_for_what_is_gone() -> None:
            reached.set()
            raise NoMatches("No nodes match 'StatusBar'")

        async with drive() as driven:
            driven.app.screen.call_later(look_for_what_is_gone)
            driven.app.leave()
        assert reached.is_set()
        assert driven.app.crashed == ""

    async def test_q_drains_then_spools_then_kills(self, drive: Drive) -> None:
        # given a pipeline that ends only when killed
        async with drive() as driven:
            # when q is pressed for the first time
            await driven.press("q")
            assert driven.pipeline.calls[-1] == ("stop", ShutdownLevel.DRAIN)
            await driven.until(lambda: top_of(driven.app) is StopScreen)
            await driven.until(lambda: "q again to spool" in driven.text())
            # then each further q takes the next step
            await driven.press("q")
            assert driven.pipeline.calls[-1] == ("stop", ShutdownLevel.SPOOL)
            await driven.until(lambda: "q again to kill" in driven.text())
            await driven.press("q")
            assert driven.pipeline.calls[-1] == ("stop", ShutdownLevel.KILL)
            await driven.until(lambda: driven.result is not None)
            assert driven.result == 1

    async def test_a_clean_drain_ends_with_zero(self, drive: Drive) -> None:
        clean = replace(running(), ledger=replace(running().ledger, stored=20_923, queued=0))
        pipeline = FakePipeline(clean)
        pipeline.ends_at = ShutdownLevel.DRAIN
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

    async def test_a_refresh_and_a_signal_while_the_screens_are_removed_raise_nothing(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = asyncio.Event()

        async with drive() as driven:
            remove_screens = driven.app._close_all

            async def close_slowly() -> None:
                await remove_screens()
                driven.app.refresh_data()
                driven.app.action_request_stop()
                closed.set()

            monkeypatch.setattr(driven.app, "_close_all", close_slowly)
            await driven.press("q")
        assert closed.is_set()
        assert driven.app.crashed == ""

    async def test_leaving_before_the_pipeline_exists_starts_nothing(
        self, build: Callable[..., DashboardApp]
    ) -> None:
        pipeline = FakePipeline()
        app = build(pipeline)
        app.loader.cancel(0)
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
    async def test_messages_are_typed_and_only_posted_for_changes(self, drive: Drive) -> None:
        seen: list[Message] = []
        async with drive(hook=seen.append) as driven:
            # given everything was reported once
            await driven.until(lambda: any(isinstance(message, PricesChanged) for message in seen))
            seen.clear()
            # when one price moves
            driven.pipeline.prices.append(live_price("AAPL", running_price(driven.pipeline), 1.0, 9_999))
            await driven.until(lambda: any(isinstance(message, PricesChanged) for message in seen))
            # then only that one is sent, to the screen that shows it
            changed = {id(m): m for m in seen if isinstance(m, PricesChanged)}.values()
            assert [price.row.quote.symbol for message in changed for price in message.prices] == ["AAPL"]
            assert any(isinstance(message, SnapshotTaken) for message in seen)

    async def test_without_list_and_prices_the_screen_shows_reason_duration_and_remedy(
        self, drive: Drive
    ) -> None:
        async with drive(FakePipeline(empty(), []), demo=False) as driven:
            await driven.until(lambda: "No list of constituents" in driven.text())
            text = " ".join(driven.text().split())
            assert "next attempt in 9 s" in text
            assert "sp500tui --demo" in text

    async def test_a_degraded_run_names_every_reason(self, drive: Drive) -> None:
        async with drive(FakePipeline(degraded())) as driven:
            assert (
                "held up: the database is down: PostgreSQL does not answer; 52 rows wait in the journal"
                in driven.text()
            )
            assert "Yahoo Finance answers 429" in driven.text()

    async def test_a_failed_pipeline_keeps_the_screen(self, drive: Drive) -> None:
        async with drive(FakePipeline(failed(), [])) as driven:
            assert "failed: the data folder cannot be written: /srv/data" in driven.text()

    async def test_a_pipeline_that_cannot_be_opened_is_reported(
        self, build: Callable[..., DashboardApp]
    ) -> None:
        class Broken(FakePipeline):
            def start(self) -> None:
                raise ConfigurationError(
                    "the data folder cannot be written: /srv/data; choose another with --data-dir"
                )

        app = build(Broken())
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.snapshot.phase is Phase.FAILED, "the failure")
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

    async def test_hostile_text_stays_text(self, drive: Drive, log: CannedLog) -> None:
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

    async def test_a_window_that_is_too_small_shows_a_message_and_recovers(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.pilot.resize_terminal(10, 5)
            await driven.pilot.pause()
            await driven.pilot.resize_terminal(58, 20)
            await driven.until(lambda: "too small" in driven.text())
            await driven.pilot.resize_terminal(120, 40)
            await driven.until(lambda: "adds up" in driven.text())
            assert "too small" not in driven.text()

    @pytest.mark.parametrize("size", sizes((5, 3), (10, 5), (40, 4), keep=1))
    async def test_the_palette_does_not_page_without_room(self, drive: Drive, size: tuple[int, int]) -> None:
        async with drive() as driven:
            await driven.pilot.resize_terminal(*size)
            await driven.press("ctrl+p", "down", "pageup", "pagedown", "z", "pageup", "down", "pagedown")
            await driven.pilot.resize_terminal(120, 40)
            await driven.press("pageup", "pagedown", "escape")
            assert driven.app.is_running
            assert isinstance(driven.app.screen, MainScreen)

    async def test_many_refreshes_leave_no_more_widgets_than_before(self, drive: Drive) -> None:
        async with drive() as driven:
            before = len(list(driven.app.screen.walk_children()))
            for _ in range(200):
                driven.app.refresh_data()
            await driven.pilot.pause()
            assert len(list(driven.app.screen.walk_children())) == before

    async def test_a_refresh_without_changes_repaints_nothing(
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
                driven.app.refresh_data()
                await driven.pilot.pause()
            assert painted == []

    async def test_a_blurred_window_is_refreshed_less_often(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.app.app_focus = False
            due = [driven.app._due_while_unfocused() for _ in range(8)]
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

    async def test_a_state_file_that_cannot_be_written_is_reported(
        self, drive: Drive, tmp_path: Path
    ) -> None:
        (tmp_path / "state").write_text("a file in the way")
        async with drive() as driven:
            driven.app.theme = "sp500tui-light"
            await driven.until(lambda: "cannot save the theme" in notes(driven.app))


class TestKeymap:
    async def test_a_key_can_be_changed(self, drive: Drive) -> None:
        async with drive(keymap={"pipeline.pause": "f5"}) as driven:
            await driven.press("f5")
            assert ("pause", None) in driven.pipeline.calls
            await driven.press("p")
            assert driven.pipeline.calls.count(("pause", None)) == 1


def running_price(pipeline: FakePipeline) -> Decimal:
    return next(price.row.quote.price for price in pipeline.prices if price.row.quote.symbol == "AAPL")


class TestRun:
    @pytest.fixture
    def paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        logs.configure(console=False, folder=tmp_path)
        return Paths.of(Settings(data_dir=tmp_path))

    def lived(
        self,
        monkeypatch: pytest.MonkeyPatch,
        snapshot: Snapshot | None = None,
        crash: Exception | None = None,
    ) -> FakePipeline:
        """Have the app open its pipeline and end immediately, by a key or by `crash`."""
        pipeline = FakePipeline(snapshot)
        pipeline.ends_at = ShutdownLevel.DRAIN

        def run(app: DashboardApp) -> None:
            app.loader.start()
            # Cancelled before, it would start no pipeline.
            assert app.loader.thread.join(30)
            if crash is not None:
                raise crash

        stand_in = types.ModuleType("sp500tui.pipeline.runtime.pipeline")
        monkeypatch.setattr(stand_in, "Pipeline", lambda settings, paths: pipeline, raising=False)
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
        monkeypatch.setattr(DashboardApp, "run", run)
        return pipeline

    @pytest.mark.parametrize("crash", [None, ValueError("no number")])
    def test_the_pipeline_is_stopped_whatever_ended_the_screen(
        self, paths: Paths, monkeypatch: pytest.MonkeyPatch, crash: Exception | None
    ) -> None:
        pipeline = self.lived(monkeypatch, crash=crash)
        run_dashboard(Settings(drain_timeout=0.1), paths)
        assert pipeline.calls[-1] == ("stop", ShutdownLevel.DRAIN)

    def test_a_crash_names_the_log(
        self, paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.lived(monkeypatch, crash=ValueError("no number"))
        assert run_dashboard(Settings(drain_timeout=0.1), paths) == ExitCode.INCOMPLETE
        reported = capsys.readouterr().err
        assert "sp500tui: the dashboard failed (ValueError: no number); see " in reported
        assert "app.log" in reported

    @pytest.mark.parametrize(
        "signals", [(), (signal.SIGINT,), (signal.SIGTERM,), (signal.SIGHUP, signal.SIGINT)]
    )
    @pytest.mark.parametrize(
        "snapshot",
        [
            replace(running(), phase=Phase.STOPPED, ledger=Ledger(9, 9)),
            replace(running(), phase=Phase.STOPPED, ledger=Ledger(9, 8, dead=1)),
            replace(running(), phase=Phase.STOPPED, ledger=Ledger(9, 4, spooled=5)),
            replace(
                running(), phase=Phase.STOPPED, ledger=Ledger(9, 9), missing=(MissingSymbol("X", "unknown"),)
            ),
            replace(degraded(), phase=Phase.STOPPED, ledger=Ledger(5, spooled=5)),
            replace(
                empty(), phase=Phase.STOPPED, ledger=Ledger(), missing=(MissingSymbol("X", "no answer"),)
            ),
            failed(),
            replace(failed(), failure_code=ExitCode.DATABASE),
            replace(three_nodes(), ledger=Ledger(9, 8, queued=1)),
            replace(three_nodes(), ledger=Ledger(9, 8, queued=1), nodes=three_nodes().nodes[:1]),
        ],
    )
    def test_both_front_ends_give_the_same_exit_code(
        self,
        paths: Paths,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        snapshot: Snapshot,
        signals: tuple[signal.Signals, ...],
        eventually: Wait,
    ) -> None:
        received: list[StopSignals] = []
        enter = StopSignals.__enter__

        def enter_and_keep(stop_signals: StopSignals) -> StopSignals:
            received.append(stop_signals)
            return enter(stop_signals)

        monkeypatch.setattr(StopSignals, "__enter__", enter_and_keep)
        main_thread = threading.main_thread().ident
        assert main_thread is not None

        def ended(pipeline: FakePipeline) -> FakePipeline:
            """The pipeline at its end, and the signals that came before."""
            pipeline.step = ShutdownLevel.DRAIN
            for number in signals:
                # In the main thread, whose wait it ends; and one by one, because handlers may run nested, the later
                # one first.
                signal.pthread_kill(main_thread, number)
                eventually(lambda: received[-1].first is not None)
            return pipeline

        # given a run that ends like this, once with the dashboard
        pipeline = self.lived(monkeypatch, snapshot)
        monkeypatch.setattr(pipeline, "start", lambda: ended(pipeline))
        with_screen = run_dashboard(Settings(drain_timeout=0.1), paths)
        # and once without
        other = FakePipeline(snapshot)
        other.ends_at = ShutdownLevel.DRAIN
        monkeypatch.setattr(other, "start", lambda: ended(other))
        settings = Settings(data_dir=paths.data, no_ui=True, database="postgresql://host/x")
        configuration = Configuration(settings, dict.fromkeys(BY_FIELD), paths.data / "config.toml")  # type: ignore[arg-type]
        without = run_headless(configuration, lambda *_: nullcontext(other))
        # then the exit code is the same, and a signal's is the first one's
        assert with_screen == without, capsys.readouterr().err
        if signals:
            assert with_screen == (130 if signals[0] is signal.SIGINT else 143)
        assert "Traceback" not in capsys.readouterr().err


async def test_the_demo_screen_needs_a_demo(drive: Drive) -> None:
    async with drive(demo=False) as driven:
        for name in [entry.name for entry in registry.SCREENS if entry.demo_only]:
            await driven.app.run_action(f"show_screen('{name}')")
            await driven.pilot.pause()
            assert top_of(driven.app) is MainScreen
            assert "--demo" in notes(driven.app)
