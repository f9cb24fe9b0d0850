"""The libraries of Yahoo Finance are loaded late, start no threads and write nothing to the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sp500tui.simulator.process import DemoMarket

SCRIPT = """
import os, sys, logging
from pathlib import Path
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.yahoo.client import YahooFinance
heavy = {"yfinance", "pandas", "curl_cffi", "numpy", "bs4"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
cache = Path(sys.argv[3])
yahoo = YahooFinance(Throttle(50), proxy=sys.argv[1], ca_file=Path(sys.argv[2]), timeout=30, cache_dir=cache)
yahoo.open()
assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
print(len(yahoo.fetch(["AAPL"]).quotes))
lost = YahooFinance(Throttle(50), proxy="http://127.0.0.1:1", ca_file=None, timeout=30, cache_dir=cache)
try:
    lost.fetch(["A"])
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.slow
def test_nothing_heavy_is_imported_early_and_nothing_is_written_to_the_terminal(
    demo_market: DemoMarket, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SCRIPT,
            demo_market.proxy_url,
            str(demo_market.ca_file),
            str(tmp_path / "cache"),
        ],
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "1\nSourceError\n"
    assert done.stderr == ""
    assert list((tmp_path / "cache").iterdir()) == []
