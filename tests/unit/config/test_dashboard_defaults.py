"""The defaults of the dashboard's demo."""

from __future__ import annotations

from typing import Any

import pytest

from sp500tui.config.loader import for_dashboard, load
from sp500tui.errors import ConfigurationError


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"demo": True}, (5, 55.0, 20.0)),
        ({"demo": True, "batch_size": 50, "market_speed": 1.0}, (50, 55.0, 1.0)),
        ({"demo": True, "requests_per_second": 200.0}, (5, 200.0, 20.0)),
        ({"demo": False}, (50, 5.0, 1.0)),
        ({"demo": True, "broker": "redis://127.0.0.1:1/0"}, (50, 200.0, 1.0)),
    ],
)
def test_the_demo_of_the_dashboard_has_separate_defaults(
    flags: dict[str, Any], expected: tuple[float, float, float]
) -> None:
    settings = for_dashboard(load(flags)).settings

    assert (settings.batch_size, settings.requests_per_second, settings.market_speed) == expected


def test_other_runs_of_the_demo_keep_the_general_defaults() -> None:
    settings = load({"demo": True}).settings

    assert (settings.batch_size, settings.requests_per_second, settings.market_speed) == (50, 200.0, 1.0)


def test_a_tour_of_the_live_market_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="add --demo, or omit --tour"):
        for_dashboard(load({"tour": True}))
