"""The additional cost of the timeline over the main screen, in the same pseudo-terminal with the same changes."""

from __future__ import annotations

from sp500tui.config.settings import Settings
from tests.benchmarks.cost.dashboard import Shown, show
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.terminal import HEIGHT, WIDTH

_GOAL = 5.0
"""Percent of a core."""
_EQUAL = (
    f"same {WIDTH}x{HEIGHT} pseudo-terminal, prices and seed; 503 symbols change ten times a second; 17 workers with "
    "some 300 spans a second, of which ten seconds are shown; runs in turns"
)


def run(scale: Scale) -> list[Figure]:
    """Processor share of the timeline minus that of the main screen, in alternating runs."""
    length, refresh_rate = min(10.0, scale.seconds), Settings().refresh_rate
    kinds: dict[str, list[Shown]] = {"dashboard": [], "timeline": []}
    for _ in range(scale.runs):
        for kind, runs in kinds.items():
            runs.append(show(kind, 503, refresh_rate, length))
    main, timeline = kinds["dashboard"], kinds["timeline"]
    more = Spread.of(ours.cpu - other.cpu for ours, other in zip(timeline, main, strict=True))
    return [
        Figure(
            "timeline",
            "processor of the timeline, more than of the main screen",
            "% of a core",
            more,
            _EQUAL,
            {
                "the main screen": Spread.of(each.cpu for each in main),
                "the timeline": Spread.of(each.cpu for each in timeline),
            },
            goal=f"≤ {_GOAL:g} % of a core",
            met=more.median <= _GOAL,
        )
    ]
