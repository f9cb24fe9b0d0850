"""Every key of the dashboard has its effect."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.message import Message

from sp500tui.config.keys import STEERING
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import Phase, WorkerState
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.database.screen import DatabaseScreen
from sp500tui.tui.help.screen import HelpScreen
from sp500tui.tui.shell.command_palette import Palette
from sp500tui.tui.shell.key_bar import KeyBar
from sp500tui.tui.shell.pipeline_rows import ROWS
from sp500tui.tui.widgets.lines_widget import LinesWidget
from tests.support.parameters import rest_thorough, sizes
from tests.support.tui.fake_pipeline import FakePipeline, draining, empty, failed, running
from tests.tui.conftest import CannedLog, Drive, notes, top_of


class TestScaling:
    async def test_plus_and_minus_change_the_selected_stage_and_show_old_and_new(self, drive: Drive) -> None:
        # given the price workers selected
        async with drive() as driven:
            # when one is added
            await driven.press("plus")
            # then the pipeline received the request, and the message is shown
            assert ("scale", StageName.PRICE, 9) in driven.pipeline.calls
            assert driven.said == "price workers 8 → 9"
            # and back again
            await driven.press("minus")
            assert driven.said == "price workers 9 → 8"

    @pytest.mark.parametrize("size", sizes((80, 24), (200, 60), (120, 40)))
    async def test_the_effect_of_a_key_is_shown_at_every_size(
        self, drive: Drive, size: tuple[int, int]
    ) -> None:
        async with drive(size=size) as driven:
            await driven.press("plus")
            await driven.until(lambda: "price workers 8 → 9" in driven.text(), "the words")
            driven.main.strip.show_message("")
            await driven.until(lambda: "· + − price workers" in driven.text(), "the title again")

    async def test_the_shifted_minus_works_too(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("underscore")
            assert [call[2] for call in driven.pipeline.calls if call[0] == "scale"] == [7]

    async def test_limits_are_shown_and_not_exceeded(self, drive: Drive) -> None:
        async with drive(price_workers=8) as driven:
            stages = tuple(replace(stage, size=64) for stage in running().stages)
            driven.show(replace(running(), stages=stages))
            await driven.press("plus")
            assert driven.said == "price workers: 64 is the limit (allowed: 1 to 64)"
            assert not any(call[0] == "scale" for call in driven.pipeline.calls)

    async def test_the_scraper_cannot_be_scaled(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("left", "plus")
            assert driven.said == "The scraper always has one worker"

    @pytest.mark.parametrize(
        ("keys", "stage"),
        rest_thorough(
            [
                (("right",), StageName.CONVERTER),
                (("l", "l"), StageName.WRITER),
                (("right", "right", "right"), StageName.SCRAPER),
                (("h",), StageName.SCRAPER),
                (("left", "left"), StageName.WRITER),
            ],
            2,
        ),
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
            line = 1 + ROWS.index(StageName.CONVERTER)
            await driven.pilot.click("#strip", offset=(65, line))
            await driven.pilot.pause()
            assert driven.app.selected_stage is StageName.CONVERTER
            assert "· + − converters" in driven.text()

    async def test_a_click_on_a_queue_selects_nothing(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.pilot.click("#strip", offset=(18, 1 + ROWS.index(QueueName.ROWS)))
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

    async def test_a_key_that_has_no_effect_at_the_end_is_not_offered(self, drive: Drive) -> None:
        def keys() -> str:
            return "".join(driven.app.screen.query_one(KeyBar).lines_shown())

        async with drive(size=(200, 60)) as driven:
            await driven.until(lambda: "p pause" in keys() and "run cycle" in keys())
            # when the pipeline drains, then the keys that still have an effect are offered: more writers, the next step
            driven.show(draining())
            await driven.until(lambda: "p pause" not in keys())
            assert not re.search("run cycle|interval|tour", keys())
            assert "scale" in keys()
            assert "q quit" in keys()
            # and nothing that acts on it once it has failed
            driven.show(failed())
            await driven.until(lambda: "scale" not in keys())
            assert "q quit" in keys()
            assert not {command.binding.id for command in driven.app.commands()} & STEERING

    async def test_a_poll_after_the_screens_are_removed_does_not_fail_the_dashboard(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with drive() as driven:
            driven.pipeline.now_shows = failed()
            with monkeypatch.context() as closing:
                closing.setattr(driven.app, "_screen_stacks", {driven.app.current_mode: []})
                driven.app.refresh_data()
            assert driven.app.snapshot.phase is Phase.FAILED

    async def test_capital_p_pauses_one_stage_after_confirmation(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("P", "y")
            assert driven.said == "price workers paused"
            await driven.until(lambda: "‖ paused" in driven.text())
            await driven.press("P")
            assert driven.said == "price workers resumed"
            assert driven.pipeline.calls[-2:] == [("pause", StageName.PRICE), ("resume", StageName.PRICE)]

    async def test_r_runs_a_cycle_or_shows_why_not(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("r")
            assert driven.said == "A cycle is already running, or the pipeline is stopping"
            driven.show(replace(running(), cycle=replace(running().cycle, running=False)))
            await driven.press("r")
            assert driven.said == "cycle started"

    async def test_brackets_step_the_interval(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("left_square_bracket")
            assert driven.said == "interval 15 s → 10 s"
            await driven.press("right_square_bracket", "right_square_bracket")
            assert driven.said == "interval 15 s → 30 s"
            driven.show(replace(running(), cycle=replace(running().cycle, interval=0.2)))
            await driven.press("left_square_bracket")
            assert driven.said == "interval: 0.2 s is the limit"

    async def test_the_refresh_rate_can_be_changed(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("greater_than_sign")
            assert driven.app.refresh_rate == 8
            await driven.press("less_than_sign", "less_than_sign")
            assert driven.said == "refresh rate: 2/s"

    async def test_keys_before_the_pipeline_exists_show_a_message(
        self, build: Callable[..., DashboardApp]
    ) -> None:
        app = build(FakePipeline())
        app.loader.cancel(0)
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press("plus")
            assert app.feed.pipeline is None
            assert "The pipeline is still starting" in str(app.screen.query_one("#strip").border_subtitle)


class TestView:
    async def test_space_holds_the_panels_and_not_the_status(self, drive: Drive) -> None:
        async with drive() as driven:
            # given a frozen view
            await driven.press("space")
            assert driven.main.panel.table.frozen
            await driven.until(lambda: "view paused" in driven.text(), "the status bar")
            # when workers and counters move on
            moved = running()
            workers = tuple(replace(worker, state=WorkerState.LIMIT) for worker in moved.workers)
            driven.show(
                replace(moved, workers=workers, ledger=replace(moved.ledger, fetched=21_127, stored=20_872))
            )
            await driven.until(lambda: "21,127" in driven.text(), "the equation going on")
            # then only the status bar changes, and shows that the view is frozen
            assert "◔ limit" not in driven.text()
            assert "view paused" in driven.text()
            await driven.press("space")
            await driven.until(lambda: "◔ limit" in driven.text(), "the panels catching up")

    async def test_a_frozen_log_catches_up(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await driven.press("space")
            log.say("logged on another screen")
            driven.app.refresh_data()
            await driven.pilot.pause()
            assert "logged on another screen" not in driven.text()
            await driven.press("space")
            await driven.until(lambda: "logged on another screen" in driven.text())

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

    async def test_y_copies_the_first_price_where_none_is_marked(self, drive: Drive) -> None:
        async with drive() as driven:
            table = driven.main.panel.table
            before = table.cursor_symbol
            await driven.press("y")
            assert before is None
            assert table.cursor_symbol == table.lines[0]
            assert driven.app.clipboard.startswith(f"{table.lines[0]}\t")

    async def test_y_copies_the_marked_worker(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.main.worker_list.focus()
            await driven.press("down", "y")
            assert driven.app.clipboard == "price-1 busy 50 symbols, AAPL to AXON"

    async def test_y_and_e_in_the_workers_panel_mean_its_table(self, drive: Drive, tmp_path: Path) -> None:
        async with drive(size=(160, 48)) as driven:
            # given the price workers in the panel that has the keys
            driven.main.worker_list.focus()
            await driven.press("w")
            assert "y copy worker" in driven.text()
            assert "e E export workers" in driven.text()
            # when they are exported in both formats
            await driven.press("e", "E")
            paths = [tmp_path / f"sp500tui-workers-20260514-174600.{form}" for form in ("csv", "json")]
            await driven.until(lambda: all(path.exists() for path in paths), "the files")
            # then the files have the rows of the panel, and the message names the files
            assert "workers: 8 rows written to" in notes(driven.app)
            rows = paths[0].read_text().splitlines()
            assert rows[0].startswith("name,stage,state,")
            assert [row.split(",")[0] for row in rows[1:]] == [f"price-{number}" for number in range(1, 9)]
            assert [each["pid"] for each in json.loads(paths[1].read_text())] == [4100] * 8
            # and with the focus on the prices, the same keys export the prices
            driven.main.panel.table.focus()
            await driven.press("g", "y")
            assert driven.app.clipboard.startswith(f"{driven.main.panel.table.cursor_symbol}\t")

    @pytest.mark.parametrize(
        "title",
        rest_thorough(
            ["workers: Export workers CSV (e)", "log: Copy line (y)", "view: Export prices CSV (e)"]
        ),
    )
    async def test_the_palette_names_what_is_copied_or_exported(self, drive: Drive, title: str) -> None:
        async with drive() as driven:
            await driven.press("ctrl+p", *title.partition(": ")[2].partition(" (")[0].lower())
            await driven.until(lambda: title in driven.text(), title)

    async def test_y_without_rows_shows_a_message(self, drive: Drive) -> None:
        async with drive(FakePipeline(empty(), [])) as driven:
            await driven.press("y")
            await driven.until(lambda: "Nothing to copy" in notes(driven.app))

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

    async def test_an_export_that_cannot_be_written_shows_the_reason(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.app.export_folder = Path("/proc/none")
            await driven.press("e")
            await driven.until(lambda: "the folder /proc/none does not exist" in notes(driven.app))

    async def test_z_maximizes_and_restores_the_focused_panel(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("z")
            assert driven.main.maximized is driven.main.panel
            assert "workers · all stages" not in driven.text()
            assert "running" in driven.text()
            await driven.press("z")
            assert driven.main.maximized is None

    async def test_enter_requests_the_details_of_the_symbol(self, drive: Drive) -> None:
        seen: list[Message] = []
        async with drive(hook=seen.append) as driven:
            await driven.press("g", "enter")
            symbol = driven.main.panel.table.cursor_symbol
            chosen = [message for message in seen if type(message).__name__ == "SymbolSelected"]
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
            text = "\n".join(driven.app.screen.query_one(LinesWidget).lines_shown())
            assert all(command.title in text for command in driven.app.commands())
            await driven.press("j", "pagedown", "G", "g", "k", "escape")
            assert top_of(driven.app) is MainScreen

    async def test_a_click_on_the_key_bar_presses_the_key(self, drive: Drive) -> None:
        async with drive() as driven:
            bar = driven.main.query_one("#keys", LinesWidget).lines_shown()[0]
            await driven.pilot.click("#keys", offset=(bar.index("p pause"), 0))
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


async def test_a_palette_closed_twice_closes_nothing_else(drive: Drive) -> None:
    async with drive() as driven:
        # given the palette above the database screen
        await driven.press("2")
        await driven.press("ctrl+p")
        palette = driven.app.screen
        assert isinstance(palette, Palette)
        # when two clicks outside it arrive together, or it is opened again while it closes
        palette.dismiss()
        palette.dismiss()
        driven.app.action_command_palette()
        await driven.pilot.pause()
        driven.app.screen.dismiss()
        await driven.pilot.pause()
        # then the screen below is still open
        assert isinstance(driven.app.screen, DatabaseScreen)
        assert driven.app.crashed == ""


async def test_a_key_that_arrives_before_the_help_sheet_is_mounted_is_ignored(drive: Drive) -> None:
    async with drive() as driven:
        sheet = HelpScreen([])
        driven.app.push_screen(sheet)
        sheet.action_scroll(1)
        await driven.pilot.pause()
        assert driven.app.screen is sheet


async def test_help_and_other_screens_close_only_themselves(drive: Drive) -> None:
    async with drive() as driven:
        await driven.press("question_mark")
        sheet = driven.app.screen
        assert isinstance(sheet, HelpScreen)
        sheet.dismiss()
        sheet.dismiss()
        await driven.pilot.pause()
        assert isinstance(driven.app.screen, MainScreen)
        assert driven.app.crashed == ""
