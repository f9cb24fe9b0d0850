"""Steps of most fault tests before and after the fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from tests.faults.checker import Checker, rows_in_table
from tests.faults.rig.program import Launcher, Program, wait_for

FIFTY = (
    "AAPL,MSFT,NVDA,AMZN,GOOGL,META,BRK.B,LLY,AVGO,TSLA,JPM,WMT,V,UNH,XOM,MA,PG,JNJ,COST,HD,ORCL,MRK,ABBV,CVX,"
    "BAC,KO,CRM,NFLX,AMD,PEP,TMO,LIN,ADBE,WFC,MCD,CSCO,DIS,ABT,ACN,GE,TXN,QCOM,INTU,DHR,VZ,AMGN,IBM,CAT,PFE,PM"
)
"""Symbols that trade every few seconds."""
BROKEN = str(Path(__file__).with_name("broken_program.py"))
"""The program with a deliberate fault of the named kind."""


def running(launch: Launcher, database: str, **settings: Any) -> Program:
    program = launch(database=database, symbols=FIFTY, **settings)
    program.hears("cycle 1 finished")
    return program


def stored(database: str) -> int:
    return len(rows_in_table(database))


def continues(program: Program, database: str, timeout: float = 40.0) -> None:
    """Wait until more rows are stored."""
    before = stored(database)
    wait_for(lambda: stored(database) > before, "more rows in the table", timeout)


def ends_clean(program: Program, check: Checker, database: str) -> None:
    """Stop the program; no row may be lost, duplicated, altered or left in the journal."""
    assert program.stops() == 143
    verdict = check.verdict(database)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal == 0
    quotes = program.report()["quotes"]
    assert quotes["fetched"] == quotes["stored"] + quotes["duplicate"] + quotes["dead"]
    assert (quotes["queued"], quotes["in_flight"], quotes["spooled"]) == (0, 0, 0)


def have_ended(processes: list[psutil.Process], timeout: float = 3.0) -> None:
    """Wait until all processes have ended: 3 s, as promised."""
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert not alive, [process.cmdline() for process in alive]
