"""A source far faster than the database: its effects on memory, on the screen and on the quotes."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import fresh_database, public_folder, scratch_server
from tests.benchmarks.terminal import Terminal

_EQUAL = "the whole dashboard in a 160x48 pseudo-terminal, queues and batches at their defaults, journal on"


def pressed(url: str, symbols: int, seconds: float) -> dict[str, Any]:
    """One run under pressure.

    Raises:
        RuntimeError: It ended before the measurement.
    """
    with public_folder() as folder:
        target = folder / "pressure.json"
        arguments = ["-m", "tests.benchmarks.children.pressure", url, str(symbols), str(seconds), str(target)]
        with Terminal(arguments, {"HOME": str(folder)}) as terminal:
            terminal.close(90.0 + seconds)
            if not target.exists():
                raise RuntimeError(f"the program under pressure ended early: {terminal.tail}")
        reported: dict[str, Any] = json.loads(target.read_text())
        return reported


def run(scale: Scale) -> list[Figure]:
    """Speeds, memory, lag and the ledger of each run."""
    symbols = max(20_000, scale.sizes[-1])
    reported = []
    with scratch_server() as server:
        for _ in range(min(3, scale.runs)):
            with fresh_database(server) as url:
                reported.append(pressed(url, symbols, min(8.0, scale.seconds)))
    return figures_of(reported)


def figures_of(reported: list[dict[str, Any]]) -> list[Figure]:
    fetch = Spread.of(run["fetch_rate"] for run in reported)
    store = Spread.of(run["store_rate"] for run in reported)
    ratio = fetch.over(store)
    fill = Spread.of(max(high / room for high, room in run["high_water"].values()) * 100 for run in reported)
    grown = Spread.of(run["grown"] / 1e6 for run in reported)
    lag = Spread.of(run["lag_p99"] for run in reported)
    lost = Spread.of(
        abs(run["rows"] - run["ledger"]["stored"])
        + (not run["balanced"])
        + sum(run["ledger"][place] for place in ("queued", "in_flight", "spooled", "dead"))
        for run in reported
    )
    kept = f"{reported[-1]['ledger']['fetched']:,} fetched, {reported[-1]['rows']:,} in the table after the drain"
    return [
        Figure(
            "back-pressure",
            "fetch while there is room, beside what the database takes",
            "quotes/s",
            fetch,
            _EQUAL,
            {"database": store},
            ratio=ratio,
            ratio_name="fetch : database",
            goal="≥ 10× faster, or it is no pressure",
            met=ratio.median >= 10,
        ),
        Figure(
            "back-pressure",
            "fullest queue",
            "% of its capacity",
            fill,
            _EQUAL,
            goal="≤ 100 %",
            met=fill.max <= 100,
        ),
        Figure(
            "back-pressure",
            "growth of memory under pressure",
            "MB",
            grown,
            _EQUAL,
            goal="≤ 10 MB",
            met=grown.median <= 10,
        ),
        Figure(
            "back-pressure", "event-loop lag p99", "ms", lag, _EQUAL, goal="≤ 50 ms", met=lag.median <= 50
        ),
        Figure(
            "back-pressure",
            "quotes lost",
            "quotes",
            lost,
            _EQUAL,
            goal="nothing lost",
            met=lost.max == 0,
            note=kept,
        ),
    ]
