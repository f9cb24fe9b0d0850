"""Parses the table of selected changes on Wikipedia's page: which companies joined and left the index, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sp500tui.logs.redaction import one_line
from sp500tui.model import IndexChange
from sp500tui.sources.wikipedia.dates import parse_written_date
from sp500tui.sources.wikipedia.table import grid_of, header_text, symbol_as_listed, tables_of

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
    for identifier in ("changes", None):
        for table in tables_of(html, identifier):
            rows = grid_of(table)
            columns = _columns(list(islice(rows, _HEADER_ROWS)))
            if columns is not None:
                return _read(rows, columns)
    return ParsedChanges((), ())


@dataclass(frozen=True, slots=True)
class _Columns:
    day: int
    added: tuple[int, int]
    """Positions of the ticker and of the name."""
    removed: tuple[int, int]
    reason: int | None


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


def _read(rows: Iterable[Sequence[str]], columns: _Columns) -> ParsedChanges:
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
