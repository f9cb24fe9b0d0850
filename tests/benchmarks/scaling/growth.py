"""The cost per symbol with few and with many symbols, in each part that processes all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sp500tui.config.settings import Settings
from sp500tui.simulator.process import DemoMarket
from tests.benchmarks.cost.dashboard import show
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import distinct_rows, many_symbols, scratch_server
from tests.benchmarks.throughput.ingest import ingest, once
from tests.benchmarks.throughput.refresh import clients

_EQUAL = "same machine, program and settings; only the number of symbols differs"


def refresh_costs(sizes: Sequence[int], runs: int) -> dict[int, list[float]]:
    """Microseconds of processor time per symbol for one refresh."""
    costs: dict[int, list[float]] = {}
    with DemoMarket.start(seed=500, extra_symbols=sizes[-1]) as market:
        for size in sizes:
            with clients({"ours": ("ours", size)}, market) as made:
                repeated = [made["ours"].measure(1, size).cpu.median for _ in range(runs)]
            costs[size] = [cpu / size * 1e6 for cpu in repeated]
    return costs


def ingest_costs(sizes: Sequence[int], rows: int, runs: int) -> dict[int, list[float]]:
    """Microseconds per row; the same number of rows is spread over each number of symbols."""
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    with scratch_server() as server:
        for _ in range(runs):
            for size in sizes:
                quotes = distinct_rows(rows, many_symbols(size))
                costs[size].append(1e6 / once(server, partial(ingest, quotes=quotes, count=2)))
    return costs


def dashboard_costs(sizes: Sequence[int], seconds: float, runs: int) -> dict[int, list[float]]:
    """Microseconds of processor time per second and symbol; 503 symbols change ten times a second."""
    refresh_rate = Settings().refresh_rate
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size in sizes:
            costs[size].append(show("dashboard", size, refresh_rate, seconds).cpu / 100 / size * 1e6)
    return costs


def run(scale: Scale) -> list[Figure]:
    """Cost per symbol of refresh, ingest and dashboard by the number of symbols."""
    few = min(2, scale.runs)
    sizes = scale.sizes
    rows = max(sizes[-1], scale.quotes // 2)
    return [
        figure_of("refresh", "µs of processor a symbol", refresh_costs(sizes, few), ""),
        figure_of("ingest", "µs a row", ingest_costs(sizes, rows, few), f"{rows:,} rows in every size"),
        figure_of(
            "dashboard",
            "µs of processor a second and symbol",
            dashboard_costs(sizes, min(3.0, scale.seconds), few),
            "503 of the symbols change ten times a second in every size",
        ),
    ]


def figure_of(part: str, unit: str, costs: dict[int, list[float]], note: str) -> Figure:
    first, *_, last = costs
    ratio = Spread.of(costs[last]).over(Spread.of(costs[first]))
    return Figure(
        "growth",
        f"{part} of {last:,} symbols",
        unit,
        Spread.of(costs[last]),
        _EQUAL,
        {f"{size:,} symbols": Spread.of(values) for size, values in costs.items() if size != last},
        ratio=ratio,
        ratio_name=f"{last:,} : {first:,}",
        goal=f"cost a symbol at {last:,} ≤ 1.3× that at {first:,}",
        met=ratio.median <= 1.3,
        note=note,
    )
