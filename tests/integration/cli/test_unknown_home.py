"""A user id without a name and without a home, as in a container, with the real program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sp500tui.errors import ExitCode
from tests.support.environment import FOLDER_VARIABLES
from tests.support.postgres.server import TcpPostgres, public_folder

USER = "54321"
NAMELESS = [
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    # It may read what root reads, since this Python may lie in root's home.
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become another user, by setpriv",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the nameless user may write to."""
    made = public_folder()
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HOME", *FOLDER_VARIABLES) and not name.startswith("SP500TUI_")
    }
    environment |= variables
    command = [*NAMELESS, sys.executable, "-m", "sp500tui", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--no-ui", "--demo", "--once"], "give --data-dir DIR and --log-file FILE"),
        (["constituents", "--demo"], "give --data-dir DIR and --log-file FILE"),
        (["quote", "--demo", "AAPL"], "give --data-dir DIR and --log-file FILE"),
        (["database", "status"], "give --data-dir DIR and --log-file FILE"),
        (["dead-letters", "list"], "give --data-dir DIR and --log-file FILE"),
        (["config", "path"], "name the configuration file with --config FILE"),
        (["config", "init"], "name the configuration file with --config FILE"),
    ],
    ids=" ".join,
)
def test_one_line_names_what_to_set(arguments: list[str], remedy: str) -> None:
    done = run(*arguments)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.count("\n") == 1
    assert f"user id {USER} has no home in the user database; set HOME, or {remedy}" in done.stderr


@pytest.mark.thorough
def test_a_run_needs_no_home_when_everything_is_named(folder: Path, tcp_postgres: TcpPostgres) -> None:
    places = ["--data-dir", str(folder / "data"), "--log-file", str(folder / "app.log")]
    database = ["--database", tcp_postgres.url]
    done = run("--no-ui", "--demo", "--once", "--json", "--symbols=AAPL", *places, *database)
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout)["quotes"]["stored"] == 1

    prices = run("quote", "AAPL", "--demo", "--json", *places)
    assert prices.returncode == ExitCode.OK, prices.stderr
    assert json.loads(prices.stdout)[0]["symbol"] == "AAPL"

    status = run("database", "status", "--json", *places, *database)
    assert status.returncode == ExitCode.OK, status.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("home", [{}, {"HOME": "/root"}], ids=["no home", "a home that cannot be read"])
def test_a_run_logs_only_to_stderr_when_only_the_data_folder_is_named(
    folder: Path, tcp_postgres: TcpPostgres, home: dict[str, str]
) -> None:
    places = ["--data-dir", str(folder / "data"), "--database", tcp_postgres.url]
    done = run("--no-ui", "--demo", "--once", "--json", "--symbols=AAPL", *places, **home)
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout)["quotes"]["stored"] == 1
    assert done.stderr.count("no log files are written") == 1
    assert "cycle 1 finished" in done.stderr


def test_a_database_url_without_a_user_is_refused_with_the_remedy(folder: Path) -> None:
    places = ["--data-dir", str(folder / "data"), "--log-file", str(folder / "app.log")]
    done = run("database", "status", "--database", "postgresql://127.0.0.1:1/x", *places)
    assert done.returncode == ExitCode.DATABASE
    assert "write postgresql://user@host:5432/database" in done.stderr
    assert done.stderr.count("\n") == 1
