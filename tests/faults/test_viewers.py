"""Guarantee: the pipeline stores everything while viewers are slow, suspended, killed or send garbage."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sp500tui.config.settings import Settings
from sp500tui.remote.commands import Poll
from sp500tui.remote.run_services import ControlSocket
from sp500tui.remote.session import Session
from sp500tui.remote.wire import PROTOCOL, Hello, Position, Update, frame
from tests.faults.checker import Checker
from tests.faults.rig.engine import EngineStarter
from tests.faults.rig.program import Launcher, Program, wait_for
from tests.faults.rig.steps import ends_clean, running
from tests.faults.rig.terminal import PseudoTerminal

VIEWERS = 50


class Viewer:
    """`sp500tui attach` in a separate terminal."""

    def __init__(self, program: Program) -> None:
        self.terminal = PseudoTerminal()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sp500tui", "attach", f"--data-dir={program.data_dir}"],
            stdin=self.terminal.program_side,
            stdout=self.terminal.program_side,
            stderr=self.terminal.program_side,
            env={**os.environ, "HOME": str(program.home), "TERM": "xterm-256color"},
            start_new_session=True,
        )

    def shows(self, text: str) -> None:
        """Wait until it has drawn `text`."""
        wait_for(
            lambda: text.encode() in self.terminal.output or self.process.poll() is not None,
            f"{text!r} in a viewer",
        )
        assert self.process.poll() is None, bytes(self.terminal.output[-500:])

    def draws(self) -> None:
        """Wait until it draws something that it has not drawn yet."""
        self.terminal.output.clear()
        wait_for(lambda: self.terminal.output, "a frame of a viewer")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(10)
        self.terminal.close()


@pytest.fixture
def view() -> Iterator[Callable[[Program], Viewer]]:
    """Starts viewers and waits for their first frame; none outlives the test."""
    viewers: list[Viewer] = []

    def start(program: Program) -> Viewer:
        viewers.append(Viewer(program))
        # Before the next one starts, because a terminal keeps only the end of its output.
        viewers[-1].shows("price workers")
        return viewers[-1]

    yield start
    for viewer in viewers:
        viewer.close()


def cycle_of(program: Program) -> int:
    with Session(program.market_folder) as session:
        return session.call(Poll(Position()), Update).snapshot.cycle.number


def runs_on(program: Program, cycles: int = 5) -> None:
    """Wait until a number of further cycles have started."""
    goal = cycle_of(program) + cycles
    wait_for(lambda: cycle_of(program) >= goal, f"cycle {goal}")


@pytest.mark.thorough
def test_viewers_are_stopped_and_killed(
    launch: Launcher, check: Checker, database_url: str, view: Callable[[Program], Viewer]
) -> None:
    # given a pipeline under load with three viewers
    program = running(launch, database_url)
    stopped, killed, leaving = view(program), view(program), view(program)
    # when one is suspended, one is killed and one quits
    stopped.process.send_signal(signal.SIGSTOP)
    killed.process.kill()
    leaving.terminal.send(b"q")
    assert leaving.process.wait(30) == 0
    # then the pipeline continues, and so does the suspended viewer after SIGCONT
    runs_on(program)
    stopped.process.send_signal(signal.SIGCONT)
    stopped.draws()
    assert psutil.pid_exists(program.process.pid)
    # and everything served is stored
    ends_clean(program, check, database_url)


def raw_connection(data: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(data / "run" / "control.sock"))
    return connection


@pytest.mark.thorough
def test_fifty_viewers_and_garbage_cost_no_row(
    engine: EngineStarter, check: Checker, database_url: str, folder: Path, rng: random.Random
) -> None:
    # given a pipeline whose equation is checked continuously, and fifty viewers
    run = engine(database_url, interval=0.2)
    run.waits_for(lambda snapshot: snapshot.ledger.stored, "the first rows")
    data = folder / "data" / "live"
    with ControlSocket(data, Settings(no_ui=True, data_dir=folder / "data")) as control:
        control.serve(run.pipeline)
        viewers = [Session(data, timeout=30) for _ in range(VIEWERS)]
        # and connections that send half a greeting, garbage, or requests whose answers they never read
        greeting = frame(Hello(PROTOCOL, "another", steering=True))
        poll = frame(Poll(Position()))
        odd = [raw_connection(data) for _ in range(30)]
        for connection, data_sent in zip(
            odd,
            (greeting[:3], rng.randbytes(500), poll, b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n") * 6,
            strict=True,
        ):
            connection.sendall(data_sent)
        # when all of them poll while the pipeline works
        first = run.snapshot().cycle.number
        positions = dict.fromkeys(viewers, Position())
        while run.snapshot().cycle.number < first + 5:
            for viewer in viewers:
                positions[viewer] = viewer.call(Poll(positions[viewer]), Update).position
        # then every viewer is up to date, and leaving changes nothing
        assert min(position.prices for position in positions.values()) > 0
        for session in viewers[::2]:
            session.close()
        for connection in odd:
            connection.close()
        assert viewers[1].call(Poll(Position()), Update).snapshot.ledger.is_balanced
        ledger = run.ends()
    for session in viewers:
        session.close()
    assert ledger.fetched == ledger.stored + ledger.duplicate
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)
    assert verdict.in_table == verdict.handed_out
