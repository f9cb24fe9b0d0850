"""The whole program as a child process, with real signals and its remains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from sp500tui.simulator.process import DemoMarket

WRITER_MODULE = "sp500tui.pipeline.writer.process"


def wait_for(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    """Wait until a condition holds; AssertionError with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"timed out after {timeout:g} s waiting for {what}"
        pause(0.01)


def pause(seconds: float) -> None:
    """Sleep between two checks of a condition, or between two faults."""
    threading.Event().wait(seconds)


@dataclass
class Program:
    """One run of `sp500tui --no-ui --json`."""

    process: subprocess.Popen[bytes]
    home: Path
    data_dir: Path
    stdout: Path
    stderr: Path
    writers_seen: list[psutil.Process] = field(default_factory=list)

    @property
    def market_folder(self) -> Path:
        return self.data_dir / "live"

    @property
    def journal(self) -> Path:
        return self.market_folder / "journal"

    @property
    def dead_letters(self) -> Path:
        return self.market_folder / "dead-letters.jsonl"

    def said(self) -> str:
        """Its output on stderr so far."""
        return self.stderr.read_text(errors="replace")

    def hears(self, words: str, timeout: float = 60.0) -> None:
        """Wait until its stderr contains a text."""
        with suppress(AssertionError):
            wait_for(lambda: words in self.said() or self.process.poll() is not None, words, timeout)
        code = self.process.poll()
        state = f"it ended with {code}" if code is not None else f"not said within {timeout:g} s"
        assert words in self.said(), f"{words}: {state}: {self.said()[-2000:]}"

    def writers(self) -> list[psutil.Process]:
        """Its running writer processes."""
        try:
            children = psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []
        found = [child for child in children if _is_writer(child)]
        self.writers_seen += [child for child in found if child not in self.writers_seen]
        return found

    def family(self) -> list[psutil.Process]:
        """The process and all of its descendants."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """`kill -9` of this process only."""
        self.process.kill()
        self.process.wait(10)

    def ends(self, timeout: float = 60.0) -> int:
        """Wait until it ends; returns the exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end in {timeout:g} s: {self.said()[-3000:]}") from None

    def stops(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Request its stop, and wait; returns the exit code."""
        self.send(number)
        return self.ends()

    def report(self) -> dict[str, Any]:
        """The JSON object that it printed."""
        found: dict[str, Any] = json.loads(self.stdout.read_text())
        return found

    def clean_up(self) -> None:
        """End all remaining processes."""
        with suppress(psutil.NoSuchProcess):
            for process in self.family():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait(10)


def _is_writer(process: psutil.Process) -> bool:
    try:
        return WRITER_MODULE in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass
class Launcher:
    """Starts the program with the same data folder and market."""

    market: DemoMarket
    folder: Path
    programs: list[Program] = field(default_factory=list)

    def __call__(
        self,
        *options: str,
        database: str | None,
        symbols: str | None = None,
        interval: float = 0.2,
        command: Sequence[str] = ("-m", "sp500tui"),
        stdout: int | None = None,
        terminal: int | None = None,
        **settings: object,
    ) -> Program:
        """Start the program; `settings` become environment variables, `command` are Python's arguments.

        With the descriptor of a `terminal` it runs a dashboard there, otherwise headless.
        """
        number = len(self.programs)
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        files = self.folder / f"stdout-{number}", self.folder / f"stderr-{number}"
        arguments = [
            *(sys.executable, *command, f"--interval={interval}"),
            *(() if terminal else ("--no-ui", "--json")),
            *(f"--proxy={self.market.proxy_url}", f"--ca-file={self.market.ca_file}"),
            *(f"--data-dir={self.folder / 'data'}", f"--log-file={self.folder / 'app.log'}"),
            *([f"--symbols={symbols}"] if symbols else []),
            *([f"--database={database}"] if database else []),
            *options,
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SP500TUI")}
        environment |= {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home),
        }
        environment |= {"XDG_STATE_HOME": str(home / "state"), "SP500TUI_REQUESTS_PER_SECOND": "100"}
        environment["TERM"] = "xterm-256color"
        environment |= {f"SP500TUI_{name.upper()}": str(value) for name, value in settings.items()}
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(
                arguments,
                stdin=terminal or subprocess.DEVNULL,
                stdout=terminal or (out if stdout is None else stdout),
                stderr=terminal or err,
                env=environment,
                # A dashboard exports prices to the current folder.
                cwd=self.folder,
                start_new_session=True,
            )
        program = Program(process, home, self.folder / "data", *files)
        self.programs.append(program)
        return program

    def close(self) -> None:
        """End all programs that still run."""
        for program in self.programs:
            program.clean_up()
