"""Repeated kills: each campaign kills one kind of process many times, and ends with the checker's verdict."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from functools import partial

from sp500tui.storage.embedded.server import EmbeddedServer
from tests.faults.checker import Checker, Handed, Key, Verdict
from tests.faults.rig.program import Launcher, Program, pause, wait_for
from tests.faults.rig.steps import FIFTY, continues, have_ended, running
from tests.support.postgres.server import kill_server

WINDOW = 1.5
"""Seconds before a `kill -9` of the whole program in which quotes may be only in its memory."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One line of the table."""

    fault: str
    injected: int
    verdict: Verdict
    excused: frozenset[Key]
    """Quotes that may be missing: served just before the whole program was killed."""
    seconds: float

    @property
    def lost(self) -> set[Key]:
        """Quotes lost in violation of the guarantee."""
        return set(self.verdict.lost) - self.excused

    @property
    def clean(self) -> bool:
        """Whether the guarantee held."""
        return not self.lost and self.verdict.handed_out > 0 and self.verdict.wrong <= {"lost"}

    def __str__(self) -> str:
        v, memory = self.verdict, len(self.verdict.lost) - len(self.lost)
        return (
            f"{self.fault:<28} {self.injected:>8} {v.handed_out:>10} {v.in_table:>9} {len(self.lost):>5} "
            f"{len(v.doubled):>8} {len(v.altered):>8} {memory:>10} {self.seconds:>8.0f}"
        )

    @staticmethod
    def heading() -> str:
        """The names of the columns."""
        return (
            f"{'fault':<28} {'injected':>8} {'handed out':>10} {'in table':>9} {'lost':>5} {'doubled':>8} "
            f"{'altered':>8} {'in memory':>10} {'seconds':>8}"
        )


def kill_writers(launch: Launcher, handed: Handed, database: str, rng: random.Random, times: int) -> Campaign:
    """`kill -9` of one writer after another, under load, at random times."""
    started, left = time.monotonic(), times
    # Cycles no faster than trades, so that a lost quote would not be fetched a second time.
    program = running(launch, database, interval=1, writers=4)
    while left:
        # Of any age: starting, connecting, idle, or holding a batch.
        lived = rng.uniform(0, 3)
        grown = [writer for writer in program.writers() if time.time() - writer.create_time() > lived]
        if grown:
            rng.choice(grown).send_signal(signal.SIGKILL)
            left -= 1
        pause(rng.uniform(0, 0.3))
    continues(program, database)
    assert program.stops() == 143
    verdict = Checker(handed, program.market_folder).verdict(database)
    return Campaign("kill -9 of a writer", times, verdict, frozenset(), time.monotonic() - started)


def kill_programs(
    launch: Launcher, handed: Handed, database: str, rng: random.Random, times: int
) -> Campaign:
    """Repeated `kill -9` of the whole program; then one run that stores the remaining rows."""
    started = time.monotonic()
    excused: set[Key] = set()
    for _ in range(times):
        program = running(launch, database, interval=0.5)
        pause(rng.uniform(0, 1))
        safe = handed.now()
        pause(WINDOW)
        family = program.family()
        killed_at = handed.now()
        program.kill()
        have_ended(family)
        last = Handed(handed.path, safe).quotes(max(killed_at, handed.now()))
        excused |= {(quote.symbol, quote.quote_time) for quote in last}
    program = running(launch, database)
    assert program.stops() == 143
    verdict = Checker(handed, program.market_folder).verdict(database)
    return Campaign("kill -9 of the program", times, verdict, frozenset(excused), time.monotonic() - started)


def _has_finished(program: Program, cycles: int) -> bool:
    return program.said().count("finished in") >= cycles


def kill_servers(launch: Launcher, handed: Handed, rng: random.Random, times: int) -> Campaign:
    """`kill -9` of the embedded PostgreSQL's postmaster, which the program restarts."""
    started = time.monotonic()
    program = launch(database=None, symbols=FIFTY, interval=1)
    program.hears("cycle 1 finished")
    pgdata = program.market_folder / "pgdata"
    for _ in range(times):
        pause(rng.uniform(0, 1))
        kill_server(pgdata)
        cycles = program.said().count("finished in") + 2
        wait_for(partial(_has_finished, program, cycles), "cycles after the kill")
    assert program.stops() == 143
    server = EmbeddedServer.start(program.market_folder)
    try:
        verdict = Checker(handed, program.market_folder).verdict(server.url)
    finally:
        server.stop()
    return Campaign("kill -9 of PostgreSQL", times, verdict, frozenset(), time.monotonic() - started)
