"""Guarantee: the gaps are those of the market, and filling them loses, duplicates and alters no bar."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from sp500tui.simulator.process import DemoMarket
from sp500tui.simulator.stats import read_served_charts
from tests.faults.checker import bars_in_table, judge_bars, withheld_bars
from tests.faults.rig.program import WRITER_MODULE, pause

SYMBOLS = "AAPL,MSFT,NVDA,AMD,BRK.B,ABNB,ADBE,AES,AFL,AKAM"
KILLS, KILLS_OF_LONG_RUN = 4, 20
TIMEOUT = 180.0


def command(
    name: str,
    market: DemoMarket,
    folder: Path,
    url: str,
    *,
    rate: float = 50,
    launch: Sequence[str] = ("-m", "sp500tui"),
) -> subprocess.Popen[bytes]:
    """Start a command; `launch` are Python's arguments."""
    return subprocess.Popen(
        [
            *(sys.executable, *launch, name, "--json", "--symbols", SYMBOLS),
            *("--proxy", market.proxy_url, "--ca-file", str(market.ca_file), "--database", url),
            *("--data-dir", str(folder / "data"), "--requests-per-second", str(rate)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
    )


def result(process: subprocess.Popen[bytes]) -> tuple[int, Any]:
    out, errors = process.communicate(timeout=TIMEOUT)
    assert out, errors.decode()
    return process.returncode, json.loads(out)


def writers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        children = psutil.Process(process.pid).children()
        return [child for child in children if WRITER_MODULE in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def filled_under_fire(run: Callable[..., subprocess.Popen[bytes]], wanted: int) -> int:
    """Run `backfill` repeatedly, killing its writers and then the program each time; returns the number of kills."""
    kills = 0
    deadline = time.monotonic() + TIMEOUT
    while kills < wanted and time.monotonic() < deadline:
        process = run("backfill", rate=4)
        while process.poll() is None and kills < wanted:
            for writer in writers(process):
                pause(0.05)
                with suppress(psutil.NoSuchProcess):
                    writer.kill()
                    kills += 1
                if kills % (wanted // 2) == 0:
                    process.kill()
            pause(0.02)
        process.communicate(timeout=TIMEOUT)
    return kills


def holes(gaps: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
    """The starts of the missing bars of days that have ended."""
    return {
        (gap["symbol"], "1m", start)
        for gap in gaps
        if gap["state"] != "not yet"
        for first, last in gap["holes"]
        for start in range(
            round(datetime.fromisoformat(first).timestamp()),
            round(datetime.fromisoformat(last).timestamp()),
            60,
        )
    }


@pytest.mark.thorough
def test_gaps_are_what_the_market_withheld_and_backfill_fills_them(
    folder: Path, database_url: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    wanted = KILLS_OF_LONG_RUN if pytestconfig.getoption("long") else KILLS
    ledger = tmp_path / "ledger.jsonl"
    with DemoMarket.start(seed=11, ledger=ledger, start_at="11:00") as market:
        # given a market that has lost sessions and single bars, and a program whose writers are killed
        market.set_faults(lost_sessions=0.2, null_bars=0.002)
        run = partial(command, market=market, folder=folder, url=database_url)
        assert filled_under_fire(run, wanted) >= wanted
        code, _ = result(command("backfill", market, folder, database_url))
        assert code == 0

        # then the gaps are exactly the bars that the market's ledger withheld
        _, gaps = result(command("gaps", market, folder, database_url))
        minutes = [chart for chart in read_served_charts(ledger) if chart.interval == "1m"]
        withheld = withheld_bars(minutes)
        assert withheld
        assert holes(gaps) == withheld

        # when the market has them again, they are filled
        market.clear_faults()
        code, report = result(command("backfill", market, folder, database_url))
        assert code == 0
        assert report["bars"]["stored"] == len(withheld)
        code, gaps = result(command("gaps", market, folder, database_url))
        assert code == 0
        assert holes(gaps) == set()

    minutes = [chart for chart in read_served_charts(ledger) if chart.interval == "1m"]
    verdict = judge_bars(minutes, bars_in_table(database_url))
    assert verdict.clean, str(verdict)
