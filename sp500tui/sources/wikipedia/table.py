"""Parses the table of constituents on Wikipedia's page; tolerates renamed and moved columns."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from bs4 import BeautifulSoup, NavigableString, SoupStrainer, Tag

from sp500tui.config.whole_numbers import whole_number
from sp500tui.errors import SourceError
from sp500tui.logs.redaction import one_line
from sp500tui.model import Constituent

FEWEST, MOST = 400, 600
"""Plausible range of the number of constituents; the index has had 500 to 505."""

_COLUMNS = {
    "symbol": ("symbol", "ticker symbol", "ticker", "stock symbol", "trading symbol", "stock ticker"),
    "name": ("security", "company", "company name", "security name", "name"),
    "sector": ("gics sector", "sector"),
    "sub_industry": ("gics sub industry", "sub industry", "gics subindustry", "subindustry"),
    "headquarters": ("headquarters location", "headquarters", "address of headquarters", "location"),
    "date_added": ("date added", "date first added", "date of addition", "added"),
    "cik": ("cik", "central index key", "cik number", "sec cik", "central index key cik"),
    "founded": ("founded", "year founded", "founding year", "established"),
}
"""Field → known and plausible headers, normalized by `header_text`; the first match wins."""
_NEEDED = ("symbol", "name", "sector", "sub_industry")
_SYMBOL = re.compile(r"[A-Z0-9]{1,8}(\.[A-Z0-9]{1,3})?")
_SHARE_CLASS = re.compile(r"[-/]([A-Z])$")
_EXCHANGE = re.compile(r"^(NYSE|NASDAQ|CBOE|BATS)[A-Z ]*:")
_NO_WORD = re.compile(r"[\W_]+")
_FOOTNOTE = re.compile(r"\[[^\[\]]{1,12}\]")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST = 120
_HEADER_ROWS = 4
"""Number of rows at the top of a table that are searched for the headers."""
_BREAKS = frozenset({"br", "p", "div", "li", "tr", "td"})
"""Elements that separate words when rendered."""
_UNPRINTED = frozenset({"style", "script", "template"})


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """The table of constituents on a page."""

    constituents: tuple[Constituent, ...]
    """In the page's order, each symbol once."""
    unreadable: tuple[str, ...]
    """The start of each row without a usable symbol or a name."""


def parse_page(html: str | bytes) -> ParsedPage:
    """Parse the page "List of S&P 500 companies": the table with the id `constituents`, or any with its columns.

    Raises:
        SourceError: There is no such table, a column is missing, or it does not have 400 to 600 rows.
    """
    try:
        page = _longest(tables_of(html, "constituents"))
        if page is None or len(page.constituents) < FEWEST:
            tables = tables_of(html, None)
            page = _longest(tables)
            if page is None:
                raise SourceError(_without_columns(tables))
    except (ValueError, AssertionError, RecursionError) as error:
        raise SourceError(f"Wikipedia's page cannot be read: {one_line(error)}") from error
    checked(page.constituents, "Wikipedia's table of constituents")
    return page


def _longest(tables: list[Tag]) -> ParsedPage | None:
    """The longest list among the tables with the columns; None if there is none."""
    found = [_read(table, columns, first) for table in tables for columns, first in _headers(table)]
    return max(found, key=lambda page: len(page.constituents), default=None)


def checked(constituents: tuple[Constituent, ...], what: str) -> tuple[Constituent, ...]:
    """Return the list if its length is plausible for the S&P 500; otherwise raise SourceError."""
    if not FEWEST <= len(constituents) <= MOST:
        raise SourceError(f"{what} has {len(constituents)} usable lines, where about 503 are expected")
    return constituents


def plausible_symbol(text: str) -> bool:
    """Whether the text can be a symbol as listed, such as `BRK.B`."""
    return _SYMBOL.fullmatch(text) is not None


def symbol_as_listed(text: str) -> str:
    """The symbol in a cell, such as `BRK.B` for `NYSE: BRK-B`; empty if there is none."""
    symbol = _SHARE_CLASS.sub(r".\1", _EXCHANGE.sub("", text.upper()).replace(" ", ""))
    return symbol if plausible_symbol(symbol) else ""


def parse_day(text: str) -> date | None:
    """The ISO date at the start of the text; None if there is none."""
    match = _DAY.match(text)
    try:
        return date.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


def tables_of(html: str | bytes, identifier: str | None) -> list[Tag]:
    """The tables of the page with this id, or all tables."""
    # A page that is not HTML is reported by SourceError, not by a warning on the terminal.
    warnings.filterwarnings("ignore", category=UserWarning, module=re.escape(__name__))
    attributes = {} if identifier is None else {"id": identifier}
    only = SoupStrainer("table", attrs=attributes)
    return BeautifulSoup(html, "lxml", parse_only=only).find_all("table", attrs=attributes)


def rows_of(table: Tag) -> list[Tag]:
    """The table's own rows, not those of tables inside its cells."""
    return [row for row in table.find_all("tr") if row.find_parent("table") is table]


def _headers(table: Tag) -> list[tuple[dict[str, int], int]]:
    """The column positions and the index of the first row below the header; empty without the required columns."""
    for number, row in enumerate(rows_of(table)[:_HEADER_ROWS], start=1):
        columns = _columns(row)
        if all(name in columns for name in _NEEDED):
            return [(columns, number)]
    return []


def _without_columns(tables: list[Tag]) -> str:
    """The error message if no table has the required columns."""
    rows = [row for table in tables for row in rows_of(table)[:_HEADER_ROWS]]
    best = max((_columns(row) for row in rows), key=len, default={})
    lacking = [name.replace("_", " ") for name in _NEEDED if name not in best]
    # A single header such as "symbol" occurs in unrelated tables.
    if len(best) <= 1:
        return "Wikipedia's page has no table of constituents"
    return f"Wikipedia's table of constituents has no column {lacking[0]!r}"


def _read(table: Tag, columns: dict[str, int], first: int) -> ParsedPage:
    found: dict[str, Constituent] = {}
    unreadable: list[str] = []
    for row in rows_of(table)[first:]:
        cells = _cells(row)
        constituent = _constituent(cells, columns)
        if constituent is not None:
            found.setdefault(constituent.symbol, constituent)
        elif words := " ".join(filter(None, map(cell_text, cells[:2]))):
            unreadable.append(one_line(words, 40))
    return ParsedPage(tuple(found.values()), tuple(unreadable))


def _columns(header: Tag) -> dict[str, int]:
    """Field → column position; the first one of columns with equal headers."""
    texts = [header_text(cell_text(cell)) for cell in _cells(header)]
    return {
        name: texts.index(header)
        for name, headers in _COLUMNS.items()
        for header in reversed(headers)
        if header in texts
    }


def header_text(text: str) -> str:
    """The text of a header in lower case, its words separated by single spaces."""
    return _NO_WORD.sub(" ", text.casefold()).strip()


def _cells(row: Tag) -> list[Tag]:
    """The cells of a row; a cell that spans several columns is repeated."""
    return [
        cell
        for cell in row.find_all(["td", "th"], recursive=False)
        for _ in range(span(str(cell.get("colspan", ""))))
    ]


def span(text: str) -> int:
    """The number of columns or rows of a cell, from its attribute."""
    return min(whole_number(text, 1, sys.maxsize) or 1, 20)


def cell_text(cell: Tag) -> str:
    """The text of a cell as rendered, on one line, without footnotes."""
    parts: list[str] = []
    _collect(cell, parts)
    return one_line(_FOOTNOTE.sub("", "".join(parts)), _LONGEST)


def _collect(node: Tag, parts: list[str]) -> None:
    for child in node.children:
        if isinstance(child, Tag):
            if child.name in _BREAKS:
                parts.append(" ")
            if not _is_unprinted(child):
                _collect(child, parts)
            if child.name in _BREAKS:
                parts.append(" ")
        elif type(child) is NavigableString:  # comments and the like are subclasses
            parts.append(child)


def _is_unprinted(tag: Tag) -> bool:
    classes = tag.get("class") or ()
    hidden = "display:none" in str(tag.get("style", "")).replace(" ", "").casefold()
    return hidden or tag.name in _UNPRINTED or (tag.name == "sup" and "reference" in classes)


def _constituent(cells: list[Tag], columns: dict[str, int]) -> Constituent | None:
    def text(name: str) -> str:
        position = columns.get(name, len(cells))
        return cell_text(cells[position]) if position < len(cells) else ""

    symbol = symbol_as_listed(text("symbol"))
    if not symbol or not text("name"):
        return None
    return constituent_of(symbol, text)


def constituent_of(symbol: str, text: Callable[[str], str]) -> Constituent:
    """A constituent from the text of each of its fields."""
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
