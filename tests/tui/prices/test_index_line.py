"""The line of the index above the price table."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sp500tui.tui.prices.index_line import index_line
from sp500tui.tui.prices.model import ChangeStats, weight_of
from sp500tui.tui.render.lines import Role, width_of
from tests.support.tui.price_bench import bench
from tests.support.tui.price_rows import live


def stats(percent: str, members: int = 1, *, capitalised: bool = True) -> ChangeStats:
    """A group of equal members, each with the given change in percent."""
    made = ChangeStats()
    for number in range(members):
        price = Decimal(100) + Decimal(percent)
        cap = int(price * 1000) if capitalised else None
        made.members += 1
        made.add(weight_of(live(f"S{number}", f"{price}", percent, market_cap=cap).row.quote))
    return made


SECTORS = {
    "Energy": stats("-0.61"),
    "Information Technology": stats("0.44"),
    "Financials": stats("0.004"),
    "Health Care": ChangeStats(),
    "": stats("1"),
    "Space": stats("-2.00"),
}


def test_it_names_the_index_an_estimate_and_the_sectors_in_a_fixed_order() -> None:
    line = index_line(stats("0.21", 503), SECTORS, 120, demo=True)

    text = "".join(span.text for span in line).rstrip()
    assert text == (
        "S&P 500 demo est. +0.21 %  ▲ 503 ▼ 0 = 0  IT +0.44 %  Financials 0.00 %  Energy −0.61 %  Space −2.00 %"
    )
    assert {span.text: span.role for span in line}["0.00 %"] is Role.LABEL


@pytest.mark.parametrize("width", [*range(0, 130, 7), 250])
def test_it_fills_its_width_with_whole_sectors(width: int) -> None:
    line = index_line(stats("0.21", 503), SECTORS, width, demo=True)

    text = "".join(span.text for span in line).rstrip()
    assert width_of(line) == width
    assert width < 45 or text.endswith(("%", "= 0"))


@pytest.mark.parametrize(
    ("total", "begins"),
    [
        (stats("1.00", 3), "3 symbols est. +1.00 %  ▲ 3 ▼ 0 = 0"),
        (stats("-1.00"), "1 symbol est. −1.00 %  ▲ 0 ▼ 1 = 0"),
        (stats("1.00", 503, capitalised=False), "S&P 500 by price +1.00 %  ▲ 503"),
        (ChangeStats(), ""),
    ],
)
def test_other_lists_are_not_called_the_index(total: ChangeStats, begins: str) -> None:
    line = index_line(total, {}, 80, demo=False)

    assert "".join(span.text for span in line).strip().startswith(begins)


def test_before_the_first_price_there_is_no_change() -> None:
    total = ChangeStats()
    total.members = 503

    assert "".join(span.text for span in index_line(total, {}, 60, demo=False)).startswith("S&P 500")
    assert "–" in "".join(span.text for span in index_line(total, {}, 60, demo=False))


async def test_the_panel_follows_the_prices_once_a_second() -> None:
    async with bench() as b:
        shown = b.app.panel.index_line.lines_shown
        assert shown()[0].startswith("40 symbols by price +19.50 %  ▲ 39 ▼ 0 = 1")

        b.price("S00", 90, -10)
        await b.pilot.pause()
        at_once = shown()[0]
        b.clock.pass_by(2)
        b.price("S01", 90, -10)
        await b.pilot.pause()

        assert "▼ 0" in at_once
        assert "▼ 2" in shown()[0]
