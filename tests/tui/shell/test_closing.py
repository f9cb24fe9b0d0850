"""Closing a screen at any time."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from sp500tui.tui.shell.closing import ClosableScreen
from tests.support.parameters import rest_thorough
from tests.tui.conftest import Drive, until


class DrawnScreen(ClosableScreen[None]):
    """A screen that fills its widget after the first refresh."""

    drawn = False

    def compose(self) -> ComposeResult:
        yield Static()

    def on_mount(self) -> None:
        self.call_after_refresh(self._draw, "text")

    def _draw(self, text: str) -> None:
        self.query_one(Static).update(text)
        self.drawn = True


@pytest.mark.parametrize("turns", range(8))
async def test_a_screen_that_is_closed_while_it_opens_draws_nothing(turns: int) -> None:
    # given a screen that has had some turns of the event loop to open
    app: App[None] = App()
    async with app.run_test() as pilot:
        app.push_screen(DrawnScreen())
        for _ in range(turns):
            await asyncio.sleep(0)

        # when it is closed, then its drawing does not end the program like an error in a callback
        await app.pop_screen()
        await pilot.pause()


async def test_an_open_screen_is_drawn_after_its_first_refresh() -> None:
    screen = DrawnScreen()
    app: App[None] = App()
    async with app.run_test() as pilot:
        await app.push_screen(screen)

        await until(pilot, lambda: screen.drawn, "the drawing")


@pytest.mark.slow
@pytest.mark.parametrize(
    "key", rest_thorough(["ctrl+p", "8", "enter", "2", "3", "4", "5", "6", "9", "P", "question_mark"], 3)
)
async def test_each_screen_can_be_closed_while_it_opens(drive: Drive, key: str) -> None:
    async with drive() as driven:
        for turns in range(24):
            # given a screen that has had some turns of the event loop to open
            driven.app.simulate_key(key)
            for _ in range(turns):
                await asyncio.sleep(0)

            # when it is closed
            if len(driven.app.screen_stack) > 1:
                driven.app.pop_screen()
            await driven.pilot.pause()

            # then the dashboard continues
            assert driven.app.crashed == ""
            assert driven.app.is_running
