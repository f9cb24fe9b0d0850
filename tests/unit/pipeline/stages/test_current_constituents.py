"""The current list of constituents, and the reports of its source's failures."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

import pytest

from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.sources.wikipedia.cache import bundled_constituents
from sp500tui.sources.wikipedia.client import ConstituentList

NOW = datetime(2026, 5, 4, tzinfo=UTC)


class Lists:
    """Returns Wikipedia's list, or a fallback with a warning."""

    def __init__(self) -> None:
        self.warning = ""

    def load(self) -> ConstituentList:
        origin: Literal["wikipedia", "cache"] = "cache" if self.warning else "wikipedia"
        return ConstituentList(bundled_constituents(), origin, NOW, self.warning)


def test_a_list_from_a_fallback_is_reported_once_until_wikipedia_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # given a list that is read again at every refresh
    lists, events = Lists(), list[PipelineEvent]()
    watches = SourceWatches(events.append)
    current_constituents = CurrentConstituents(lambda: lists, (), 0.0, watch=watches.wikipedia)
    current_constituents.refresh()
    # when Wikipedia fails twenty times, then works
    lists.warning = "using the last good list, because Wikipedia answered 503"
    for _ in range(20):
        current_constituents.refresh()
    assert current_constituents.snapshot().message == lists.warning
    lists.warning = ""
    current_constituents.refresh()
    # then there is one line for the outage and one for its end
    assert [re.sub(r" for \d+\.\d s.*", "", event.message) for event in events] == [
        "Wikipedia gives no usable list: using the last good list, because Wikipedia answered 503",
        "Wikipedia gives a usable list again: down",
    ]
    assert events[1].message.endswith("; 503 symbols affected")
    assert "last good list" not in caplog.text
