"""The line above the price table: the estimated change of the index and its sectors, advancers and decliners."""

from __future__ import annotations

from collections.abc import Mapping

from sp500tui.tui.prices.model import ChangeStats
from sp500tui.tui.render.formats import arrow, clean, count, format_change, plural
from sp500tui.tui.render.lines import Line, Role, Span, change_role, cut, joined, width_of

SECTOR_NAMES: Mapping[str, str] = {
    "Information Technology": "IT",
    "Financials": "Financials",
    "Communication Services": "Communication",
    "Consumer Discretionary": "Discretionary",
    "Health Care": "Health Care",
    "Industrials": "Industrials",
    "Consumer Staples": "Staples",
    "Energy": "Energy",
    "Utilities": "Utilities",
    "Real Estate": "Real Estate",
    "Materials": "Materials",
}
"""Short names of the GICS sectors, in the order in which they are shown."""
INDEX_SIZES = range(490, 516)
"""Numbers of constituents that the S&P 500 can have; a list of another size is a selection."""
_GAP = "  "


def index_line(total: ChangeStats, sectors: Mapping[str, ChangeStats], width: int, *, demo: bool) -> Line:
    """The change of all rows, the numbers of advancers, decliners and unchanged rows, and the sectors that fit.

    Args:
        total: Statistics of all rows.
        sectors: Statistics by sector.
        width: Terminal cells.
        demo: Whether the prices are simulated.
    """
    if not total.members:
        return cut((), width)
    whole = total.members in INDEX_SIZES
    name = "S&P 500" if whole else plural(total.members, "symbol")
    weight = "est." if total.by_capitalisation else "by price"
    title: Line = (Span(f"{name} demo" if demo else name, Role.TITLE), Span(f" {weight} ", Role.LABEL))
    line = joined(((*title, *_change(total)), _breadth(total)), _GAP)
    for sector in sorted(sectors, key=sector_place):
        stats = sectors[sector]
        if sector and stats.percent is not None:
            part = (Span(f"{clean(SECTOR_NAMES.get(sector, sector))} ", Role.LABEL), *_change(stats))
            longer = joined((line, part), _GAP)
            if width_of(longer) > width:
                break
            line = longer
    return cut(line, width)


def sector_place(sector: str) -> tuple[int, str]:
    """Known sectors in their order, others by name after them."""
    names = list(SECTOR_NAMES)
    return (names.index(sector) if sector in SECTOR_NAMES else len(names)), sector


def _change(stats: ChangeStats) -> Line:
    text = format_change(stats.percent, " %")
    return (Span(text, change_role(text)),)


def _breadth(stats: ChangeStats) -> Line:
    return (
        Span(arrow("+"), Role.GOOD),
        Span(f" {count(stats.advancers)} "),
        Span(arrow("−"), Role.BAD),
        Span(f" {count(stats.decliners)} "),
        Span("=", Role.LABEL),
        Span(f" {count(stats.unchanged)}"),
    )
