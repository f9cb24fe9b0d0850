"""Renders the pictures of the README from the running program: `uv run python -m tests.tui.readme_pictures [FOLDER]`.

The real pipeline runs on the demo market and an embedded PostgreSQL of its own; only the terminal is Textual's
headless one. The cluster is a real one too: a Valkey broker and two worker programs, of which one is killed.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from sp500tui.cluster.node.node import ClusterNode
from sp500tui.config.paths import Paths
from sp500tui.config.settings import SCREEN_DEMO, Settings
from sp500tui.logs import setup as logs
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import Health, Snapshot, WorkerState
from sp500tui.pipeline.core.verdict import VerdictKind
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.symbol.screen import SymbolScreen
from sp500tui.tui.timeline.screen import TimelineScreen
from tests.support.cluster.valkey import new_server

FOLDER = Path("docs/pictures")
_TIMEOUT = 180.0
_CYCLES = 25
"""Number of cycles before a picture without faults, so that the strips show most of a minute."""
_WAITING = 100
"""Number of waiting tickers in the picture of a slow source."""
_SLOW = 2.0
"""Requests per second of the cluster, so that the killed node has work."""

_HOLDING = (WorkerState.BUSY, WorkerState.SOURCE, WorkerState.LIMIT)
"""States of a price worker that holds tickers."""


async def _until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_TIMEOUT):
        while not condition():
            await pilot.pause(0.1)


@contextmanager
def _folder() -> Iterator[Path]:
    """A data folder that an unprivileged database server can enter; it is removed at the end."""
    data = Path(tempfile.mkdtemp(prefix="sp500tui-pictures-"))
    data.chmod(0o755)
    try:
        yield data
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _dashboard(data: Path, make: Callable[[Settings, Paths], PipelineControl], **more: Any) -> DashboardApp:
    """The program's dashboard of the demo market with its data in a folder."""
    settings = Settings(demo=True, data_dir=data, theme="sp500tui-dark", **more)
    paths = Paths.of(settings)
    paths.prepare()
    return DashboardApp(
        lambda: make(settings, paths),
        settings,
        log=logs.configure(console=False, folder=data / "log").ring,
        state_file=data / "state" / "dashboard.json",
        export_folder=data,
    )


def _save(app: DashboardApp, folder: Path, name: str) -> None:
    """Save a picture of the screen."""
    folder.mkdir(parents=True, exist_ok=True)
    file = f"{name}-{app.size.width}x{app.size.height}.svg"
    app.save_screenshot(file, str(folder))
    sys.stdout.write(f"{folder / file}\n")


async def _stop(app: DashboardApp, pilot: Pilot[int]) -> None:
    """Stop the pipeline by the drain."""
    pipeline = app.feed.pipeline
    assert pipeline is not None
    pipeline.stop()
    await _until(pilot, lambda: pipeline.join(0))


async def picture(folder: Path, size: tuple[int, int], keys: tuple[str, ...], name: str) -> None:
    """Run the dashboard at `size` until it shows data, press `keys`, and save a picture."""
    with _folder() as data:
        app = _dashboard(data, Pipeline, market_seed=500, **SCREEN_DEMO)
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda: app.snapshot.cycle.number >= _CYCLES)
            await pilot.press(*keys)
            await pilot.pause(1.0)
            _save(app, folder, name)
            await _stop(app, pilot)


def _waits_for_yahoo(snapshot: Snapshot) -> bool:
    """Whether the verdict names Yahoo as the cause, and tickers wait."""
    verdict, waiting = snapshot.verdict, snapshot.queue(QueueName.TICKERS).ready
    return verdict.kind is VerdictKind.BEHIND and "Yahoo" in verdict.sentence and waiting > _WAITING


async def symbol_picture(folder: Path, size: tuple[int, int]) -> None:
    """Have the daily bars of a symbol fetched, mark one of them, and save its screen."""
    with _folder() as data:
        app = _dashboard(data, Pipeline, market_seed=500, **SCREEN_DEMO)
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda: app.snapshot.cycle.number >= _CYCLES // 2)
            await pilot.press("down", "down", "enter", "t", "t", "t", "B")
            screen = app.screen
            assert isinstance(screen, SymbolScreen)
            await _until(
                pilot, lambda: "complete" in str(screen.chart.border_subtitle) and screen.chart.length > 20
            )
            await pilot.press(*["left"] * 5)
            await pilot.pause(1.0)
            _save(app, folder, "symbol")
            await _stop(app, pilot)


async def timeline_picture(folder: Path, size: tuple[int, int]) -> None:
    """Kill a writer's process, and save the timeline around that time."""
    with _folder() as data:
        app = _dashboard(data, Pipeline, market_seed=500, **SCREEN_DEMO)
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda: app.snapshot.cycle.number >= _CYCLES // 2)
            pipeline = app.feed.pipeline
            assert pipeline is not None
            assert pipeline.kill_worker("writer-2")
            await _until(
                pilot,
                lambda: any(
                    event.kind is EventKind.WORKER_RESTARTED for event in pipeline.events_since(0)[1]
                ),
            )
            await pilot.press("5")
            screen = app.screen
            assert isinstance(screen, TimelineScreen)
            await pilot.pause(3.0)
            died = next(event for event in pipeline.events_since(0)[1] if event.kind is EventKind.WORKER_DIED)
            screen.move_to("writer-2", (app.clock() - died.at).total_seconds() + 0.1)
            await _until(pilot, lambda: screen.is_complete)
            await pilot.pause(0.5)
            _save(app, folder, "timeline")
            await _stop(app, pilot)


async def tour_pictures(folder: Path, size: tuple[int, int]) -> None:
    """Take the tour, and save a source that slows down and an outage of the database that has ended."""
    with _folder() as data:
        app = _dashboard(data, Pipeline, market_seed=500, tour=True, **SCREEN_DEMO)
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda: _waits_for_yahoo(app.snapshot))
            await pilot.pause(4.0)
            await _until(pilot, lambda: _waits_for_yahoo(app.snapshot))
            _save(app, folder, "slow-source")
            pipeline = app.feed.pipeline
            assert pipeline is not None
            await _until(
                pilot,
                lambda: (
                    {EventKind.DATABASE_BACK, EventKind.REPLAYED}
                    <= {event.kind for event in pipeline.events_since(0)[1]}
                ),
            )
            await pilot.pause(3.0)
            _save(app, folder, "outage")
            await _stop(app, pilot)


@contextmanager
def _cluster(data: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A broker and two worker programs on this machine; yields the broker's URL and the programs."""
    server = new_server()
    command = [sys.executable, "-m", "sp500tui", "worker", "--demo", "--broker", server.url]
    command += ["--stages", "scraper=1,price=3,converter=1,writer=1", "--interval", "5"]
    command += ["--requests-per-second", str(_SLOW), "--data-dir", str(data)]
    command += ["--log-file", str(data / "worker.log")]
    workers = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        yield server.url, workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(_TIMEOUT)
        server.close()


def _at_work(app: DashboardApp) -> bool:
    """Whether every price worker of the cluster holds tickers."""
    workers = [worker for worker in app.snapshot.workers if worker.stage is StageName.PRICE]
    return bool(workers) and all(worker.state in _HOLDING for worker in workers)


def _accept(app: DashboardApp) -> bool:
    """Whether another node has taken over the leases of the killed one."""
    return any(node.health is Health.DOWN and "reassigned" in node.message for node in app.snapshot.nodes)


async def cluster_picture(folder: Path, size: tuple[int, int]) -> None:
    """Watch two worker programs, kill the one that starts the cycles, and save what `sp500tui top` then shows."""
    with _folder() as data, _cluster(data) as (url, workers):
        app = _dashboard(data, lambda settings, paths: ClusterNode(settings, paths, {}), broker=url)
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda: app.snapshot.cycle.number > 1 and _at_work(app))
            first = next(node for node in app.snapshot.nodes if node.scheduler)
            next(worker for worker in workers if f":{worker.pid}:" in first.name).kill()
            await _until(pilot, lambda: _accept(app))
            await pilot.press("4")
            await pilot.press("end")
            await pilot.pause(2.0)
            _save(app, folder, "cluster")
            await _stop(app, pilot)


def main(folder: Path = FOLDER) -> None:
    """Render all pictures."""
    for size, keys, name in (
        ((120, 40), (), "main"),
        ((200, 60), ("b",), "main"),
    ):
        asyncio.run(picture(folder, size, keys, name))
    asyncio.run(symbol_picture(folder, (120, 40)))
    asyncio.run(timeline_picture(folder, (120, 40)))
    asyncio.run(tour_pictures(folder, (120, 40)))
    asyncio.run(cluster_picture(folder, (120, 40)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
