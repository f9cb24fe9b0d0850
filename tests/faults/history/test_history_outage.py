"""Guarantee: a collector that was killed over the close of a session leaves no gap that is not listed and filled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sp500tui.config.child_processes import python_command
from sp500tui.simulator.process import DemoMarket
from sp500tui.simulator.stats import ServedChart, read_served_charts
from tests.faults.checker import BarKey, bars_in_table, judge_bars, withheld_bars
from tests.faults.history.test_history import SYMBOLS, command, filled_under_fire, holes, result
from tests.faults.rig.program import Launcher, wait_for

AWAY = timedelta(hours=19, minutes=30)
LOST = 0.2
"""Share of the sessions that the market withholds."""
KILLS, KILLS_OF_LONG_RUN = 4, 20
LATER = "tests.faults.rig.later"


def later_command(clock: Path, module: str, *arguments: str) -> list[str]:
    """The command line of a module whose wall clock is set by a file."""
    return python_command(LATER, str(clock), module, *arguments)


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The seconds by which the wall clock of the market and of the programs is ahead."""
    path = tmp_path / "seconds-ahead"
    path.write_text("0")
    return path


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def closing_market(clock: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoMarket]:
    """A market ten minutes before the close of its first session."""
    monkeypatch.setattr("sp500tui.simulator.process.python_command", partial(later_command, clock))
    with DemoMarket.start(seed=11, ledger=ledger, start_at="15:50") as market:
        yield market


def minutes(ledger: Path) -> list[ServedChart]:
    return [chart for chart in read_served_charts(ledger) if chart.interval == "1m"]


def market_session(market: DemoMarket) -> datetime:
    """The end of the market's current session."""
    return datetime.fromtimestamp(float(str(market.health()["next_change"]))).astimezone()


def stored_keys(url: str) -> set[BarKey]:
    return {key for key, _ in bars_in_table(url)}


@pytest.mark.thorough
def test_what_a_dead_collector_missed_is_known_and_filled(
    closing_market: DemoMarket,
    clock: Path,
    ledger: Path,
    folder: Path,
    database_url: str,
    pytestconfig: pytest.Config,
) -> None:
    market, url = closing_market, database_url
    wanted = KILLS_OF_LONG_RUN if pytestconfig.getoption("long") else KILLS
    run = partial(
        command, market=market, folder=folder, url=url, launch=("-m", LATER, str(clock), "sp500tui")
    )
    close = market_session(market)

    # given a history without holes but for a session that the market has lost, and a collector
    market.set_faults(lost_sessions=LOST)
    assert result(run("backfill"))[0] == 0
    lost = withheld_bars(minutes(ledger))
    assert lost
    before = stored_keys(url)
    launcher = Launcher(market, folder)
    collector = launcher(database=url, symbols=SYMBOLS, command=("-m", LATER, str(clock), "sp500tui"))
    wait_for(lambda: collected(url), "collected prices")

    # when the collector is killed and 19.5 hours pass, over the close of the session
    collector.kill()
    launcher.close()
    clock.write_text(str(AWAY.total_seconds()))
    wait_for(lambda: market_session(market) > close + timedelta(hours=1), "the next session")

    # then the gaps are exactly those of the market's ledger: the lost session, and the minutes up to the close
    code, gaps = result(run("gaps"))
    assert code == 1
    found = holes(gaps)
    assert lost <= found
    assert all(start < close.timestamp() for _, _, start in found)
    assert any(start >= close.timestamp() - 600 for _, _, start in found - lost)

    # and a backfill whose writers are killed fills all that the market has
    assert filled_under_fire(run, wanted) >= wanted
    market.clear_faults()
    code, report = result(run("backfill"))
    assert code == 0, report
    code, gaps = result(run("gaps"))
    assert code == 0
    assert holes(gaps) == set()
    served = {
        (chart.symbol, "1m", bar.start)
        for chart in minutes(ledger)
        for bar in chart.bars
        if bar.end <= close.timestamp()
    }
    assert found == served - before
    verdict = judge_bars(minutes(ledger), bars_in_table(url))
    assert verdict.clean, str(verdict)


def collected(url: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM prices").fetchone()
    return row is not None and row[0] > 0
