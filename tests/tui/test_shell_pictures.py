"""Pictures of the shell at three sizes and in every kind of theme, compared with approved ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.screen import Screen

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.recent_seconds import RecentSeconds
from sp500tui.tui.shell.key_bar import KeyBar
from sp500tui.tui.shell.keymap import PIPELINE_BINDINGS
from sp500tui.tui.shell.pipeline_strip import PipelineStrip
from sp500tui.tui.shell.status_bar import StatusBar, View
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.shell.themes import OWN_THEMES
from sp500tui.tui.workers.panel import WorkersPanel
from tests.support.tui.fake_pipeline import NOON, degraded, draining, empty, running
from tests.support.tui.past_seconds import past_seconds

Compare = Callable[..., bool]


class ShellScreen(Screen[None]):
    """The status bar, the strip, the workers and the keys of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._snapshot = snapshot

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield PipelineStrip()
        yield WorkersPanel()
        yield KeyBar()

    def on_mount(self) -> None:
        self.call_after_refresh(self.show_snapshot)

    def show_snapshot(self) -> None:
        self.query_one(StatusBar).show(self._snapshot, View("17:46:00", NOON))
        recent = RecentSeconds()
        recent.extend(past_seconds(workers=self._snapshot.workers))
        self.query_one(PipelineStrip).show(self._snapshot, recent, "+ −")
        self.query_one(WorkersPanel).show(self._snapshot, recent)


class Shell(App[None]):
    CSS_PATH = style_sheet("app.tcss")
    CSS = """
    #status { dock: top; height: 3; }
    #strip { height: 12; }
    #workers { height: 1fr; overflow-x: hidden; scrollbar-size: 1 1; scrollbar-gutter: stable; }
    """
    BINDINGS = [*PIPELINE_BINDINGS]  # noqa: RUF012 - as Textual declares it
    refusal = ""

    def __init__(self, snapshot: Snapshot, theme: str = "sp500tui-dark") -> None:
        super().__init__()
        self._snapshot = snapshot
        for own in OWN_THEMES:
            self.register_theme(own)
        self.theme = theme

    def offered_screens(self) -> dict[str, str]:
        return {}

    def offers(self, key_id: str | None) -> bool:
        del key_id
        return True

    def get_default_screen(self) -> ShellScreen:
        return ShellScreen(self._snapshot)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
def test_a_calm_run(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(Shell(running()), terminal_size=size)


@pytest.mark.parametrize("theme", ["sp500tui-light", "ansi-dark", "ansi-light"])
def test_other_themes(snap_compare: Compare, theme: str) -> None:
    assert snap_compare(Shell(degraded(), theme), terminal_size=(120, 40))


def test_no_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(Shell(degraded()), terminal_size=(120, 40))


@pytest.mark.parametrize("make", [empty, draining], ids=["empty", "draining"])
def test_other_states(snap_compare: Compare, make: Callable[[], Snapshot]) -> None:
    assert snap_compare(Shell(make()), terminal_size=(100, 30))


def test_a_paused_stage_and_many_workers(snap_compare: Compare) -> None:
    stages = tuple(
        replace(stage, paused=True)
        if stage.name is StageName.CONVERTER
        else replace(stage, size=64, alive=64, busy=40)
        if stage.name is StageName.PRICE
        else stage
        for stage in running().stages
    )
    assert snap_compare(Shell(replace(running(), stages=stages)), terminal_size=(160, 30))
