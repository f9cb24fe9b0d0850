"""Reads the table of constituents out of Wikipedia's page, whatever its columns are called this year."""

from __future__ import annotations

import re
import warnings
from datetime import date

from bs4 import BeautifulSoup, SoupStrainer, Tag

from sp500tui.domain import Constituent, SourceError
from sp500tui.sources.wording import one_line

FEWEST, MOST = 400, 600
"""Lines outside of which a list cannot be the S&P 500; it has had 500 to 505."""

_COLUMNS = {
    "symbol": ("symbol", "ticker"),
    "name": ("security", "company", "name"),
    "sector": ("gics sector", "sector"),
    "sub_industry": ("gics sub-industry", "gics sub industry", "sub-industry"),
    "headquarters": ("headquarters location", "headquarters"),
    "date_added": ("date added", "date first added"),
    "cik": ("cik",),
    "founded": ("founded",),
}
"""What we call a column → the headers it has had."""
_NEEDED = ("symbol", "name", "sector", "sub_industry")
_SYMBOL = re.compile(r"[A-Z0-9]{1,8}(\.[A-Z0-9]{1,3})?")
_FOOTNOTE = re.compile(r"\[[^\[\]]{1,12}\]")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST = 120


def parse_constituents(html: str | bytes) -> tuple[Constituent, ...]:
    """The constituents on the page "List of S&P 500 companies", in its order, each symbol once.

    Raises:
        SourceError: no table with the id `constituents`, a column missing, or not 400 to 600 lines.
    """
    table = _table(html)
    rows = table.find_all("tr")
    columns = _columns(rows[0]) if rows else {}
    lacking = [name for name in _NEEDED if name not in columns]
    if lacking:
        raise SourceError(f"Wikipedia's table of constituents has no column {lacking[0].replace('_', ' ')!r}")
    found: dict[str, Constituent] = {}
    for row in rows[1:]:
        constituent = _constituent(row, columns)
        if constituent is not None:
            found.setdefault(constituent.symbol, constituent)
    return checked(tuple(found.values()), "Wikipedia's table of constituents")


def checked(constituents: tuple[Constituent, ...], what: str) -> tuple[Constituent, ...]:
    """The same list, when its length is that of an S&P 500; SourceError otherwise."""
    if not FEWEST <= len(constituents) <= MOST:
        raise SourceError(f"{what} has {len(constituents)} usable lines, where about 503 are expected")
    return constituents


def plausible_symbol(text: str) -> bool:
    """Whether the text can be a ticker as listed: `BRK.B`."""
    return _SYMBOL.fullmatch(text) is not None


def parse_day(text: str) -> date | None:
    """The ISO day at the start of the text; None where there is none."""
    match = _DAY.match(text)
    try:
        return date.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


def _table(html: str | bytes) -> Tag:
    # A page that is something else altogether is told by our own error, not by a warning on the terminal.
    warnings.filterwarnings("ignore", category=UserWarning, module=re.escape(__name__))
    try:
        only = SoupStrainer("table", id="constituents")
        table = BeautifulSoup(html, "lxml", parse_only=only).find("table", id="constituents")
    except (ValueError, AssertionError, RecursionError) as error:
        raise SourceError(f"Wikipedia's page cannot be read: {one_line(error)}") from error
    if not isinstance(table, Tag):
        raise SourceError("Wikipedia's page has no table of constituents")
    return table


def _columns(header: Tag) -> dict[str, int]:
    """Position of every column that is there; the first one where two bear the same header."""
    texts = [_text(cell).casefold() for cell in _cells(header)]
    return {
        name: texts.index(header)
        for name, headers in _COLUMNS.items()
        for header in reversed(headers)
        if header in texts
    }


def _cells(row: Tag) -> list[Tag]:
    return row.find_all(["td", "th"], recursive=False)


def _text(cell: Tag) -> str:
    """What the cell says, on one line, without its footnotes."""
    return one_line(_FOOTNOTE.sub("", cell.get_text(" ")), _LONGEST)


def _constituent(row: Tag, columns: dict[str, int]) -> Constituent | None:
    cells = _cells(row)

    def text(name: str) -> str:
        position = columns.get(name, len(cells))
        return _text(cells[position]) if position < len(cells) else ""

    symbol = text("symbol").replace(" ", "").upper()
    if not plausible_symbol(symbol) or not text("name"):
        return None
    cik = text("cik")
    return Constituent(
        symbol=symbol,
        name=text("name"),
        sector=text("sector"),
        sub_industry=text("sub_industry"),
        headquarters=text("headquarters"),
        date_added=parse_day(text("date_added")),
        cik=cik.zfill(10) if cik.isascii() and cik.isdigit() else "",
        founded=text("founded"),
    )
