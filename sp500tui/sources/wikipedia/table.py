"""Parses the table of constituents on Wikipedia's page; tolerates renamed and moved columns."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from bs4 import BeautifulSoup, NavigableString, SoupStrainer, Tag

from sp500tui.config.whole_numbers import whole_number
from sp500tui.errors import SourceError
from sp500tui.logs.redaction import one_line
from sp500tui.model import Constituent
from sp500tui.sources.wikipedia.dates import parse_written_date

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
_SHARE_CLASS = re.compile(r"\s*[-/.\s\u2010-\u2013\u2212]\s*([A-Z])$")
"""With the separator between a symbol and its class, including dashes of all kinds."""
_MARKS = re.compile(r"[*†‡§¶\s]+$")
"""Signs that refer to a note below the table."""
_EXCHANGE = re.compile(r"^(NYSE|NASDAQ|CBOE|BATS)[A-Z ]*:")
_NO_WORD = re.compile(r"[\W_]+")
_FOOTNOTE = re.compile(r"\[[^\[\]]{1,20}\]")
_LONGEST = 120
_HEADER_ROWS = 4
"""Number of rows at the top of a table that are searched for the headers."""
_MOST_COLUMNS, _MOST_ROWS = 20, 1000
"""The most that one cell can span."""
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
        SourceError: there is no such table, a column is missing, or it does not have 400 to 600 rows.
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
        raise SourceError(f"{what} has {len(constituents)} usable lines, but about 503 are expected")
    return constituents


def plausible_symbol(text: str) -> bool:
    """Whether the text can be a symbol as listed, such as `BRK.B`."""
    return _SYMBOL.fullmatch(text) is not None


def symbol_as_listed(text: str) -> str:
    """The symbol in a cell, such as `BRK.B` for `NYSE: BRK-B`; empty if there is none."""
    symbol = _MARKS.sub("", _EXCHANGE.sub("", text.upper()).strip())
    symbol = _SHARE_CLASS.sub(r".\1", symbol)
    return symbol if plausible_symbol(symbol) else ""


def tables_of(html: str | bytes, identifier: str | None) -> list[Tag]:
    """The tables of the page with this id, or all tables."""
    # A page that is not HTML is reported by SourceError, not by a warning on the terminal.
    warnings.filterwarnings("ignore", category=UserWarning, module=re.escape(__name__))
    attributes = {} if identifier is None else {"id": identifier}
    only = SoupStrainer("table", attrs=attributes)
    return BeautifulSoup(html, "lxml", parse_only=only).find_all("table", attrs=attributes)


def _rows_of(table: Tag) -> list[Tag]:
    """The table's own rows, not those of tables inside its cells."""
    return [row for row in table.find_all("tr") if row.find_parent("table") is table]


def _headers(table: Tag) -> list[tuple[dict[str, int], int]]:
    """The column positions and the index of the first row below the header; empty without the required columns."""
    for number, texts in enumerate(islice(grid_of(table), _HEADER_ROWS), start=1):
        columns = _columns(texts)
        if all(name in columns for name in _NEEDED):
            return [(columns, number)]
    return []


def _without_columns(tables: list[Tag]) -> str:
    """The error message if no table has the required columns."""
    rows = [texts for table in tables for texts in islice(grid_of(table), _HEADER_ROWS)]
    best = max((_columns(texts) for texts in rows), key=len, default={})
    lacking = [name.replace("_", " ") for name in _NEEDED if name not in best]
    # A single header such as "symbol" occurs in unrelated tables.
    if len(best) <= 1:
        return "Wikipedia's page has no table of constituents"
    return f"Wikipedia's table of constituents has no column {lacking[0]!r}"


def _read(table: Tag, columns: dict[str, int], first: int) -> ParsedPage:
    found: dict[str, Constituent] = {}
    unreadable: list[str] = []
    for texts in islice(grid_of(table), first, None):
        if _is_heading(texts, columns):
            continue
        constituent = _constituent(texts, columns)
        if constituent is not None:
            found.setdefault(constituent.symbol, constituent)
        elif words := " ".join(filter(None, texts[:2])):
            unreadable.append(one_line(words, 40))
    return ParsedPage(tuple(found.values()), tuple(unreadable))


def _is_heading(texts: Sequence[str], columns: dict[str, int]) -> bool:
    """Whether a row repeats the headers, or is a title that spans the columns."""
    found = [texts[columns[name]] for name in _NEEDED if columns[name] < len(texts)]
    titles = {header_text(text) for text in found}
    return len(found) == len(_NEEDED) and (
        len(titles) == 1
        or all(header_text(text) in _COLUMNS[name] for name, text in zip(_NEEDED, found, strict=True))
    )


def _columns(headers: Sequence[str]) -> dict[str, int]:
    """Field → column position; the first one of columns with equal headers."""
    texts = [header_text(text) for text in headers]
    return {
        name: texts.index(header)
        for name, known in _COLUMNS.items()
        for header in reversed(known)
        if header in texts
    }


def header_text(text: str) -> str:
    """The text of a header in lower case, its words separated by single spaces."""
    return _NO_WORD.sub(" ", text.casefold()).strip()


def grid_of(table: Tag) -> Iterator[list[str]]:
    """The texts of all cells, row by row; that of a cell that spans rows or columns is repeated."""
    spanning: dict[int, tuple[int, str]] = {}
    """Column → rows still to fill, and the text."""
    for row in _rows_of(table):
        texts: list[str] = []
        cells = row.find_all(["td", "th"], recursive=False)
        while cells or len(texts) in spanning:
            if len(texts) in spanning:
                left, text = spanning.pop(len(texts))
                if left > 1:
                    spanning[len(texts)] = (left - 1, text)
                texts.append(text)
                continue
            cell = cells.pop(0)
            text, below = cell_text(cell), _span(cell, "rowspan", _MOST_ROWS) - 1
            for _ in range(_span(cell, "colspan", _MOST_COLUMNS)):
                if below:
                    spanning[len(texts)] = (below, text)
                texts.append(text)
        yield texts


def _span(cell: Tag, attribute: str, most: int) -> int:
    """The number of columns or rows of a cell."""
    return min(whole_number(str(cell.get(attribute, "")), 1, sys.maxsize) or 1, most)


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


def _constituent(texts: Sequence[str], columns: dict[str, int]) -> Constituent | None:
    def text(name: str) -> str:
        position = columns.get(name, len(texts))
        return texts[position] if position < len(texts) else ""

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
        date_added=parse_written_date(text("date_added")),
        cik=cik.zfill(10) if cik.isascii() and cik.isdigit() else "",
        founded=text("founded"),
    )
