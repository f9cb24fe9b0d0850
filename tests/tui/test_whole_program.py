"""The real program in a real terminal: from its start over the keys to `q`, and the rows in its database."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from sp500tui.storage.embedded.process import find_running
from sp500tui.tui.shell.base_screen import READ_EVERY
from tests.support.postgres.server import end_server
from tests.support.tui.real_terminal import PROGRAM, TIMEOUT, Terminal, environment


def stored(arguments: list[str], home: Path) -> dict[str, int]:
    """Rows and symbols in the database, as `sp500tui database psql` finds them."""
    question = (
        "select json_build_object('rows', count(*), 'symbols', count(distinct symbol)) from public.prices"
    )
    answer = subprocess.run(
        [*PROGRAM, "database", "psql", *arguments, "-At", "-c", question],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    found: dict[str, int] = json.loads(answer.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_from_the_start_to_q(home: Path) -> None:
    arguments = ["--demo", "--data-dir", str(home / "data")]
    # given the program in a separate terminal
    terminal = Terminal(arguments, home)
    try:
        # when it has started, every panel is there, and the whole index has been stored at least once
        terminal.wait_for("pipeline ·", "workers ·", "prices ·", "log ·")
        terminal.wait_for("● running", "503/503", "all 503", "cycle 1 finished")
        # then + adds a worker, and the symbol screen shows what was stored
        terminal.child.send("+")
        terminal.wait_for("price workers 12 → 13", "×13")
        terminal.child.send("\r")
        terminal.wait_for("latest rows in PostgreSQL", "SEC CIK")
        # when q is pressed, it drains, exits with 0 and restores the terminal
        terminal.child.send("q")
        assert terminal.end() == 0
    finally:
        terminal.child.close(force=True)
    found = stored(arguments, home)
    assert found["symbols"] == 503
    assert found["rows"] >= 503


@contextmanager
def frozen(pgdata: Path) -> Iterator[None]:
    """Suspends every process of the server of this data directory; none is left afterwards."""
    postmaster = find_running(pgdata)
    assert postmaster is not None
    members = [postmaster, *postmaster.children(recursive=True)]
    try:
        for member in members:
            member.suspend()
        yield
    finally:
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.resume()
        end_server(pgdata)


@pytest.mark.thorough
def test_the_third_q_ends_the_program_while_the_database_is_frozen(home: Path) -> None:
    """Given a query of the database screen that never returns, when q is pressed three times, the process ends."""
    terminal = Terminal(["--demo", "--data-dir", str(home / "data")], home)
    try:
        terminal.wait_for("● running", "503/503")
        terminal.child.send("2")
        terminal.wait_for("with a price")
        with frozen(next((home / "data").rglob("pgdata"))):
            # nothing on the screen shows a query that waits; the next one is sent within READ_EVERY
            terminal.read_for(READ_EVERY + 1)
            for expected in ("Draining", "Spooling"):
                terminal.child.send("q")
                terminal.wait_for(expected)
            terminal.child.send("q")
            started = time.monotonic()
            terminal.end()
            assert time.monotonic() - started < 30
    finally:
        terminal.child.close(force=True)
