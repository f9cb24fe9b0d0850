"""The market map: one sign for each symbol, by sector and size."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.prices.market_map import change_sign, map_lines, sector_rows
from sp500tui.tui.prices.model import PriceModel
from sp500tui.tui.render.lines import Role, width_of
from tests.support.tui.price_rows import NOW, constituent, live
from tests.tui.conftest import Drive


def model(*prices: LivePrice) -> PriceModel:
    """Two energy companies, three of IT of which one has no price, and one without a sector."""
    made = PriceModel()
    sectors = {"E1": "Energy", "E2": "Energy", "I1": "Information Technology", "I2": "Information Technology"}
    sectors |= {"I3": "Information Technology", "X": ""}
    made.set_constituents([constituent(symbol, sector=sector) for symbol, sector in sectors.items()])
    made.update(prices, NOW)
    return made


PRICES = (
    live("E1", "98.00", "-2.00", market_cap=100),
    live("E2", "100.40", "0.40", market_cap=900),
    live("I1", "100.00", "0.00", market_cap=300),
    live("I2", "101.00", "1.00", market_cap=800),
    live("X", "99.80", "-0.20"),
)


def texts(made: PriceModel, width: int, height: int) -> list[str]:
    lines = map_lines(sector_rows(made.rows.values()), made.sectors, width, height)
    assert {width_of(line) for line in lines} == {width}
    return ["".join(span.text for span in line).rstrip() for line in lines]


@pytest.mark.parametrize(
    ("percent", "sign", "role"),
    [
        (None, "·", Role.DIM),
        ("0", "=", Role.LABEL),
        ("0.01", "△", Role.GOOD),
        ("1", "▲", Role.GOOD),
        ("-0.01", "▽", Role.BAD),
        ("-1", "▼", Role.BAD),
    ],
)
def test_direction_and_strength_have_a_sign_each(percent: str | None, sign: str, role: Role) -> None:
    assert change_sign(None if percent is None else Decimal(percent)) == (sign, role)


def test_each_sector_is_a_line_with_its_largest_company_first() -> None:
    it, energy, none, blank = texts(model(*PRICES), 40, 4)
    assert it.startswith("IT ")
    assert it.endswith(" ▲=·")
    assert energy.startswith("Energy ")
    assert energy.endswith(" △▼")
    assert none.startswith("no sector ")
    assert none.endswith(" ▽")
    assert blank == ""


@pytest.mark.parametrize(
    ("width", "end"),
    [(0, ""), (5, ""), (22, ""), (23, ""), (24, " …"), (25, " ▲…"), (26, " ▲=·"), (27, " ▲=·")],
)
def test_an_ellipsis_stands_for_the_companies_without_room(width: int, end: str) -> None:
    lines = texts(model(*PRICES), width, 2)
    assert len(lines) == 2
    assert lines[0].endswith(end)


def test_without_a_list_it_shows_a_message() -> None:
    first, second = map_lines([], {}, 30, 2)
    assert "".join(span.text for span in first).rstrip() == "no constituents yet"
    assert not "".join(span.text for span in second).strip()


def test_before_the_first_price_every_symbol_is_unknown() -> None:
    it, *_ = texts(model(), 40, 3)
    assert it.split() == ["IT", "–", "···"]


@pytest.mark.parametrize(("size", "shown"), [((200, 60), True), ((160, 60), False), ((200, 40), False)])
async def test_it_is_shown_next_to_the_log_of_a_large_window(
    drive: Drive, size: tuple[int, int], shown: bool
) -> None:
    async with drive(size=size) as driven:
        screen = driven.app.screen
        assert isinstance(screen, MainScreen)
        await driven.until(lambda: screen.market_map.display is shown)
        if shown:
            await driven.until(lambda: "▲" in "".join(screen.market_map.lines_shown()), "the prices")
            assert screen.log_view.size.width > 80


async def test_a_click_on_a_sign_opens_its_symbol(drive: Drive) -> None:
    async with drive(size=(200, 60)) as driven:
        screen = driven.app.screen
        assert isinstance(screen, MainScreen)
        await driven.until(lambda: screen.market_map.symbol_at(23, 0), "a symbol")
        symbol = screen.market_map.symbol_at(23, 0)
        await driven.pilot.click("#map", offset=(2 + 23, 1))
        await driven.until(lambda: driven.app.screen is not screen, "the symbol's screen")
        assert symbol in driven.text()
