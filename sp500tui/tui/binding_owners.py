"""The classes besides the app whose bindings can be remapped. Loads every screen, so it is imported when needed."""

from __future__ import annotations

from textual.dom import DOMNode

from sp500tui.tui.screens.database import DatabaseScreen
from sp500tui.tui.screens.demo import DemoScreen, FaultList
from sp500tui.tui.screens.help import HelpScreen
from sp500tui.tui.screens.main import MainScreen
from sp500tui.tui.screens.nodes import NodesScreen
from sp500tui.tui.screens.panel_screen import PanelScreen
from sp500tui.tui.screens.quit import StopScreen
from sp500tui.tui.screens.symbol import SymbolScreen
from sp500tui.tui.widgets.cursor_list import CursorList
from sp500tui.tui.widgets.log_lines import LogLines
from sp500tui.tui.widgets.price_chart import PriceChart
from sp500tui.tui.widgets.price_table import PriceTable
from sp500tui.tui.widgets.workers_panel import WorkersPanel

OWNERS: tuple[type[DOMNode], ...] = (
    MainScreen,
    PriceTable,
    WorkersPanel,
    LogLines,
    PanelScreen,
    SymbolScreen,
    PriceChart,
    DatabaseScreen,
    DemoScreen,
    FaultList,
    NodesScreen,
    CursorList,
    StopScreen,
    HelpScreen,
)
"""In the order in which help shows them."""
