"""The demo action that stops the database for some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.writer.database_health import DatabaseHealth


@pytest.mark.thorough
def test_it_stays_down_for_some_time_and_recovers(
    data_dir: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    # given an embedded database in use
    events: list[PipelineEvent] = []
    health = DatabaseHealth(events.append)
    current_constituents = CurrentConstituents(lambda: None, (), 21_600.0)  # type: ignore[arg-type,return-value]
    database_monitor = DatabaseMonitor(
        None,
        data_dir,
        health=health,
        current_constituents=current_constituents,
        retry_forever=True,
        on_fatal=lambda _: None,
    )
    assert not database_monitor.stop_server(1.0)
    database_monitor.thread.start()
    try:
        eventually(lambda: health.status is Health.OK)
        # when it is stopped for two seconds
        stopped = time.monotonic()
        assert database_monitor.stop_server(2.0)
        # then the state has the reason and the time of the recovery
        eventually(
            lambda: "stopped for a demonstration, starts again in" in database_monitor.snapshot().message
        )
        eventually(lambda: health.status is Health.OK)
        assert time.monotonic() - stopped >= 2.0
        assert [event.kind for event in events] == [EventKind.DATABASE_DOWN, EventKind.DATABASE_BACK]
    finally:
        database_monitor.close()
