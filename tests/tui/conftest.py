"""What every test of the dashboard starts from: a fake pipeline, a clock that stands still, no animation."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from sp500tui.logs import LogLine
from tests.tui.fake_pipeline import NOON, FakePipeline


class CannedLog:
    """A log whose lines a test adds."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def say(self, message: str, level: int = 20, worker: str = "main") -> None:
        """Add one line."""
        self.lines.append(LogLine(len(self.lines) + 1, NOON, level, worker, message))

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        """The lines after `seq`."""
        return len(self.lines), self.lines[seq:], 0


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No animation, no inherited theme or colour wish, times in UTC."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()


@pytest.fixture
def log() -> CannedLog:
    """An empty log."""
    return CannedLog()


@pytest.fixture
def pipeline() -> FakePipeline:
    """A calm run."""
    return FakePipeline()
