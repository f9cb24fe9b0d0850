"""Real programs ended by one, two and three signals: in time, with the first one's exit code, without remains."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import Any

import psutil
import pytest

from sp500tui.cli.main import main
from sp500tui.simulator.process import DemoMarket
from tests.faults.rig.program import Launcher, Program, pause, wait_for
from tests.support.cluster.valkey import ValkeyServer
from tests.support.parameters import rest_thorough
from tests.support.postgres.server import public_folder
from tests.support.tui.real_terminal import Terminal

IN_TIME = 30.0
"""Maximum seconds until a program ends on a busy machine."""
CODES = {SIGINT: 130, SIGTERM: 143, SIGHUP: 143}
ROWS = ([SIGINT], [SIGHUP], [SIGTERM, SIGTERM], [SIGINT, SIGINT, SIGINT])
"""The signals that each program is sent, one after the other."""


@dataclass
class Running:
    """One program, with the dashboard or without."""

    process: psutil.Process
    wait_until_at_work: Callable[[], object]
    end: Callable[[], int | None]


Start = Callable[[], Running]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = public_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def start(
    request: pytest.FixtureRequest,
    demo_market: DemoMarket,
    database_url: str,
    valkey: ValkeyServer,
    folder: Path,
) -> Iterator[Start]:
    """Starts programs of the kind that the test names, all at work for the same database."""
    kind: str = request.param
    launcher = Launcher(demo_market, folder)
    terminals: list[Terminal] = []
    cluster = [f"--broker={valkey.url}", f"--cluster-name=test-{uuid.uuid4().hex[:12]}"]
    market = [f"--proxy={demo_market.proxy_url}", f"--ca-file={demo_market.ca_file}"]

    def headless(number: int) -> Running:
        worker = kind == "worker"
        program = launcher(
            *(cluster if worker else []),
            f"--data-dir={folder / f'data-{number}'}",
            database=database_url,
            symbols="AAPL,MSFT",
            interval=1.0,
            command=("-m", "sp500tui", "worker") if worker else ("-m", "sp500tui"),
        )
        return Running(
            psutil.Process(program.process.pid),
            lambda: program.hears("cycle", IN_TIME),
            lambda: ended(program),
        )

    def ended(program: Program) -> int:
        code = program.ends(IN_TIME)
        assert program.report()["outcome"] == "interrupted"
        assert "Traceback" not in program.said()
        return code

    def dashboard(number: int) -> Running:
        arguments = ["top", *cluster] if kind == "top" else ["--symbols=AAPL,MSFT", *market]
        arguments += [f"--database={database_url}", f"--data-dir={folder / f'data-{number}'}", "--interval=1"]
        terminal = Terminal(arguments, folder)
        terminals.append(terminal)
        return Running(
            psutil.Process(terminal.child.pid),
            lambda: terminal.wait_for(*(("running",) if kind == "top" else ("running", "stored"))),
            terminal.end,
        )

    yield lambda: (dashboard if kind in ("top", "dashboard") else headless)(
        len(terminals) + len(launcher.programs)
    )
    for terminal in terminals:
        if not terminal.child.closed:
            terminal.child.close(force=True)
    launcher.close()


@pytest.mark.thorough
@pytest.mark.parametrize("start", ["headless", "worker", "dashboard", "top"], indirect=True)
def test_signals_end_every_kind_of_program(start: Start) -> None:
    # given programs at work
    programs = [start() for _ in ROWS]
    for program in programs:
        program.wait_until_at_work()
    families = [program.process.children(recursive=True) for program in programs]

    # when each is sent its signals
    for program, numbers in zip(programs, ROWS, strict=True):
        for number in numbers:
            if program.process.is_running() and program.process.status() != psutil.STATUS_ZOMBIE:
                program.process.send_signal(number)
                pause(0.05)

    # then each ends with the first one's exit code, and its children with it
    codes = [program.end() for program in programs]
    assert codes == [CODES[numbers[0]] for numbers in ROWS]
    _, alive = psutil.wait_procs([child for family in families for child in family], 10)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", rest_thorough(CODES))
@pytest.mark.parametrize(
    ("command", "endpoint"),
    [
        (["quote", "AAPL"], "cookie"),
        pytest.param(["constituents"], "wikipedia", marks=pytest.mark.thorough),
        pytest.param(["gaps", "--symbols=AAPL", "--resolution=1d"], "cookie", marks=pytest.mark.thorough),
        pytest.param(["backfill", "--symbols=AAPL", "--resolution=1d"], "cookie", marks=pytest.mark.thorough),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_signal_ends_a_one_shot_command_that_waits_for_a_response(
    demo_market: DemoMarket,
    request: pytest.FixtureRequest,
    folder: Path,
    command: list[str],
    endpoint: str,
    number: signal.Signals,
) -> None:
    # given a command that waits for a response, longer than the test does
    demo_market.set_faults(latency=600.0)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_DATA_HOME": str(folder / "data"),
    }
    if command[0] in ("gaps", "backfill"):
        environment["SP500TUI_DATABASE"] = request.getfixturevalue("database_url")
    market = [f"--proxy={demo_market.proxy_url}", f"--ca-file={demo_market.ca_file}", "--request-timeout=120"]
    before = _requests(demo_market, endpoint)
    with subprocess.Popen(
        [sys.executable, "-m", "sp500tui", *command, *market],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        wait_for(lambda: _requests(demo_market, endpoint) > before, "the request", IN_TIME)
        # when it is sent a signal
        process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=IN_TIME)
        finally:
            process.kill()
    # then it ends with that signal's exit code, without a message and without leaving files
    assert (process.returncode, errors) == (CODES[number], "")
    assert list(folder.glob("sp500tui-*")) == []


def _requests(market: DemoMarket, endpoint: str) -> int:
    """Requests that the market has received at an endpoint."""
    requests = market.statistics()["requests"]
    assert isinstance(requests, dict)
    return int(requests.get(endpoint, 0))


@pytest.mark.parametrize("number", rest_thorough(CODES))
def test_a_signal_ends_the_standalone_simulator(folder: Path, number: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "sp500tui", "simulate", "--json"],
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith(b"{")
        program.send_signal(number)
        assert program.wait(IN_TIME) == CODES[number]
    assert list(folder.iterdir()) == []


def test_a_signal_ends_psql_with_the_command_that_runs_it(database_url: str) -> None:
    # given psql in the middle of a query
    program = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sp500tui",
            "database",
            "psql",
            "--database",
            database_url,
            "-c",
            "select pg_sleep(600)",
        ]
    )
    ours = psutil.Process(program.pid)
    wait_for(ours.children, "psql", IN_TIME)
    (psql,) = ours.children()
    wait_for(lambda: "psql" in psql.name(), "psql itself", IN_TIME)
    # when the command is terminated, then so is psql
    program.send_signal(SIGTERM)
    assert program.wait(IN_TIME) == 143
    psutil.wait_procs([psql], 10)
    assert not psql.is_running()


def test_a_signal_while_psql_starts_ends_it_too(
    database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a signal that arrives when the child exists, but its start has not returned
    children: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            children.append(self)
            signal.raise_signal(SIGTERM)

    monkeypatch.setattr("sp500tui.cli.commands.data.database.subprocess.Popen", Interrupted)
    monkeypatch.setenv("HOME", str(folder))
    # when psql is started
    code = main(["database", "psql", "--database", database_url, "-c", "select pg_sleep(600)"])
    # then it has ended with the command
    assert code == 143
    assert [child.returncode for child in children] == [-SIGTERM]
