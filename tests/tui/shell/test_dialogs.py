"""Confirmations of destructive keys, the input of a number of workers, and the entries of the palette."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest

from sp500tui.config.keys import KEYS_BY_ID
from sp500tui.pipeline.core.names import StageName
from sp500tui.tui import screens as registry
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.help.screen import help_lines
from sp500tui.tui.render.strips import Activity, activity_sign, depth_sign
from sp500tui.tui.replay_app import ReplayApp
from sp500tui.tui.shell.dialogs import NumberScreen, QuestionScreen
from sp500tui.tui.shell.keymap import commands_of
from sp500tui.tui.shell.pipeline_actions import sizes_in
from sp500tui.tui.symbol.screen import SymbolScreen
from sp500tui.tui.viewer import ViewerApp
from tests.support.parameters import rest_thorough
from tests.support.tui.fake_pipeline import FakePipeline, failed, running
from tests.tui.conftest import Drive

PAUSED = ("pause", StageName.PRICE)


class TestQuestion:
    @pytest.mark.parametrize("answer", rest_thorough(["n", "escape", "q"], 2))
    async def test_no_changes_nothing(self, drive: Drive, answer: str) -> None:
        async with drive() as driven:
            await driven.press("P")
            assert "Pause the price workers?" in driven.text()
            await driven.press(answer)

            assert driven.main.is_current
            assert PAUSED not in driven.pipeline.calls

    async def test_yes_does_it(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("P", "y")

            assert PAUSED in driven.pipeline.calls

    @pytest.mark.parametrize("symbol", rest_thorough(["APP", "PYPL", "PPG", "SPGI"]))
    async def test_typing_a_symbol_without_a_filter_pauses_nothing(self, drive: Drive, symbol: str) -> None:
        async with drive() as driven:
            await driven.press(*symbol, "enter")

            assert isinstance(driven.app.screen, QuestionScreen)
            assert PAUSED not in driven.pipeline.calls

    async def test_a_paused_stage_resumes_without_confirmation(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("P", "y")
            driven.app.refresh_data()
            await driven.until(lambda: driven.app.snapshot.stage(StageName.PRICE).paused)
            await driven.press("P")

            assert ("resume", StageName.PRICE) in driven.pipeline.calls


class TestNumberOfWorkers:
    async def test_a_number_is_typed_and_set(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("equals_sign", "2", "4", "enter")

            assert ("scale", StageName.PRICE, 24) in driven.pipeline.calls
            assert driven.said == "price workers 8 → 24"

    @pytest.mark.parametrize(
        ("typed", "named"),
        rest_thorough(
            [("65", "65"), (" ", "nothing"), ("0", "0"), ("-3", "-3"), ("1.5", "1.5"), ("٣", "٣")], 2
        ),
    )
    async def test_what_is_no_number_in_range_is_refused_in_one_line(
        self, drive: Drive, typed: str, named: str
    ) -> None:
        async with drive() as driven:
            await driven.press("equals_sign", *typed, "enter")

            assert isinstance(driven.app.screen, NumberScreen)
            assert f"{named} is not a number from 1 to 64" in driven.text()
            await driven.press("escape")
            assert not [call for call in driven.pipeline.calls if call[0] == "scale"]

    async def test_the_scraper_has_one_worker(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.app.selected_stage = StageName.SCRAPER
            await driven.press("equals_sign")

            assert driven.said == "The scraper always has one worker"


class TestPalette:
    async def test_it_has_only_its_own_entries(self, drive: Drive) -> None:
        async with drive(size=(120, 60)) as driven:
            await driven.press("ctrl+p")
            await driven.until(lambda: "screen: Database" in driven.text())

            assert "Maximize" not in driven.text()
            assert "Show keys and help panel" not in driven.text()

    async def test_the_palette_has_no_sign_that_a_terminal_may_lack(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("ctrl+p")
            await driven.until(lambda: "/  Search for commands" in driven.text())

    async def test_a_symbol_can_be_opened_from_the_palette(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("ctrl+p", *"nvda")
            await driven.until(lambda: "Go to NVDA" in driven.text())
            await driven.press("enter")

            await driven.until(lambda: isinstance(driven.app.screen, SymbolScreen))
            assert isinstance(driven.app.screen, SymbolScreen)
            assert driven.app.screen.symbol == "NVDA"

    async def test_a_number_of_workers_is_set(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("ctrl+p", *"price 24")
            await driven.until(lambda: "Set price workers to 24" in driven.text())
            await driven.press("enter")

            await driven.until(lambda: ("scale", StageName.PRICE, 24) in driven.pipeline.calls)

    async def test_a_screenshot_is_saved_where_exports_go(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.app.take_screenshot()

            (file,) = driven.app.export_folder.glob("sp500tui-screen-*.svg")
            assert str(file) in driven.said
            assert file.read_text(encoding="utf-8").startswith("<svg")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    async def test_a_folder_that_cannot_be_written_is_named(self, drive: Drive) -> None:
        async with drive() as driven:
            driven.app.export_folder.chmod(0o500)
            driven.app.take_screenshot()

            assert "Permission denied" in driven.said

    @pytest.mark.parametrize(
        ("query", "stages"),
        [
            ("price 24", [StageName.PRICE]),
            ("set writers to 3", [StageName.WRITER]),
            ("8", [StageName.PRICE, StageName.CONVERTER, StageName.WRITER]),
            ("price 65", []),
            ("scraper 2", []),
            ("price", []),
            ("", []),
            ("price " + "9" * 5000, []),
        ],
    )
    def test_a_query_names_stages_and_a_size(self, query: str, stages: list[StageName]) -> None:
        assert [stage for stage, _ in sizes_in(query, running())] == stages


STRIPS = (
    Activity(),
    *(Activity(busy=share) for share in (0.1, 0.3, 0.6, 1.0)),
    Activity(waiting=1.0),
    Activity(blocked=1.0),
    Activity(paused=1.0),
    Activity(database_down=1.0),
    Activity(failed=1),
)
"""The possible cells of a strip."""


class TestHelp:
    def test_it_begins_with_the_focused_panel_and_the_signs(self, build: Callable[..., DashboardApp]) -> None:
        app = build(FakePipeline())
        commands = [(command, app.keys_of(command.binding)) for command in app.commands()]

        lines = ["".join(span.text for span in line) for line in help_lines(commands, 100, "Workers")]

        headings = [line for line in lines if re.fullmatch(r"\w[\w ]*", line)]
        assert headings[:3] == ["Workers", "Signs", "Pipeline"]
        assert headings.count("Workers") == 1

    def test_in_a_narrow_window_explanations_are_below_the_titles(
        self, build: Callable[..., DashboardApp]
    ) -> None:
        app = build(FakePipeline())
        commands = [(command, app.keys_of(command.binding)) for command in app.commands()]

        lines = ["".join(span.text for span in line) for line in help_lines(commands, 55, "Prices")]

        assert max(map(len, lines)) <= 55
        at = next(number for number, line in enumerate(lines) if line.split() == ["s", "Sort"])
        assert lines[at + 1].strip().startswith("Choose the column")

    def test_the_signs_of_the_strips_are_explained(self) -> None:
        lines = ["".join(span.text for span in line) for line in help_lines([], 100)]

        signs = {
            *(activity_sign(each)[0] for each in STRIPS),
            *(depth_sign(each, 1) for each in (0, 0.01, 1)),
        }

        assert [sign for sign in signs if not any(sign in line for line in lines)] == []
        assert "highest so far" not in " ".join(lines)

    def test_every_key_is_explained(self, build: Callable[..., DashboardApp]) -> None:
        commands = build(FakePipeline()).commands()

        assert [c.binding.id for c in commands if c.explanation in ("", c.title)] == []

    def test_every_key_of_the_table_is_bound_to_an_action(self) -> None:
        apps = (ViewerApp, ReplayApp, DashboardApp)

        bound = {command.binding.id for command in commands_of([*apps, *registry.binding_classes()])}

        assert bound == set(KEYS_BY_ID)


@pytest.mark.parametrize(
    "entry",
    rest_thorough([each for each in registry.SCREENS if each.name != registry.MAIN]),
    ids=lambda each: each.name,
)
async def test_a_message_before_the_screen_is_composed_is_shown_afterwards(
    drive: Drive, entry: registry.ScreenEntry
) -> None:
    async with drive() as driven:
        # when the effect of a key is reported before the new screen has its key bar
        driven.app.push_screen(entry.load().screen())
        driven.app.notify("Copied: early")
        # then it is shown once there is one; outside a cluster the nodes screen has no other place for it
        await driven.until(lambda: driven.app.screen.is_mounted)
        await driven.until(lambda: entry.cluster_only or "Copied: early" in driven.text())


class TestConfiguredKeys:
    """Screens show the keys configured by the user."""

    @pytest.mark.parametrize(
        ("keymap", "pressed", "shown"),
        rest_thorough(
            [
                ({"question.yes": "j", "question.no": "x"}, ["P"], ["j yes · x no"]),
                ({"number.close": "Z"}, ["equals_sign"], ["Z close"]),
                ({"sort.close": "Z", "list.choose": "X"}, ["s"], ["X sort · Z close"]),
                ({"prices.release": "Z"}, ["slash", "z", "q", "q", "enter"], ["Press Z to show all"]),
                ({"pipeline.pause": "Z"}, ["Z"], ["press Z to resume"]),
                ({"pipeline.pause": "Z"}, ["Z"], ["take no work; Z resumes"]),
                ({"stage.more": "Z", "stage.fewer": "X"}, [], ["Z X price workers"]),
                ({"view.freeze": "Z"}, ["Z"], ["not the pipeline; Z resumes"]),
                ({"stopping.hide": "X", "quit": "Z"}, ["Z"], ["Z next step · X hide", "Press Z again"]),
                ({"faults.switch": "Z"}, ["3"], ["kill a writer           Z"]),
            ],
            2,
        ),
    )
    async def test_they_are_named_as_configured(
        self, drive: Drive, keymap: dict[str, str], pressed: list[str], shown: list[str]
    ) -> None:
        async with drive(keymap=keymap) as driven:
            await driven.press(*pressed)
            await driven.until(lambda: all(words in driven.text() for words in shown), str(shown))

    async def test_a_window_that_is_too_small_names_the_key_that_quits(self, drive: Drive) -> None:
        async with drive(size=(58, 12), keymap={"quit": "Z"}) as driven:
            await driven.until(lambda: "Press Z to stop it" in driven.text(), "the key")

    async def test_a_failed_run_names_the_key_that_quits(self, drive: Drive) -> None:
        async with drive(FakePipeline(failed(), []), keymap={"quit": "Z"}) as driven:
            driven.app.refresh_data()
            await driven.until(lambda: "Press Z to quit" in driven.text(), "the key")
