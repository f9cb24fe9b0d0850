"""Pauses are reported once, whichever of several front ends requests them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.runtime import base
from sp500tui.pipeline.runtime.pipeline import Pipeline


@pytest.mark.parametrize(
    ("paused", "kind"), [(False, EventKind.RESUMED), (True, EventKind.PAUSED)], ids=["resume", "pause"]
)
def test_two_requests_at_the_same_moment_cause_one_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paused: bool, kind: EventKind
) -> None:
    # given a pipeline, and a second front end that sends one while the first request is carried out
    settings = Settings(no_ui=True, data_dir=tmp_path)
    pipeline = Pipeline(settings, Paths.of(settings))
    ask: Callable[[StageName], None] = pipeline.pause if paused else pipeline.resume
    if not paused:
        pipeline.pause(StageName.PRICE)
    monotonic = time.monotonic
    second = [StageName.PRICE]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            if second:
                ask(second.pop())
            return monotonic()

    monkeypatch.setattr(base, "time", Clock)

    # when the first one sends its request
    ask(StageName.PRICE)

    # then it is reported once
    assert [event.kind for event in pipeline.events_since(0)[1]].count(kind) == 1
