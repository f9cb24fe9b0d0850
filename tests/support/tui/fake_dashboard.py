"""The dashboard as a separate program with a fake pipeline, for tests that need a real terminal.

Arguments: a folder to write to; `crash` to have the dashboard fail soon after its first frame, `stay` to have only
a signal end it, `slow` to have the pipeline stop only when it is killed.
"""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from pathlib import Path

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.logs import setup as logs
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.tui import run
from sp500tui.tui.app import DashboardApp
from tests.support.tui.fake_pipeline import FakePipeline, running


def _pipeline(_settings: Settings, _paths: Paths) -> FakePipeline:
    fake = FakePipeline(replace(running(), ledger=Ledger(20_923, 20_720, 203)))
    fake.ends_at = ShutdownLevel.KILL if "slow" in sys.argv else ShutdownLevel.DRAIN
    return fake


class _Crashing(DashboardApp):
    def on_ready(self) -> None:
        self.set_timer(0.2, lambda: int("no number"))


class _Staying(DashboardApp):
    def action_request_stop(self) -> None:
        if self._signals is not None and self._signals.first is not None:
            super().action_request_stop()


def main(folder: Path, *options: str) -> int:
    """Run it and report failures like the command line."""
    stand_in = types.ModuleType("sp500tui.pipeline.runtime.pipeline")
    stand_in.Pipeline = _pipeline  # type: ignore[attr-defined]
    sys.modules[stand_in.__name__] = stand_in
    if "crash" in options:
        vars(run)["DashboardApp"] = _Crashing
    if "stay" in options:
        vars(run)["DashboardApp"] = _Staying
    settings = Settings(demo=True, data_dir=folder, drain_timeout=1.0)
    logs.configure(console=False, folder=folder)
    try:
        return run.run_dashboard(settings, Paths.of(settings))
    except Sp500tuiError as error:
        sys.stderr.write(f"sp500tui: {error}\n")
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
