"""Makes the pictures of the README from the running program: `uv run python -m tests.pictures [FOLDER]`.

The real pipeline runs on the demo market and an embedded PostgreSQL of its own; only the terminal is Textual's
headless one.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from sp500tui import logs
from sp500tui.paths import Paths
from sp500tui.pipeline.control import PipelineControl
from sp500tui.pipeline.pipeline import Pipeline
from sp500tui.settings import Settings
from sp500tui.tui.app import DashboardApp

FOLDER = Path("docs/pictures")
_PATIENCE = 60.0
_CYCLES = 8


async def _until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not condition():
            await pilot.pause(0.1)


async def picture(folder: Path, size: tuple[int, int], keys: tuple[str, ...], name: str) -> None:
    """Run the dashboard at `size` until it has something to show, press `keys`, and save what it looks like."""
    data = Path(tempfile.mkdtemp(prefix="sp500tui-pictures-"))
    data.chmod(0o755)
    settings = Settings(demo=True, data_dir=data, market_seed=500, interval=1.0, theme="sp500tui-dark")
    paths = Paths.of(settings)
    paths.prepare()
    ring = logs.configure(console=False, folder=data / "log").ring

    def open_pipeline() -> PipelineControl:
        return Pipeline(settings, paths)

    app = DashboardApp(
        open_pipeline, settings, log=ring, state_file=data / "state" / "dashboard.json", export_folder=data
    )
    try:
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda: app.snapshot.cycle.number >= _CYCLES)
            await pilot.press(*keys)
            await pilot.pause(1.0)
            folder.mkdir(parents=True, exist_ok=True)
            app.save_screenshot(f"{name}-{size[0]}x{size[1]}.svg", str(folder))
            pipeline = app.feed.pipeline
            assert pipeline is not None
            pipeline.stop()
            await _until(pilot, lambda: pipeline.join(0))
    finally:
        shutil.rmtree(data, ignore_errors=True)


def main(folder: Path = FOLDER) -> None:
    """Make all pictures."""
    for size, keys, name in (
        ((120, 40), (), "main"),
        ((200, 60), ("b",), "main"),
        ((120, 40), ("down", "down", "enter"), "symbol"),
    ):
        asyncio.run(picture(folder, size, keys, name))
        sys.stdout.write(f"{folder}/{name}-{size[0]}x{size[1]}.svg\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
