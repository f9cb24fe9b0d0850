"""Repeated runs of the real program under random faults and endings, with the checker's verdict at the end.

`python -m tests.faults soak --minutes 20 --seed N`. Every run is headless or a dashboard in a terminal, on the same
data folder and database. While it works, the market, the writers, the database and the terminal fail at random; then it
is ended by one to three signals, or killed. A seed repeats the choices, not the timing.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from sp500tui.pipeline.writer.spooler import SPOOL_AGE
from sp500tui.simulator.process import DemoMarket
from tests.faults.checker import Checker, Handed, Key, Verdict
from tests.faults.rig.program import Launcher, Program, pause, wait_for
from tests.faults.rig.steps import FIFTY, have_ended
from tests.faults.rig.terminal import PseudoTerminal
from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres, end_server, public_folder
from tests.support.tui.terminal_garbage import garbage

MARKET_FAULTS: tuple[dict[str, object], ...] = (
    {"throttle": 0.5, "retry_after": 1.0},
    {"throttle": 1.0},
    {"server_error": 0.5},
    {"html": 0.3, "garbage": 0.3, "empty": 0.3},
    {"drop": 0.3, "truncated_body": 0.3},
    {"missing_symbol": 0.3},
    {"invalid_crumb": 0.5, "corrupt_crumb": 0.3},
    {"latency": 0.2, "jitter": 0.5},
    {"wikipedia": "down"},
    {"wikipedia": "garbled", "fx": "missing"},
    {"fx": "zero"},
)
"""Faults after which every quote that the market records must be kept."""
COMMIT_TIMEOUT, DRAIN_TIMEOUT = 5.0, 8.0
MEMORY_WINDOW = 1.5
"""Seconds before a kill in which quotes may be only in memory, while the writers reach the journal."""
BLOCKED_WINDOW = SPOOL_AGE + MEMORY_WINDOW
"""The same, while every writer may be waiting for a process or a database that does not answer."""
RATE_TIMEOUT = 10.0
"""Seconds after the start for which rows wait in memory for the first rate of their currency."""
END_TIMEOUT = DRAIN_TIMEOUT + 30
"""Seconds after a signal within which a run ends, whatever has failed."""
START_TIMEOUT = 60.0
STARTED_AFTER = 3.0
"""Seconds after which a writer certainly runs its own code, even on a busy machine."""
CHILDREN_TIMEOUT = 15.0
"""Seconds in which the children end too; a starting writer notices only once it runs."""
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
QUIT_KEYS = (b"q", b"Q", b"\x03", b"\x11")
"""Excluded from the garbage, because they end a dashboard as intended."""


class SoakError(AssertionError):
    """A guarantee that one run has violated."""


@dataclass(slots=True)
class Report:
    """The actions and results of a soak."""

    seed: int
    runs: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    excused: frozenset[Key] = frozenset()

    @property
    def lost(self) -> list[Key]:
        """Quotes missing in violation of the guarantee."""
        return [] if self.verdict is None else [key for key in self.verdict.lost if key not in self.excused]

    @property
    def clean(self) -> bool:
        """Whether every guarantee held, and there was something to lose."""
        verdict = self.verdict
        return (
            not self.problems
            and not self.lost
            and verdict is not None
            and verdict.handed_out > 0
            and verdict.wrong <= {"lost"}
        )

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.runs} runs in {self.seconds:.0f} s",
            "faults: " + ", ".join(f"{number} {name}" for name, number in sorted(self.faults.items())),
            "endings: " + ", ".join(f"{number} {name}" for name, number in sorted(self.endings.items())),
            f"{self.verdict}; {len(self.excused)} may be missing, {len(self.lost)} lost: {self.lost[:5]}",
            *self.problems,
            "clean" if self.clean else "NOT CLEAN",
        ]
        return "\n".join(lines)


@dataclass
class Soak:
    """One soak: its folders and servers, and what has happened so far."""

    launch: Launcher
    handed: Handed
    database: TcpPostgres
    rng: random.Random
    report: Report
    excused: set[Key] = field(default_factory=set)
    blocked_until: float = 0.0
    """Monotonic time until which a writer may wait for a process or a database that does not answer."""
    started_at: float = 0.0
    """Monotonic time at which the program of the current run had started."""
    without_rate: bool = False
    """Whether the market may have withheld the rate from the current run."""

    def run(self, seconds: float) -> Report:
        """Repeat runs for a time, then one without faults that stores the remaining rows."""
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            try:
                self._one_run()
            except AssertionError as error:
                self.report.problems.append(f"run {self.report.runs}: {error}")
                self.launch.close()
            finally:
                self._repair()
        self._last_run()
        self.report.excused = frozenset(self.excused)
        self.report.verdict = Checker(self.handed, self.launch.folder / "data" / "live").verdict(
            self.database.url
        )
        self.report.seconds = time.monotonic() - started
        return self.report

    def _one_run(self) -> None:
        self.report.runs += 1
        terminal = PseudoTerminal() if self.rng.random() < 0.4 else None
        log_start = _size(self._log)
        program = self._start(terminal)
        try:
            wait_for(
                lambda: _size(self._log) > log_start or program.process.poll() is not None,
                "the first line of the log",
                START_TIMEOUT,
            )
            self.started_at, self.without_rate = time.monotonic(), False
            for _ in range(self.rng.randint(1, 4)):
                pause(self.rng.uniform(0.2, 1.5))
                self._inject(program, terminal)
            pause(self.rng.uniform(0, 2))
            if program.process.poll() is not None:
                raise SoakError(
                    f"ended by itself with {program.process.returncode}: {program.said()[-1500:]}"
                )
            self._end(program, terminal)
        finally:
            program.clean_up()
            if terminal is not None:
                terminal.close()
        self._check_output(program, terminal, log_start)

    @property
    def _log(self) -> Path:
        return self.launch.folder / "app.log"

    def _start(self, terminal: PseudoTerminal | None) -> Program:
        return self.launch(
            database=self.database.url,
            symbols=FIFTY,
            interval=0.5,
            terminal=None if terminal is None else terminal.program_side,
            commit_timeout=COMMIT_TIMEOUT,
            drain_timeout=DRAIN_TIMEOUT,
            writers=3,
        )

    def _inject(self, program: Program, terminal: PseudoTerminal | None) -> None:
        """Inject a random fault of those that apply."""
        choices: list[tuple[str, Callable[[], None]]] = [
            ("market", self._fail_market),
            ("market", self._fail_market),
            ("calm market", self.launch.market.clear_faults),
            ("killed writer", lambda: self._signal_writer(program, signal.SIGKILL)),
            ("killed writer", lambda: self._signal_writer(program, signal.SIGKILL)),
            ("stopped writer", lambda: self._signal_writer(program, signal.SIGSTOP)),
            ("database", self._fail_database),
        ]
        if terminal is not None:
            choices += [("terminal garbage", lambda: self._garbage(terminal))] * 4
        name, inject = self.rng.choice(choices)
        inject()
        self.report.faults[name] += 1

    def _fail_market(self) -> None:
        faults = self.rng.choice(MARKET_FAULTS)
        self.without_rate = self.without_rate or "fx" in faults
        self.launch.market.set_faults(**faults)

    def _signal_writer(self, program: Program, number: signal.Signals) -> None:
        # A writer that is stopped before it runs its own code outlives a killed program.
        youngest = STARTED_AFTER if number == signal.SIGSTOP else 0.0
        writers = [each for each in program.writers() if time.time() - _created(each) >= youngest]
        if writers:
            if number == signal.SIGSTOP:
                self._block(COMMIT_TIMEOUT)
            try:
                self.rng.choice(writers).send_signal(number)
            except psutil.NoSuchProcess:
                return

    def _fail_database(self) -> None:
        """Stop or kill the server; sometimes it stays down until the run is over."""
        if not self.database.alive():
            self.database.start()
            return
        self._block(END_TIMEOUT)
        self.rng.choice((self.database.stop, self.database.kill))()
        if self.rng.random() < 0.7:
            pause(self.rng.uniform(0, 2))
            self.database.start()
            self.blocked_until = time.monotonic() + COMMIT_TIMEOUT

    def _block(self, seconds: float) -> None:
        self.blocked_until = max(self.blocked_until, time.monotonic() + seconds)

    def _garbage(self, terminal: PseudoTerminal) -> None:
        for _ in range(self.rng.randint(1, 300)):
            piece = garbage(self.rng)
            if not any(key in piece for key in QUIT_KEYS):
                terminal.send(piece)
            if self.rng.random() < 0.01:
                terminal.resize(self.rng.choice((1, 5, 24, 60)), self.rng.choice((1, 20, 80, 200)))

    def _end(self, program: Program, terminal: PseudoTerminal | None) -> None:
        """End the run, and check how it ends."""
        number = self.rng.choice(tuple(EXIT_CODES))
        signals = self.rng.choice((0, 1, 1, 2, 3))
        name = "kill -9" if signals == 0 else f"{signals} x {number.name}"
        self.report.endings[name + (" (dashboard)" if terminal else "")] += 1
        in_memory = self.handed.now()
        if signals in (0, 3):
            pause(self._memory_window())
        family = program.family()
        if signals == 0:
            program.kill()
        else:
            for _ in range(signals):
                program.send(number)
                pause(self.rng.uniform(0, 1))
            code = program.ends(END_TIMEOUT)
            if code != EXIT_CODES[number]:
                raise SoakError(f"{name} ended with {code}: {program.said()[-1500:]}")
        if signals in (0, 3):
            last = Handed(self.handed.path, in_memory).quotes(self.handed.now())
            self.excused |= {(quote.symbol, quote.quote_time) for quote in last}
        have_ended(family, CHILDREN_TIMEOUT)
        if signals in (1, 2) and terminal is None:
            self._check_report(program)

    def _memory_window(self) -> float:
        """Seconds after which a quote served now is in the journal."""
        now = time.monotonic()
        window = BLOCKED_WINDOW if now < self.blocked_until else MEMORY_WINDOW
        if self.without_rate:
            window += max(0.0, self.started_at + RATE_TIMEOUT - now)
        return window

    def _check_report(self, program: Program) -> None:
        quotes = program.report()["quotes"]
        kept = quotes["stored"] + quotes["duplicate"] + quotes["spooled"]
        if quotes["fetched"] != kept or quotes["queued"] or quotes["in_flight"] or quotes["dead"]:
            raise SoakError(f"the report does not add up: {quotes}")

    def _check_output(self, program: Program, terminal: PseudoTerminal | None, log_start: int) -> None:
        with self._log.open("rb") as file:
            file.seek(log_start)
            log = file.read().decode(errors="replace")
        screen = "" if terminal is None else terminal.output.decode(errors="replace")
        for name, text in (("stderr", program.said()), ("the log", log), ("the terminal", screen)):
            if "Traceback" in text:
                place = text.index("Traceback")
                raise SoakError(f"traceback in {name}: {text[max(0, place - 300) : place + 2500]}")

    def _repair(self) -> None:
        self.launch.market.clear_faults()
        if not self.database.alive():
            self.database.start()
        self.blocked_until = 0.0

    def _last_run(self) -> None:
        program = self._start(None)
        try:
            program.hears("cycle 2 finished")
            code = program.stops()
            if code != EXIT_CODES[signal.SIGTERM]:
                self.report.problems.append(f"the last run ended with {code}")
            self._check_report(program)
        except AssertionError as error:
            self.report.problems.append(f"the last run: {error}")


def _created(process: psutil.Process) -> float:
    """When the process was started, in seconds since 1970; infinity if it has ended."""
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return float("inf")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def soak(launch: Launcher, handed: Handed, database: TcpPostgres, seed: int, seconds: float) -> Report:
    """Run a soak of about `seconds` on a started market and server."""
    return Soak(launch, handed, database, random.Random(seed), Report(seed)).run(seconds)


def main(arguments: list[str]) -> int:
    """Run a soak with a separate market, server and folder; the exit code is 0 only if it was clean."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default: 20)")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 30)
    folder = public_folder()
    database = TcpPostgres(folder, free_port())
    database.create()
    database.start()
    ledger = folder / "ledger.jsonl"
    try:
        with DemoMarket.start(seed=7, ledger=ledger, start_at="11:00") as market:
            launch = Launcher(market, folder)
            try:
                report = soak(launch, Handed.from_now(ledger), database, seed, options.minutes * 60)
            finally:
                launch.close()
    finally:
        end_server(database.pgdata)
    sys.stdout.write(f"{report}\n")
    if report.clean:
        shutil.rmtree(folder)
    else:
        sys.stdout.write(f"kept for inspection: {folder}\n")
    return 0 if report.clean else 1
