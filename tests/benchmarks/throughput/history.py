"""One-minute bars from response to commit: `backfill` compared with `yf.download` and `to_sql`, and live prices."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.model import Resolution
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.simulator.process import DemoMarket
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import (
    Cost,
    fresh_database,
    listed_symbols,
    public_folder,
    run_child,
    scratch_server,
    wait_until,
)
from tests.support.market.demo import client_environment

_DAYS = 11
"""Calendar days: about eight trading days, two requests per symbol."""
_FULL_RUNS = 5
"""Runs from which on the whole index is measured, once; otherwise `_SAMPLE` symbols."""
_SAMPLE = 30
_EQUAL = "same demo market, symbols, days and server; start and imports of each program subtracted"
_CYCLE = 3.0
"""Seconds between the starts of two live cycles."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Microseconds of processor time per bar: of the program, and of the server."""

    ours: float
    our_server: float
    theirs: float
    their_server: float
    bars: int


def ours(
    market: DemoMarket, url: str, home: Path, symbols: list[str], day: datetime, rate: float | None = 1000
) -> Cost:
    """One `backfill` of the days from `day` on; without a rate at the default one."""
    options = ["--symbols", ",".join(symbols), "--from", f"{day:%Y-%m-%d}"]
    options += [] if rate is None else ["--requests-per-second", str(rate)]
    connection = ["--proxy", market.proxy_url, "--ca-file", str(market.ca_file), "--database", url]
    command = ["-m", "sp500tui", "backfill", "--json", *options, *connection, "--data-dir", str(home)]
    return run_child(command, {"HOME": str(home), "XDG_CACHE_HOME": str(home)}, timeout=1200)


def theirs(market: DemoMarket, url: str, home: Path, symbols: list[str], day: datetime) -> Cost:
    """The same days with a script."""
    window = [f"{day:%Y-%m-%d}", f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"]
    command = ["-m", "tests.benchmarks.children.history_client", url, *window, *symbols]
    return run_child(command, client_environment(market, home), timeout=1200)


def server_cpu(url: str) -> float:
    """Seconds of processor time of the server and its past and current sessions."""
    with psycopg.connect(url) as connection:
        own = psutil.Process(connection.info.backend_pid)
        server = own.parent()
        assert server is not None
        sessions = [child.cpu_times() for child in server.children()]
        used = server.cpu_times()
    ended = used.user + used.system + used.children_user + used.children_system
    return float(ended + sum(session.user + session.system for session in sessions))


def run(scale: Scale) -> list[Figure]:
    """Processor time per bar, the duration of a pass at the default rate, and of live cycles during it."""
    symbols = listed_symbols()[: None if scale.runs >= _FULL_RUNS else min(_SAMPLE, 2 * scale.sample)]
    day = datetime.now(UTC) - timedelta(days=_DAYS)
    with scratch_server() as server, DemoMarket.start(seed=500) as market:
        turns = []
        for _ in range(1 if scale.runs >= _FULL_RUNS else scale.runs):
            with fresh_database(server) as url:
                turns.append(_turn(market, url, symbols, day))
        with fresh_database(server) as url:
            paced = _paced(market, url, symbols, day)
        with fresh_database(server) as url:
            live = _live(market, url, listed_symbols(), day, max(6, round(scale.seconds)))
    return [*costs(turns, len(symbols)), paced, live]


def _turn(market: DemoMarket, url: str, symbols: list[str], day: datetime) -> Turn:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        marks = [server_cpu(url)]
        first = ours(market, url, home / "ours", symbols, day)
        marks.append(server_cpu(url))
        bars = json.loads(first.output)["bars"]["stored"]
        # Nothing is missing any more, so this is the cost of start, survey and end.
        again = ours(market, url, home / "ours", symbols, day)
        marks.append(server_cpu(url))
        peer = theirs(market, url, home, symbols, day)
        marks.append(server_cpu(url))
        alone = run_child(["-c", "import yfinance, sqlalchemy, psycopg"])
    rows = int(peer.output)
    return Turn(
        (first.cpu - again.cpu) / bars * 1e6,
        (marks[1] - marks[0]) / bars * 1e6,
        (peer.cpu - alone.cpu) / rows * 1e6,
        (marks[3] - marks[2]) / rows * 1e6,
        bars,
    )


def costs(turns: list[Turn], symbols: int) -> list[Figure]:
    alone = ([turn.theirs for turn in turns], [turn.ours for turn in turns])
    both = (
        [turn.theirs + turn.their_server for turn in turns],
        [turn.ours + turn.our_server for turn in turns],
    )
    figures = []
    for metric, (other, mine), goal in (
        ("a bar of a minute, from the answer to the commit", alone, 20),
        ("the same with PostgreSQL's own", both, None),
    ):
        ratio = Spread.pairwise(other, mine)
        figures.append(
            Figure(
                "history",
                metric,
                "µs of processor",
                Spread.of(mine),
                _EQUAL,
                {"yf.download and to_sql": Spread.of(other)},
                ratio=ratio,
                ratio_name="yf.download and to_sql : ours",
                goal=f"≥ {goal} times less processor time" if goal else "",
                met=ratio.median >= goal if goal else None,
                note=f"{turns[0].bars:,} bars of {symbols} symbols",
            )
        )
    return figures


def _paced(market: DemoMarket, url: str, symbols: list[str], day: datetime) -> Figure:
    """A pass at the default rate; the start of the program and its survey are subtracted."""
    with tempfile.TemporaryDirectory() as folder:
        first, again = (
            json.loads(ours(market, url, Path(folder), symbols, day, None).output) for _ in range(2)
        )
    requests = first["requests"]["total"]
    seconds = first["elapsed_seconds"] - again["elapsed_seconds"]
    limit = requests / Settings().requests_per_second
    return Figure(
        "history",
        f"a pass of {requests:,} requests at the default rate",
        "s",
        Spread.of([seconds]),
        _EQUAL,
        limit=Spread.of([limit]),
        limit_name="requests : rate",
        ratio=Spread.of([seconds / limit]),
        ratio_name="of the limit",
        goal="≤ 1.1 of what the rate allows",
        met=seconds <= 1.1 * limit,
    )


def _live(market: DemoMarket, url: str, symbols: list[str], day: datetime, cycles: int) -> Figure:
    """The duration of a pipeline's cycles at the default rate, without and with a backfill in the background."""
    with public_folder() as folder:
        settings = Settings(
            database=url,
            symbols=tuple(symbols),
            interval=_CYCLE,
            data_dir=folder / "data",
            proxy=market.proxy_url,
            ca_file=market.ca_file,
        )
        paths = Paths.of(settings)
        paths.prepare()
        pipeline = Pipeline(settings, paths)
        pipeline.start()
        try:
            wait_until(lambda: pipeline.snapshot().cycle.number > 1, 60, "the second cycle")
            before = _cycle_lengths(pipeline, cycles)
            pipeline.heal(Resolution.MINUTE, day, datetime.now(UTC), symbols)
            wait_until(lambda: pipeline.history().requests_done, 120, "the first bars")
            during = _cycle_lengths(pipeline, cycles)
            requests = pipeline.history().requests_done
        finally:
            pipeline.stop(ShutdownLevel.SPOOL)
            pipeline.join(60)
    usual, meanwhile = _p95(before), _p95(during)
    return Figure(
        "history",
        "p95 of a live cycle during a backfill",
        "ms",
        Spread.of([meanwhile]),
        "same pipeline, rate and number of cycles, one after the other",
        {"without a backfill": Spread.of([usual])},
        ratio=Spread.of([meanwhile / usual]),
        ratio_name="with : without",
        goal="within 10 %",
        met=meanwhile <= 1.1 * usual,
        note=f"{cycles} cycles each, {requests:,} requests for bars meanwhile",
    )


def _cycle_lengths(pipeline: Pipeline, cycles: int) -> list[float]:
    """Milliseconds of the next cycles."""
    lengths: dict[int, float] = {}
    first = pipeline.snapshot().cycle.number + 1
    deadline = time.monotonic() + 60 + 10 * _CYCLE * cycles
    while len(lengths) < cycles:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{cycles} cycles did not end")
        cycle = pipeline.snapshot().cycle
        if cycle.number >= first and not cycle.running:
            lengths[cycle.number] = cycle.seconds * 1000
        time.sleep(0.02)
    return list(lengths.values())


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.95 * len(values)))]
