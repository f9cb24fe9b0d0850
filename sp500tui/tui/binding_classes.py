"""The classes besides the app whose bindings can be remapped. Loads every screen, so it is imported when needed."""

from __future__ import annotations

from textual.dom import DOMNode

from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.database.screen import DatabaseScreen
from sp500tui.tui.demo.screen import DemoScreen, FaultList
from sp500tui.tui.help.screen import HelpScreen
from sp500tui.tui.log.lines import LogLines
from sp500tui.tui.nodes.screen import NodesScreen
from sp500tui.tui.prices.table import PriceTable
from sp500tui.tui.quit.screen import StopScreen
from sp500tui.tui.render.cursor_list import CursorList
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.symbol.chart import PriceChart
from sp500tui.tui.symbol.screen import SymbolScreen
from sp500tui.tui.workers.panel import WorkersPanel

BINDING_CLASSES: tuple[type[DOMNode], ...] = (
    MainScreen,
    PriceTable,
    WorkersPanel,
    LogLines,
    BaseScreen,
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
