"""The dashboard: a face of the pipeline that looks at it a few times a second and hands it the keys' wishes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Input

from sp500tui.config.paths import Paths, user_folder
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError
from sp500tui.logs import setup as logs
from sp500tui.logs.redaction import plain
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.snapshot import Snapshot, StageName
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.pipeline.runtime.stop_signals import StopSignals, exit_at_once
from sp500tui.pipeline.runtime.unattended_stop import stop_unattended
from sp500tui.tui import screens as registry
from sp500tui.tui.base_app import PipelineApp
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.log.lines import LogLines
from sp500tui.tui.messages import SymbolSelected
from sp500tui.tui.polling import LogSource
from sp500tui.tui.quit.shutdown import remainder
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.shell import pipeline_actions as steering
from sp500tui.tui.shell.command_palette import CommandProvider, Palette
from sp500tui.tui.shell.confirmation import WITHIN, Confirmation
from sp500tui.tui.shell.keymap import PIPELINE_BINDINGS, KeyCommand, check_keymap, commands_of
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.shell.themes import DARK, PACKAGE_LOGGER, check_theme, remember_theme, remembered_theme

_OPENING_LIMIT = 5.0
"""Seconds that loading the pipeline may take once the dashboard was left."""


def utc_now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


class DashboardApp(PipelineApp):
    """The keys, screens and themes around the pipeline.

    Args:
        state_file: Remembers the theme.
        export_folder: Where exported tables go.
    """

    TITLE = "sp500tui"
    CSS_PATH: ClassVar = [
        style_sheet(name) for name in ("app.tcss", "dashboard.tcss", "prices.tcss", "log.tcss")
    ]
    COMMANDS: ClassVar = App.COMMANDS | {CommandProvider}
    BINDING_GROUP_TITLE = "Pipeline"
    BINDINGS: ClassVar[list[BindingType]] = [
        *PIPELINE_BINDINGS,
        *(
            Binding(
                str(number),
                f"show_screen('{entry.name}')",
                entry.title,
                show=False,
                id=f"screen.{entry.name}",
                tooltip=entry.purpose,
            )
            for number, entry in enumerate(registry.SCREENS, start=1)
        ),
    ]

    selected_stage: var[StageName] = var(StageName.PRICE)
    """The target of the scaling keys."""

    def __init__(
        self,
        open_pipeline: Callable[[], PipelineControl],
        settings: Settings,
        *,
        log: LogSource,
        state_file: Path,
        export_folder: Path,
        clock: Callable[[], datetime] = utc_now,
        signals: StopSignals | None = None,
    ) -> None:
        super().__init__(open_pipeline, settings, log=log, clock=clock, signals=signals)
        self.export_folder = export_folder
        self._state_file = state_file
        self._confirmation = Confirmation()
        for theme in PACKAGE_LOGGER:
            self.register_theme(theme)
        self.theme = check_theme(settings.theme or remembered_theme(state_file) or DARK.name)
        if settings.keymap:
            check_keymap(settings.keymap, self.commands())
        self.set_keymap(settings.keymap)

    def commands(self) -> list[KeyCommand]:
        """All key bindings with an id, by panel."""
        return list(commands_of([DashboardApp, *registry.binding_classes()]))

    def get_default_screen(self) -> MainScreen:
        """The main screen."""
        return MainScreen()

    def on_mount(self) -> None:
        """Remember every theme that is chosen from now on."""
        self.theme_changed_signal.subscribe(self, self._remember_theme)

    # Steering

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the arrows to whoever types, to the log and to the other screens."""
        if action == "select_stage":
            return isinstance(self.screen, MainScreen) and not isinstance(self.focused, Input | LogLines)
        return super().check_action(action, parameters)

    def say(self, words: str) -> None:
        """Tell the effect of a key."""
        if isinstance(self.screen, MainScreen):
            self.screen.say(words)
        else:
            self.notify(words, markup=False)

    def confirm(self, action: str) -> bool:
        """Whether `action` was requested twice in a row; the first request shows how to confirm it."""
        if self._confirmation.given(action):
            return True
        self.say(f"{action}? Again within {WITHIN:.0f} s to confirm")
        return False

    def _steer(self, act: Callable[[PipelineControl], str]) -> None:
        pipeline = self.feed.pipeline
        if pipeline is None:
            self.say("the pipeline is still starting")
            return
        self.say(act(pipeline))
        self.refresh_data()

    def action_scale(self, change: int) -> None:
        """Add or take away workers of the selected stage."""
        self._steer(lambda pipeline: steering.scale(pipeline, self.snapshot, self.selected_stage, change))

    def action_select_stage(self, steps: int) -> None:
        """Select another stage along the data's way."""
        self.selected_stage = steering.neighbour(self.selected_stage, steps)

    def action_toggle_pause(self) -> None:
        """Pause or resume the intake."""
        self._steer(lambda pipeline: steering.toggle_pause(pipeline, self.snapshot))

    def action_toggle_stage_pause(self) -> None:
        """Pause the selected stage once that is confirmed, or resume it."""
        paused = self.snapshot.stage(self.selected_stage).paused
        if not paused and not self.confirm(f"pause {STAGE_TITLES[self.selected_stage]}"):
            return
        self._steer(
            lambda pipeline: steering.toggle_stage_pause(pipeline, self.snapshot, self.selected_stage)
        )

    def action_run_cycle(self) -> None:
        """Start a cycle now."""
        self._steer(steering.run_cycle)

    def action_change_interval(self, direction: int) -> None:
        """Shorten or lengthen the interval."""
        self._steer(lambda pipeline: steering.change_interval(pipeline, self.snapshot, direction))

    def action_change_refresh(self, direction: int) -> None:
        """Look at the pipeline more or less often."""
        self.refresh_rate = steering.step_refresh(self.refresh_rate, direction)
        self.start_refreshing()
        self.say(f"screen looks {self.refresh_rate:g} times a second")

    # Screens

    def action_show_screen(self, name: str) -> None:
        """Open the screen behind a number key."""
        entry = registry.entry_of(name)
        if not entry.available(demo=self.settings.demo):
            self.notify(
                f"{entry.title}: only with the demo market, start sp500tui --demo", severity="warning"
            )
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != registry.MAIN:
            self.push_screen(entry.load().screen())

    @on(SymbolSelected)
    def show_symbol(self, message: SymbolSelected) -> None:
        """Open the details of a symbol."""
        self.push_screen(registry.symbol_screen(message.symbol))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Textual's commands and the screens of this run."""
        yield from super().get_system_commands(screen)
        for entry in registry.SCREENS:
            if entry.offered(demo=self.settings.demo, cluster=bool(self.settings.broker)):
                yield SystemCommand(
                    f"screen: {entry.title}", entry.purpose, partial(self.action_show_screen, entry.name)
                )

    def listed_symbols(self) -> Sequence[str]:
        """Symbols in the order of the price table; empty while it shows none."""
        return [line for line in self._main_screen.panel.table.lines if isinstance(line, str)]

    def select_symbol(self, symbol: str) -> None:
        """Move the cursor of the price table to a symbol."""
        table = self._main_screen.panel.table
        table.move_to(table.row_of(symbol) or 0)

    @property
    def prices_converted_first(self) -> bool:
        """Whether the price table shows the second currency first."""
        return self._main_screen.panel.table.show_converted

    @property
    def _main_screen(self) -> MainScreen:
        main = self.screen_stack[0]
        assert isinstance(main, MainScreen)  # noqa: S101  # it is never popped
        return main

    def action_command_palette(self) -> None:
        """Open the command palette."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def action_show_help(self) -> None:
        """Open the help screen."""
        from sp500tui.tui.help.screen import HelpScreen

        self.push_screen(
            HelpScreen([(command, self.keys_of(command.binding)) for command in self.commands()])
        )

    def keys_of(self, binding: Binding) -> str:
        """The keys of a binding as configured: `+ =`, `← h`."""
        keys = self.settings.keymap.get(binding.id or "", "")
        if not keys and binding.key_display:
            _, *others = binding.key.split(",")
            return " ".join([binding.key_display, *map(self._key_label, others)])
        return " ".join(map(self._key_label, (keys or binding.key).split(",")))

    def _key_label(self, key: str) -> str:
        return self.get_key_display(Binding(key.strip(), "", ""))

    def _remember_theme(self, _theme: object) -> None:
        try:
            remember_theme(self._state_file, self.theme)
        except ConfigurationError as error:
            self.notify(str(error), severity="warning", markup=False)


def run_dashboard(
    settings: Settings, paths: Paths, build: Callable[[Settings, Paths], PipelineControl] | None = None
) -> int:
    """Show the dashboard until the person leaves; the result is the exit code.

    `build` makes the pipeline of a cluster's node; without it the pipeline runs in this program alone.

    Whatever ends it, the dashboard's own failure too, the pipeline is stopped in good order.

    Raises:
        ConfigurationError: The theme or the keymap cannot be used.
    """
    logging_now = logs.current() or logs.configure(level=settings.log_level, console=False)
    # Started while the terminal is still an ordinary one: inside the app its file descriptors are refused.
    resource_tracker.ensure_running()

    def open_pipeline() -> PipelineControl:
        if build is not None:
            return build(settings, paths)
        from sp500tui.pipeline.runtime.pipeline import Pipeline

        return Pipeline(settings, paths)

    with StopSignals() as signals:
        app = DashboardApp(
            open_pipeline,
            settings,
            log=logging_now.ring,
            state_file=(user_folder("state") or paths.data) / "dashboard.json",
            export_folder=_export_folder(paths),
            signals=signals,
        )
        try:
            app.run()
        except Exception as error:  # noqa: BLE001  # the pipeline must be stopped whatever it was
            app.failed(error)
        app.opener.cancel(_OPENING_LIMIT)
        pipeline = app.opener.pipeline
        ended = pipeline is None or stop_unattended(
            pipeline, settings.drain_timeout, signals, app.shutdown_controller.step
        )
        report = app.report()
        if app.crashed and logging_now.app_log is not None:
            report = replace(report, failure=f"{report.failure}; details are in {logging_now.app_log}")
        _tell(report, app.snapshot if pipeline is None else pipeline.snapshot())
        code = exit_code(report)
    if not ended:
        exit_at_once(code)
    return code


def _tell(report: RunReport, snapshot: Snapshot) -> None:
    """Say on the terminal why the run failed and what was not stored, unless the terminal is gone."""
    if report.signal is signal.SIGHUP:
        return
    lines = [report.failure] if report.failure else []
    if words := remainder(snapshot):
        lines.append(f"left behind: {words}")
    with suppress(OSError):
        sys.stderr.writelines(f"sp500tui: {plain(line)}\n" for line in lines)
        sys.stderr.flush()


def _export_folder(paths: Paths) -> Path:
    """The present folder where it can be written to, else the one of the data."""
    here = Path.cwd()
    return here if os.access(here, os.W_OK) else paths.data
