"""The checker finds violations: in tables, and of a deliberately broken program."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from sp500tui.simulator.stats import ServedBar, ServedChart, ServedQuote
from tests.faults.checker import (
    SETTLED,
    BarPlace,
    Checker,
    Handed,
    Key,
    Place,
    judge,
    judge_bars,
    rows_in_table,
    withheld_bars,
)
from tests.faults.rig.program import Launcher, pause, wait_for
from tests.faults.rig.steps import BROKEN, FIFTY, running

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
def test_every_kind_of_error_is_distinguished(
    table: Place, journal: Place, dead: Place, wrong: set[str]
) -> None:
    verdict = judge([A, B], table, journal, dead)
    assert verdict.wrong == wrong
    assert verdict.clean is (not wrong)
    assert all(name in str(verdict) for name in wrong)


def test_optional_rows_may_be_present() -> None:
    assert judge([A], [ROW_A, ROW_B], [], [], known=[B]).clean
    assert judge([A], [ROW_A], [], [], known=[B]).clean
    assert not judge([], [], [], []).clean, "nothing handed out proves nothing"


BAR = ServedBar(1_200, 1_260, "10.5", "11", "10", "10.75", 100)
SERVED = ServedChart("A", "1m", 2_000, (BAR,), (1_260,))
BAR_KEY = ("A", "1m", 1_200)
VALUES = (Decimal("10.50"), Decimal(11), Decimal(10), Decimal("10.75"), 100)
ALTERED = (*VALUES[:3], Decimal("10.76"), 100)


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ([(BAR_KEY, VALUES)], set()),
        ([], {"lost"}),
        ([(BAR_KEY, VALUES), (BAR_KEY, VALUES)], {"doubled"}),
        ([(BAR_KEY, ALTERED)], {"altered"}),
        ([(BAR_KEY, (*VALUES[:4], 101))], {"altered"}),
        ([(BAR_KEY, VALUES), (("A", "1m", 1_260), VALUES)], {"invented"}),
        ([(("A", "5m", 1_200), VALUES)], {"lost", "invented"}),
    ],
)
def test_every_kind_of_wrong_bar_is_distinguished(table: BarPlace, wrong: set[str]) -> None:
    assert judge_bars([SERVED], table).wrong == wrong


def test_a_bar_that_ended_just_before_need_not_be_stored() -> None:
    early = replace(SERVED, served_at=BAR.end + SETTLED - 1)
    assert judge_bars([early], []).wrong == set()
    assert judge_bars([early], [(BAR_KEY, VALUES)]).wrong == set()
    assert judge_bars([early, SERVED], []).wrong == {"lost"}


def test_a_split_leaves_both_values_right() -> None:
    halved = replace(SERVED, bars=(ServedBar(1_200, 1_260, "5.25", "5.5", "5", "5.375", 200),))
    assert judge_bars([SERVED, halved], [(BAR_KEY, VALUES)]).clean


def test_a_withheld_bar_is_a_hole_until_it_is_served() -> None:
    assert withheld_bars([SERVED]) == {("A", "1m", 1_260)}
    healed = replace(SERVED, bars=(ServedBar(1_260, 1_320, "1", "1", "1", "1", 1),), withheld=())
    assert withheld_bars([SERVED, healed]) == set()


@pytest.mark.thorough
def test_a_broken_acknowledgement_is_caught(launch: Launcher, check: Checker, database_url: str) -> None:
    """Given several newer prices of each symbol, when most commits are faked, some quotes are lost."""
    program = launch(database=database_url, symbols=FIFTY, command=(BROKEN, "ack"), interval=1)
    wait_for(lambda: fewest(trades_in(check.handed)) >= 4, "four prices of every symbol")
    assert program.stops() == 143
    verdict = check.verdict(database_url)
    assert verdict.lost, str(verdict)


def trades_in(handed: Handed) -> set[Key]:
    """The distinct trades served so far."""
    return {(quote.symbol, quote.quote_time) for quote in handed.quotes()}


def fewest(trades: set[Key]) -> int:
    """The minimum number of trades per symbol; 0 until all symbols have one."""
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
    """Given rows held by a suspended writer, when the whole program is killed, only the journal has them."""
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
