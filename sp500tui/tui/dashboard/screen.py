"""The main screen: status bar, pipeline strip, workers, prices and log."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, cast

from rich.cells import cell_len
from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal
from textual.reactive import var
from textual.timer import Timer
from textual.widget import Widget

from sp500tui.errors import Sp500tuiError
from sp500tui.export import Table, as_line, write_table
from sp500tui.logs.setup import RING_CAPACITY, LogLine
from sp500tui.pipeline.core.names import StageName
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.log.lines import LogLines
from sp500tui.tui.log.panel import LogView
from sp500tui.tui.messages import (
    ConstituentsChanged,
    CopyRequested,
    ExportRequested,
    LogLinesAdded,
    PricesChanged,
    SnapshotTaken,
    StageSelected,
    SymbolSelected,
    TimeChanged,
)
from sp500tui.tui.prices.export import PriceRecord
from sp500tui.tui.prices.market_map import MarketMap
from sp500tui.tui.prices.panel import PricePanel, prices_notice
from sp500tui.tui.prices.table import PriceTable
from sp500tui.tui.render.formats import clean, plural
from sp500tui.tui.shell.base_screen import MESSAGE_SECONDS
from sp500tui.tui.shell.breakpoints import HEIGHTS, MAP_FROM, WIDTHS, too_small_notice
from sp500tui.tui.shell.key_bar import KeyBar
from sp500tui.tui.shell.keymap import VIEW_BINDINGS
from sp500tui.tui.shell.pipeline_strip import PipelineStrip, scaling_keys
from sp500tui.tui.shell.status_bar import StatusBar, View
from sp500tui.tui.terminal.diff import DiffingScreen
from sp500tui.tui.widgets.titles import set_titles
from sp500tui.tui.workers.panel import WorkersPanel

_CORNERS = 4
"""Cells of a border that hold no title."""


class MainScreen(DiffingScreen[None]):
    """Passes updates to the panels and their requests to the app."""

    BINDING_GROUP_TITLE = "View"
    BINDINGS: ClassVar[list[BindingType]] = [*VIEW_BINDINGS]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ALLOW_IN_MAXIMIZED_VIEW = "#status, #keys"
    AUTO_FOCUS = "PriceTable"

    frozen: var[bool] = var(False, init=False)
    """Whether the panels are paused; the status bar and the pipeline strip never are."""

    status = getters.query_one(StatusBar)
    strip = getters.query_one(PipelineStrip)
    worker_list = getters.query_one(WorkersPanel)
    panel = getters.query_one(PricePanel)
    log_view = getters.query_one(LogView)
    market_map = getters.query_one(MarketMap)
    key_bar = getters.query_one(KeyBar)

    def __init__(self) -> None:
        super().__init__()
        self._message_timer: Timer | None = None
        self._held: deque[LogLine] = deque(maxlen=RING_CAPACITY)
        self._titles = {"prices": "prices", "log": "log"}
        """Panel titles by id, without the note added in a low window."""

    @property
    def dashboard(self) -> DashboardContext:
        """The app."""
        return cast("DashboardContext", self.app)

    def compose(self) -> ComposeResult:
        """The panels in the order of the data, the log below them."""
        yield StatusBar()
        yield PipelineStrip()
        with Container(id="middle"):
            yield WorkersPanel()
            yield PricePanel(
                demo=self.dashboard.settings.demo, clock=self.dashboard.clock, id="prices", classes="panel"
            )
        with Horizontal(id="bottom"):
            yield LogView(id="log", classes="panel")
            yield MarketMap()
        yield too_small_notice(self.dashboard.key_of("quit"))
        yield KeyBar()

    def on_mount(self) -> None:
        """Follow the app's selected stage."""
        self._show_titles()
        self.panel.table.release_key = self.dashboard.key_of("prices.release")
        self.watch(self.app, "selected_stage", self._select)

    def _select(self, stage: StageName) -> None:
        self.strip.selected = stage
        self.worker_list.stage = stage

    def on_resize(self, event: events.Resize) -> None:
        """Show the market map where there is room for it."""
        columns, lines = MAP_FROM
        self.set_class(event.size.width >= columns and event.size.height >= lines, "-map")
        self.call_after_refresh(self.show_map)
        self.call_after_refresh(self._show_titles)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Record the focused panel, the only one shown in a low window. Close a search line that lost the focus."""
        for searched in (self.panel, self.log_view):
            searched.leave(event.widget)
        panel = _panel_of(event.widget)
        if panel is not None:
            for name in ("workers", "prices", "log"):
                self.set_class(panel.id == name, f"-{name}-focused")

    def _show_titles(self) -> None:
        """Write the titles; in a low window with the key that shows the next panel, if it fits."""
        note = f"{self.dashboard.key_of('view.next_panel')} next panel" if self.has_class("-low") else ""
        for panel in (self.panel, self.log_view):
            title = self._titles[panel.id or ""]
            fits = cell_len(f"{title} · {note}") <= panel.outer_size.width - _CORNERS
            set_titles(panel, title, note if fits else "")

    # Updates

    @on(SnapshotTaken)
    def show_snapshot(self, message: SnapshotTaken) -> None:
        """Show the latest snapshot."""
        snapshot = message.snapshot
        self.status.show(snapshot, View.of(self.dashboard, frozen=self.frozen))
        self.strip.show(snapshot, self.dashboard.feed.recent_seconds, scaling_keys(self.dashboard))
        if not self.frozen:
            self.worker_list.show(snapshot, self.dashboard.feed.recent_seconds)
            self.panel.table.set_missing(snapshot.missing)
        self.panel.table.notice = prices_notice(snapshot, self.dashboard.key_of("quit"))

    @on(TimeChanged)
    def forget(self) -> None:
        """Forget prices and log lines, because another time is shown."""
        self._held.clear()
        self.panel.table.forget_prices()
        self.log_view.lines.forget_lines_shown()

    @on(ConstituentsChanged)
    def show_constituents(self, message: ConstituentsChanged) -> None:
        """Show the changed list of constituents."""
        self.panel.table.set_constituents(message.constituents)

    @on(PricesChanged)
    def show_prices(self, message: PricesChanged) -> None:
        """Show newer prices."""
        self.panel.table.update_prices(message.prices, message.now)

    @on(LogLinesAdded)
    def show_log(self, message: LogLinesAdded) -> None:
        """Show new log lines, or keep the latest of them while the view is paused."""
        self._held.extend(message.lines)
        if not self.frozen:
            self.log_view.extend(self._held)
            self._held.clear()

    # Requests of the panels

    @on(PriceTable.StatisticsChanged)
    def show_map(self) -> None:
        """Show the market map, where there is room for it."""
        self.market_map.show(self.panel.table.all_rows(), self.panel.table.statistics[1])

    @on(PriceTable.SummaryChanged)
    def describe_prices(self, message: PriceTable.SummaryChanged) -> None:
        """Show order, filter and grouping in the panel's title."""
        self._titles["prices"] = f"prices · {message.text}"
        self._show_titles()

    @on(LogLines.SummaryChanged)
    def describe_log(self, message: LogLines.SummaryChanged) -> None:
        """Show level, filter and following in the panel's title."""
        self._titles["log"] = f"log · {message.text}"
        self._show_titles()

    @on(PriceTable.Selected)
    def open_symbol(self, message: PriceTable.Selected) -> None:
        """Open the details of a symbol."""
        self.post_message(SymbolSelected(message.symbol))

    @on(StageSelected)
    def choose_stage(self, message: StageSelected) -> None:
        """Select the stage that was clicked."""
        self.dashboard.selected_stage = message.stage

    @on(CopyRequested)
    def copy(self, message: CopyRequested) -> None:
        """Copy a line to the clipboard."""
        if not message.text:
            self.notify("Nothing to copy", severity="warning")
            return
        self.app.copy_to_clipboard(message.text)
        self.notify(f"Copied: {clean(message.text)}", markup=False)

    @on(ExportRequested)
    def export(self, message: ExportRequested) -> None:
        """Write a table to a new file."""
        table, now = message.table, self.dashboard.clock()
        path = self.dashboard.export_folder / f"sp500tui-{table.name}-{now:%Y%m%d-%H%M%S}.{message.form}"
        try:
            write_table(table, path)
        except Sp500tuiError as error:
            self.notify(clean(str(error)), severity="error", markup=False)
            return
        self.notify(f"{table.name}: {plural(len(table.records), 'row')} written to {path}", markup=False)

    # Keys of the view

    def show_message(self, text: str) -> None:
        """Show a key's effect for a few seconds in the strip's border, or in the key bar if a panel is maximized."""
        self.strip.show_message(text)
        self.key_bar.show_message(text if self.maximized is not None else "")
        if self._message_timer is not None:
            self._message_timer.stop()
        self._message_timer = self.set_timer(MESSAGE_SECONDS, self._clear_message)

    def _clear_message(self) -> None:
        self.strip.show_message("")
        self.key_bar.show_message("")

    def action_toggle_freeze(self) -> None:
        """Pause the panels, or resume them."""
        self.frozen = not self.frozen

    def watch_frozen(self, frozen: bool) -> None:
        """Pause the panels, or show what arrived while they were paused."""
        self.panel.table.frozen = frozen
        if not frozen:
            self.log_view.extend(self._held)
            self._held.clear()
        paused = f"View paused, not the pipeline; {self.dashboard.key_of('view.freeze')} resumes"
        self.show_message(paused if frozen else "View resumed")

    def action_switch_currency(self) -> None:
        """Change which currency is shown first."""
        table = self.panel.table
        table.show_converted = not table.show_converted
        self.show_message(
            f"prices in {self.dashboard.settings.currency} first"
            if table.show_converted
            else "prices as quoted first"
        )

    def action_copy_row(self) -> None:
        """Copy the price row under the cursor, or the first one on the screen if the cursor is not visible."""
        record = self.panel.table.visible_record()
        self.post_message(CopyRequested("" if record is None else as_line(record)))

    def action_export(self, kind: str) -> None:
        """Export the prices shown, in the order shown, to a new file."""
        self.post_message(ExportRequested(Table("prices", PriceRecord, self.panel.table.rows()), kind))

    def action_zoom(self) -> None:
        """Maximize the focused panel, or restore it."""
        if self.maximized is not None:
            self.minimize()
            return
        panel = _panel_of(self.focused)
        if panel is not None:
            self.maximized = panel


def _panel_of(widget: Widget | None) -> Widget | None:
    """The bordered panel that contains a widget."""
    if widget is None:
        return None
    panels = [
        node for node in widget.ancestors_with_self if isinstance(node, Widget) and node.has_class("panel")
    ]
    return panels[0] if panels else None
