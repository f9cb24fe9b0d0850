"""The checker must be seen to fail: as a table, and with a program that is broken on purpose."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from sp500tui.simulator.stats import ServedQuote
from tests.faults.checker import Checker, Handed, Key, Place, judge, rows_in_table
from tests.faults.program import Launcher, pause, wait_for
from tests.faults.steps import BROKEN, FIFTY, running

A, B = ServedQuote("A", 100, "10.50"), ServedQuote("B", 100, "20")
ROW_A, ROW_B = (("A", 100), Decimal("10.5")), (("B", 100), Decimal("20"))


@pytest.mark.parametrize(
    ("table", "journal", "dead", "wrong"),
    [
        ([ROW_A, ROW_B], [], [], set()),
        ([ROW_A], [ROW_B], [], set()),
        ([ROW_A], [], [ROW_B], set()),
        ([ROW_A, ROW_B], [ROW_B], [], set()),
        ([ROW_A], [], [], {"lost"}),
        ([ROW_A, ROW_A, ROW_B], [], [], {"doubled"}),
        ([ROW_A, (("B", 100), Decimal("20.01"))], [], [], {"altered"}),
        ([ROW_A, (("B", 101), Decimal("20"))], [], [], {"lost", "invented"}),
        ([ROW_A], [(("B", 100), Decimal("2"))], [], {"altered"}),
    ],
)
def test_every_kind_of_wrong_is_told_apart(
    table: Place, journal: Place, dead: Place, wrong: set[str]
) -> None:
    verdict = judge([A, B], table, journal, dead)
    assert verdict.wrong == wrong
    assert verdict.clean is (not wrong)
    assert all(name in str(verdict) for name in wrong)


def test_what_need_not_be_there_may_be_there() -> None:
    assert judge([A], [ROW_A, ROW_B], [], [], known=[B]).clean
    assert judge([A], [ROW_A], [], [], known=[B]).clean
    assert not judge([], [], [], []).clean, "nothing handed out proves nothing"


@pytest.mark.thorough
def test_a_broken_acknowledgement_is_caught(launch: Launcher, check: Checker, database_url: str) -> None:
    """Given a price of each symbol that was overtaken several times, when most commits are made up, some are lost."""
    program = launch(database=database_url, symbols=FIFTY, command=(BROKEN, "ack"), interval=1)
    wait_for(lambda: fewest(trades_in(check.handed)) >= 4, "four prices of every symbol")
    assert program.stops() == 143
    verdict = check.verdict(database_url)
    assert verdict.lost, str(verdict)


def trades_in(handed: Handed) -> set[Key]:
    """The different trades handed out so far."""
    return {(quote.symbol, quote.quote_time) for quote in handed.quotes()}


def fewest(trades: set[Key]) -> int:
    """How many trades there are of the symbol with the fewest; 0 until all symbols have one."""
    counts = Counter(symbol for symbol, _ in trades)
    return min(counts.values()) if len(counts) == len(FIFTY.split(",")) else 0


@pytest.mark.thorough
def test_altered_prices_are_caught(launch: Launcher, check: Checker, database_url: str) -> None:
    program = launch(database=database_url, symbols=FIFTY, command=(BROKEN, "prices"))
    program.hears("cycle 1 finished")
    assert program.stops() == 143
    assert check.verdict(database_url).altered


@pytest.mark.thorough
def test_a_broken_journal_is_caught(launch: Launcher, check: Checker, database_url: str) -> None:
    """Given rows in the hand of a stopped writer, when the whole program is killed, only the journal has them."""
    program = launch(database=database_url, symbols=FIFTY, command=(BROKEN, "journal"), interval=3, writers=1)
    program.hears("cycle 1 finished")
    (writer,) = program.writers()
    writer.suspend()
    wait_for(
        lambda: fewest(trades_in(check.handed) - {key for key, _ in rows_in_table(database_url)}) >= 1,
        "a price of every symbol that is not stored",
    )
    pause(1.0)
    handed_out = check.handed.now()
    program.kill()

    again = running(launch, database_url, interval=60)
    assert again.stops() == 143

    verdict = check.verdict(database_url, handed_out)
    assert verdict.lost, str(verdict)
