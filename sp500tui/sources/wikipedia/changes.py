"""Parses the table of selected changes on Wikipedia's page: which companies joined and left the index, and when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bs4 import Tag

from sp500tui.logs.redaction import one_line
from sp500tui.model import IndexChange
from sp500tui.sources.wikipedia.table import (
    cell_text,
    header_text,
    parse_day,
    rows_of,
    span,
    symbol_as_listed,
    tables_of,
)

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_MONTH_FIRST = re.compile(r"([A-Za-z]{3})[a-z]*\.? (\d{1,2}),? (\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2}) ([A-Za-z]{3})[a-z]*\.? (\d{4})")
_GROUPS = {"added": ("added", "add", "addition"), "removed": ("removed", "remove", "removal", "deleted")}
_TICKERS = ("ticker", "symbol", "ticker symbol")
_NAMES = ("security", "company", "name", "company name")
_DATES = ("date", "effective date", "date of change")
_REASONS = ("reason", "reasons", "note")
_HEADER_ROWS = 2


@dataclass(frozen=True, slots=True)
class ParsedChanges:
    """The table of changes on a page."""

    changes: tuple[IndexChange, ...]
    """In the page's order, newest first."""
    unreadable: tuple[str, ...]
    """The start of each row without a date or without a symbol."""


def parse_changes(html: str | bytes) -> ParsedChanges:
    """The changes on the page; none if it has no such table, as it is not needed for the list itself."""
    for table in tables_of(html, "changes") or tables_of(html, None):
        grid = _grid(table)
        columns = _columns(grid[:_HEADER_ROWS])
        if columns is not None:
            return _read(grid[_HEADER_ROWS:], columns)
    return ParsedChanges((), ())


def parse_written_date(text: str) -> date | None:
    """The date in a text such as `May 7, 2026`, `7 May 2026` or `2026-05-07`; None if there is none."""
    found = _MONTH_FIRST.search(text)
    month, day, year = found.groups() if found else ("", "", "")
    if not found:
        found = _DAY_FIRST.search(text)
        day, month, year = found.groups() if found else ("", "", "")
    number = _MONTHS.get(month.casefold())
    if number is None:
        return parse_day(text.strip())
    try:
        return date(int(year), number, int(day))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Columns:
    day: int
    added: tuple[int, int]
    """Positions of the ticker and of the name."""
    removed: tuple[int, int]
    reason: int | None


def _grid(table: Tag) -> list[list[str]]:
    """The texts of all cells; one that spans rows or columns is repeated."""
    rows: list[list[str]] = []
    spanning: dict[int, tuple[int, str]] = {}
    """Column → rows still to fill, and the text."""
    for row in rows_of(table):
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
            text, below = cell_text(cell), span(str(cell.get("rowspan", ""))) - 1
            for _ in range(span(str(cell.get("colspan", "")))):
                if below:
                    spanning[len(texts)] = (below, text)
                texts.append(text)
        rows.append(texts)
    return rows


def _columns(headers: Sequence[Sequence[str]]) -> _Columns | None:
    """The positions of the columns in the two header rows; None if it is another table."""
    if len(headers) < _HEADER_ROWS:
        return None
    above, below = ([header_text(text) for text in row] for row in headers)
    pairs = list(zip(above, below, strict=False))

    def position(group: tuple[str, ...], names: tuple[str, ...]) -> int | None:
        return next(
            (at for at, (upper, lower) in enumerate(pairs) if upper in group and lower in names), None
        )

    day = position(_DATES, _DATES)
    sides = [(position(group, _TICKERS), position(group, _NAMES)) for group in _GROUPS.values()]
    (added, added_name), (removed, removed_name) = sides
    if day is None or added is None or added_name is None or removed is None or removed_name is None:
        return None
    return _Columns(day, (added, added_name), (removed, removed_name), position(_REASONS, _REASONS))


def _read(rows: Sequence[Sequence[str]], columns: _Columns) -> ParsedChanges:
    found: list[IndexChange] = []
    unreadable: list[str] = []
    for row in rows:
        change = _change(row, columns)
        if change is not None:
            found.append(change)
        elif any(row):
            unreadable.append(one_line(" ".join(filter(None, row[:4])), 40))
    return ParsedChanges(tuple(found), tuple(unreadable))


def _change(row: Sequence[str], columns: _Columns) -> IndexChange | None:
    def text(position: int | None) -> str:
        return row[position] if position is not None and position < len(row) else ""

    day = parse_written_date(text(columns.day))
    added, removed = (symbol_as_listed(text(side[0])) for side in (columns.added, columns.removed))
    if day is None or not (added or removed):
        return None
    return IndexChange(
        effective_date=day,
        added=added,
        added_name=text(columns.added[1]) if added else "",
        removed=removed,
        removed_name=text(columns.removed[1]) if removed else "",
        reason=text(columns.reason),
    )
