"""The pipeline inside the test: real writer processes, a real database and the demo market, without a screen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.simulator.process import DemoMarket
from tests.faults.rig.program import pause, wait_for
from tests.faults.rig.steps import FIFTY


class Engine:
    """A running pipeline whose equation is checked continuously."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self.pipeline = Pipeline(settings, paths)
        self.events: list[PipelineEvent] = []
        self.unbalanced: list[Ledger] = []
        self.pipeline.subscribe(self.events.append)
        self.pipeline.start()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._over.is_set():
            ledger = self.snapshot().ledger
            if not ledger.is_balanced:
                self.unbalanced.append(ledger)
            pause(0.02)

    def snapshot(self) -> Snapshot:
        return self.pipeline.snapshot()

    def waits_for(self, condition: Callable[[Snapshot], object], what: str, timeout: float = 60.0) -> None:
        """Wait until a snapshot meets a condition."""
        wait_for(lambda: condition(self.snapshot()), what, timeout)

    def stores(self, rows: int = 1) -> None:
        """Wait until a number of further rows have been stored."""
        goal = self.snapshot().ledger.stored + rows
        self.waits_for(lambda snapshot: snapshot.ledger.stored >= goal, f"{rows} more rows stored")

    def ends(self) -> Ledger:
        """Stop by the drain; everything fetched is accounted for, and the equation held at every moment."""
        self.pipeline.stop()
        assert self.pipeline.join(60), "the pipeline did not end"
        self.close()
        ledger = self.snapshot().ledger
        assert (ledger.queued, ledger.in_flight, ledger.spooled) == (0, 0, 0), ledger
        assert self.unbalanced == []
        return ledger

    def close(self) -> None:
        """End it in any state."""
        self._over.set()
        self._watcher.join()
        for step in (ShutdownLevel.DRAIN, ShutdownLevel.SPOOL, ShutdownLevel.KILL):
            if not self.pipeline.join(0):
                self.pipeline.stop(step)
                self.pipeline.join(10)


@dataclass
class EngineStarter:
    """Starts pipelines with the same data folder and market."""

    market: DemoMarket
    folder: Path
    engines: list[Engine] = field(default_factory=list)

    def __call__(self, database: str | None, **settings: Any) -> Engine:
        """Start a pipeline; the test or `close` stops it."""
        given: dict[str, Any] = {
            "no_ui": True,
            "database": database,
            "symbols": FIFTY,
            "interval": 0.5,
            "proxy": self.market.proxy_url,
            "ca_file": self.market.ca_file,
            "data_dir": self.folder / "data",
            "requests_per_second": 100.0,
        }
        chosen = Settings(**(given | settings))
        paths = replace(Paths.of(chosen), cache=self.folder / "cache")
        paths.prepare()
        engine = Engine(chosen, paths)
        self.engines.append(engine)
        return engine

    def close(self) -> None:
        """End all pipelines that still run."""
        for engine in self.engines:
            engine.close()
