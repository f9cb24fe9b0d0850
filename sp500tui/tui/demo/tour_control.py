"""Starts and stops the tour for the app: on its own thread, and only where there is a demo market."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sp500tui.config.keys import KEYS_BY_ID
from sp500tui.config.settings import Settings
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.tui.demo.tour import Tour


class TourControl:
    """At most one tour at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._quit_keys = self._keys("quit")
        """They stop the tour and do what they always do."""
        self._lock = threading.Lock()
        self._tour: Tour | None = None

    def _keys(self, key_id: str) -> Sequence[str]:
        """The keys of a binding as configured, by their names."""
        keys = self._settings.keymap.get(key_id) or KEYS_BY_ID[key_id].keys
        return [key.strip() for key in keys.split(",")]

    @property
    def is_running(self) -> bool:
        """Whether a tour runs, or is being set back."""
        return self._tour is not None

    def start(self, pipeline: PipelineControl | None) -> str:
        """Start the tour; returns why that is impossible, else nothing."""
        if not self._settings.demo:
            return "The tour needs the demo market: start sp500tui --demo --tour"
        if self.is_running:
            return "The tour is running already"
        market = None if pipeline is None else pipeline.demo_market
        if pipeline is None or market is None:
            return "The tour needs a demo market in this process, and there is none yet"
        self._tour = Tour(
            pipeline,
            market,
            seed=self._settings.market_seed or 0,
            faults_key=self._keys("screen.demo")[0],
        )
        ServiceThread("tour", self._run, attempts=1).start()
        return ""

    def stop(self) -> None:
        """Stop the tour, which sets everything back."""
        with self._lock:
            if self._tour is not None:
                self._tour.stop()

    def takes_key(self, key: str) -> bool:
        """Whether a key stops the tour, and does nothing else."""
        if not self.is_running:
            return False
        self.stop()
        return key not in self._quit_keys

    def _run(self) -> None:
        assert self._tour is not None  # noqa: S101  # set before the thread starts
        try:
            self._tour.run()
        finally:
            with self._lock:
                self._tour = None
