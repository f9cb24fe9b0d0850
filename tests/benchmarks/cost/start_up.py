"""Time until the program answers, shows its first frame, and has stored its first price."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sp500tui.simulator.process import DemoMarket
from sp500tui.storage.embedded.server import EmbeddedServer
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import public_folder, run_child
from tests.benchmarks.terminal import HEIGHT, WIDTH, Terminal

_EQUAL = (
    "same interpreter, byte code compiled, files in the page cache; each run a process of its own, in turns"
)
_STORED = (
    f"{_EQUAL}; the demo market runs already, so that this is a live start without the network's own time"
)

_SMALLEST = """
from textual.app import App
from textual.widgets import Static

class Smallest(App):
    BINDINGS = [("q", "quit")]
    def compose(self):
        yield Static("x")

Smallest().run()
"""
_SMALLEST_NAME = "a Textual app of one line"


@contextmanager
def options(market: DemoMarket, folder: Path) -> Iterator[list[str]]:
    """The options that direct a live run to the demo market, with a separate data folder."""
    yield ["--data-dir", str(folder / "data"), "--proxy", market.proxy_url, "--ca-file", str(market.ca_file)]


def first_frame() -> tuple[float, float]:
    """Seconds, and seconds of processor time, until the dashboard's whole screen has been painted."""
    with public_folder() as folder:
        return _painted(["-m", "sp500tui", "--demo", "--data-dir", str(folder / "data")], folder)


def smallest_frame() -> tuple[float, float]:
    """The same for a Textual app of one line: the lower limit for Textual."""
    with public_folder() as folder:
        return _painted(["-c", _SMALLEST], folder)


def _painted(arguments: list[str], folder: Path) -> tuple[float, float]:
    with Terminal(arguments, {"HOME": str(folder)}) as terminal:
        # Every cell takes at least a byte; any output before the first frame is much shorter.
        while terminal.received < WIDTH * HEIGHT and terminal.process.poll() is None:
            terminal.read(0.001)
        seconds, cpu = time.monotonic() - terminal.started, terminal.cpu()
        if terminal.received < WIDTH * HEIGHT:
            raise RuntimeError(f"no frame came: {terminal.tail}")
        terminal.press("q")
        terminal.close(20.0)
    return seconds, cpu


def first_price(wanted: list[str], folder: Path) -> float:
    """Seconds until the first row is committed."""
    arguments = ["-m", "tests.benchmarks.children.first_price", str(time.monotonic()), *wanted]
    return float(run_child(arguments, {"HOME": str(folder)}).output)


def _stored(market: DemoMarket, runs: int) -> dict[str, list[float]]:
    """First price stored, by the state of the embedded database, and a whole `--once`."""
    times: dict[str, list[float]] = {"stopped": [], "running": [], "new": [], "whole": []}
    for _ in range(runs):
        with public_folder() as folder, options(market, folder) as wanted:
            times["new"].append(first_price(wanted, folder))
            times["stopped"].append(first_price(wanted, folder))
            whole = ["-m", "sp500tui", "--no-ui", "--once", "--json", *wanted]
            times["whole"].append(run_child(whole, {"HOME": str(folder)}).seconds)
            server = EmbeddedServer.start(folder / "data" / "live")
            try:
                times["running"].append(first_price(wanted, folder))
            finally:
                server.stop()
    return times


def run(scale: Scale) -> list[Figure]:
    """The times of the four kinds of start."""
    bare, textual, version, yfinance = [], [], [], []
    run_child(["-m", "sp500tui", "--version"])
    for _ in range(2 * scale.runs):
        bare.append(run_child(["-c", "pass"]))
        version.append(run_child(["-m", "sp500tui", "--version"]))
        textual.append(run_child(["-c", "import textual.app"]))
    frames, smallest = [], []
    for _ in range(scale.runs):
        frames.append(first_frame())
        smallest.append(smallest_frame())
        yfinance.append(run_child(["-c", "import yfinance.data"]))
    ratio = Spread.pairwise([each.seconds for each in version], [each.seconds for each in bare])
    with DemoMarket.start(seed=500) as market:
        times = _stored(market, min(3, scale.runs))
    peers = {
        "python -c pass": Spread.of(each.seconds for each in bare),
        "import textual.app": Spread.of(each.seconds for each in textual),
    }
    cpu_peers = {
        "python -c pass": Spread.of(each.cpu for each in bare),
        "import textual.app": Spread.of(each.cpu for each in textual),
    }
    frame = Spread.of(seconds for seconds, _ in frames)
    stored_peers = peers | {"import yfinance.data": Spread.of(each.seconds for each in yfinance)}
    figures = [
        Figure(
            "start-up",
            "--version",
            "s",
            Spread.of(each.seconds for each in version),
            _EQUAL,
            peers,
            ratio=ratio,
            ratio_name="--version : python -c pass",
            goal="≤ 4× bare Python",
            met=ratio.median <= 4,
        ),
        Figure(
            "start-up",
            "first frame",
            "s",
            frame,
            _EQUAL,
            peers,
            limit=Spread.of(seconds for seconds, _ in smallest),
            limit_name=_SMALLEST_NAME,
            goal="≤ 0.6 s",
            met=frame.median <= 0.6,
        ),
        Figure(
            "start-up",
            "first frame, processor time",
            "s",
            Spread.of(cpu for _, cpu in frames),
            _EQUAL,
            cpu_peers,
            limit=Spread.of(cpu for _, cpu in smallest),
            limit_name=_SMALLEST_NAME,
            ratio=Spread.pairwise([cpu for _, cpu in frames], [cpu for _, cpu in smallest]),
            ratio_name=f"ours : {_SMALLEST_NAME}",
            note="no goal: it separates the program's work from waiting for a processor that others use",
        ),
    ]
    states: tuple[tuple[str, str, Callable[[Spread], bool | None]], ...] = (
        ("stopped", "first price stored, warm (data directory there, server stopped)", _within_two),
        ("running", "first price stored, warm (server in use by another program)", _within_two),
        ("new", "first price stored, cold (no data directory)", lambda spread: None),
        (
            "whole",
            "--no-ui --once as a whole, 503 prices, server stopped before and after",
            lambda spread: None,
        ),
    )
    for state, words, judge in states:
        spread = Spread.of(times[state])
        met = judge(spread)
        goal = "" if met is None else "≤ 2 s"
        figures.append(Figure("start-up", words, "s", spread, _STORED, stored_peers, goal=goal, met=met))
    return figures


def _within_two(spread: Spread) -> bool:
    return spread.median <= 2.0
