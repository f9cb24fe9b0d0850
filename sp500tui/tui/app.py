"""The dashboard app: keys, screens and themes over a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError
from sp500tui.logs.setup import LogSource
from sp500tui.model import Constituent
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.runtime.stop_signals import StopSignals
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.tui import screens as registry
from sp500tui.tui.context import PaletteEntry
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.demo.tour import TourControl
from sp500tui.tui.log.lines import LogLines
from sp500tui.tui.messages import PipelineEventReceived, SymbolSelected
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.replay.controls import TimeControls
from sp500tui.tui.replay.time_bar import TIME_BINDINGS
from sp500tui.tui.shell import pipeline_actions
from sp500tui.tui.shell.command_palette import CommandProvider, Palette
from sp500tui.tui.shell.keymap import PIPELINE_BINDINGS, KeyCommand, commands_of
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.shell.themes import DARK, OWN_THEMES, remember_theme, remembered_theme
from sp500tui.tui.steering_app import SteeringApp
from sp500tui.tui.widgets.bindings import bind

_PALETTE_SYMBOLS = 8
"""Maximum number of symbols that the command palette offers."""


def utc_now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


class DashboardApp(SteeringApp):
    """The app of all screens.

    Args:
        state_file: Stores the theme.
        export_folder: Exported tables are written here.
        recent: The last minutes of the pipeline, kept in memory; None before anything is recorded.
        replayed: A recording that is shown instead of a live pipeline.
        refusal: Why the pipeline cannot be controlled; empty if it can.
    """

    TITLE = "sp500tui"
    CSS_PATH: ClassVar = [
        style_sheet(name) for name in ("app.tcss", "dashboard.tcss", "prices.tcss", "log.tcss")
    ]
    COMMANDS: ClassVar = {CommandProvider}
    BINDING_GROUP_TITLE = "Pipeline"
    BINDINGS: ClassVar[list[BindingType]] = [
        *PIPELINE_BINDINGS,
        *TIME_BINDINGS,
        *(
            bind(f"screen.{entry.name}", f"show_screen('{entry.name}')", entry.title, show=False)
            for entry in registry.SCREENS
        ),
    ]

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
        recent: Callable[[], Recording | None] = lambda: None,
        replayed: ReplayedPipeline | None = None,
        refusal: str = "",
    ) -> None:
        self.refusal = refusal
        super().__init__(
            open_pipeline,
            settings,
            log=log,
            clock=clock,
            signals=signals,
            time_controls=TimeControls(recent, replayed),
        )
        self.export_folder = export_folder
        self._state_file = state_file
        self.tour = TourControl(settings)
        self._tour_requested = settings.tour
        for theme in OWN_THEMES:
            self.register_theme(theme)
        self.theme = settings.theme or remembered_theme(state_file) or DARK.name
        self.set_keymap(settings.keymap)

    def commands(self) -> list[KeyCommand]:
        """All key bindings that have an id and an effect here, by panel."""
        apps = (kind for kind in type(self).__mro__ if issubclass(kind, DashboardApp))
        found = commands_of([*apps, *registry.binding_classes()])
        return [command for command in found if self.offers(command.binding.id)]

    def get_default_screen(self) -> MainScreen:
        """The main screen."""
        return MainScreen()

    def on_mount(self) -> None:
        """Store the theme whenever another one is chosen."""
        self.theme_changed_signal.subscribe(self, self._remember_theme)

    # The tour of the demo

    async def on_event(self, event: events.Event) -> None:
        """Let any key stop the tour."""
        if not (isinstance(event, events.Key) and self.tour.takes_key(event.key)):
            await super().on_event(event)

    def refresh_data(self) -> None:
        """Poll the pipeline, and start a requested tour once prices arrive."""
        super().refresh_data()
        pipeline = self.feed.pipeline
        if self._tour_requested and pipeline is not None and self.snapshot.ledger.fetched:
            self._tour_requested = False
            self.action_start_tour()

    def action_start_tour(self) -> None:
        """Start the tour, or show why there is none."""
        if refusal := self.refusal or self.tour.start(self.feed.pipeline):
            self.show_message(refusal)

    @on(PipelineEventReceived)
    def show_tour(self, message: PipelineEventReceived) -> None:
        """Show the tour's announcements like the effect of a key."""
        if message.event.kind is EventKind.TOUR and isinstance(self.screen, MainScreen):
            self.screen.show_message(message.event.message)

    # Actions on the pipeline

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the arrow keys in text inputs, the log and the other screens, and the tour outside the demo."""
        if action == "start_tour":
            return self.settings.demo
        if action == "select_stage":
            return isinstance(self.screen, MainScreen) and not isinstance(self.focused, Input | LogLines)
        return super().check_action(action, parameters)

    # Screens

    def action_show_screen(self, name: str) -> None:
        """Open the screen of a number key."""
        entry = registry.entry_of(name)
        if not entry.available(demo=self.settings.demo):
            self.notify(f"{entry.title} require the demo market: start sp500tui --demo", severity="warning")
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != registry.MAIN:
            self.push_screen(entry.load().screen())

    @on(SymbolSelected)
    def show_symbol(self, message: SymbolSelected) -> None:
        """Open the details of a symbol."""
        self.push_screen(registry.symbol_screen(message.symbol))

    def palette_entries(self) -> Iterable[PaletteEntry]:
        """The screens of this run, the themes and the screenshot."""
        for entry in registry.SCREENS:
            if entry.offered(demo=self.settings.demo, cluster=bool(self.settings.broker)):
                yield PaletteEntry(
                    f"screen: {entry.title}", entry.purpose, partial(self.action_show_screen, entry.name)
                )
        yield PaletteEntry("theme: Choose", "Choose the colours from a list", self.search_themes)
        yield PaletteEntry(
            "screenshot: Save", f"Save the screen as SVG in {self.export_folder}", self.take_screenshot
        )

    def palette_matches(self, query: str) -> Iterable[PaletteEntry]:
        """Entries derived from the query: symbols to open, and a number of workers to set."""
        for constituent in self.constituents_matching(query):
            yield PaletteEntry(
                f"Go to {constituent.symbol}",
                clean(constituent.name),
                partial(self.post_message, SymbolSelected(constituent.symbol)),
            )
        for stage, number in () if self.refusal else pipeline_actions.sizes_in(query, self.snapshot):
            yield PaletteEntry(
                f"Set {STAGE_TITLES[stage]} to {number}",
                f"{self.snapshot.stage(stage).size} at present",
                partial(self.set_workers, stage, number),
            )

    def constituents_matching(self, query: str) -> Sequence[Constituent]:
        """The constituents whose symbol begins with the query's last word, an exact match first."""
        word = query.split()[-1].upper() if query.split() else ""
        pipeline = self.feed.pipeline
        if not word or pipeline is None:
            return ()
        found = [each for each in pipeline.constituents() if each.symbol.upper().startswith(word)]
        return sorted(found, key=lambda each: (len(each.symbol), each.symbol))[:_PALETTE_SYMBOLS]

    def take_screenshot(self) -> None:
        """Save a screenshot in the export folder."""
        name = f"sp500tui-screen-{self.clock():%Y%m%d-%H%M%S}.svg"
        try:
            path = self.save_screenshot(name, str(self.export_folder))
        except OSError as error:
            self.show_message(f"No screenshot saved to {self.export_folder / name}: {error.strerror}")
        else:
            self.show_message(f"Screenshot saved to {path}")

    def offered_screens(self) -> Mapping[str, str]:
        """The screens other than the main one: names for the key bar by the action that opens them."""
        demo, cluster = self.settings.demo, bool(self.settings.broker)
        return {
            f"show_screen('{entry.name}')": entry.short or entry.name
            for entry in registry.SCREENS
            if entry.offered(demo=demo, cluster=cluster) and entry.name != registry.MAIN
        }

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

        commands = [(command, self.keys_of(command.binding)) for command in self.commands()]
        nodes = self.focused.ancestors_with_self if self.focused is not None else [self.screen]
        panels = [title for node in nodes if (title := getattr(node, "BINDING_GROUP_TITLE", None))]
        self.push_screen(HelpScreen(commands, str(panels[0]) if panels else ""))

    def keys_of(self, binding: Binding) -> str:
        """The keys of a binding as configured: `+ =`, `← h`."""
        keys = self.settings.keymap.get(binding.id or "", "")
        return " ".join(map(self.key_label, (keys or binding.key).split(",")))

    def _remember_theme(self, _theme: object) -> None:
        try:
            remember_theme(self._state_file, self.theme)
        except ConfigurationError as error:
            self.notify(str(error), severity="warning", markup=False)
