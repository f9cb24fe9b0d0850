"""The ready-made bytes of a batch: what lies in the journal, crosses the pipe and reaches the server.

A payload holds one PostgreSQL array literal a column (`{AAPL,MSFT}`, `{1.5,NULL}`), in the order of
`COLUMNS`, separated by line feeds. No value needs quoting, which `encode` checks, so that taking a payload
apart is plain splitting and the server receives the columns as they lie there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sp500tui.domain import ConvertedQuote, DatabaseError

COLUMNS: tuple[str, ...] = (
    "symbol",
    "quote_time",
    "price",
    "change",
    "percent_change",
    "currency",
    "converted_price",
    "converted_currency",
    "fx_rate",
    "fx_time",
    "market_state",
    "volume",
    "fetched_at",
)
"""Columns of `prices` in the order of the payload; `stored_at` is the server's."""

_NULL = "NULL"
_WORDS = re.compile(r"[A-Za-z0-9.^=_&/:+-]+(?:,[A-Za-z0-9.^=_&/:+-]+)*")
_NUMBERS = re.compile(r"[0-9.eE+NUL-]+(?:,[0-9.eE+NUL-]+)*")
_TIMES = re.compile(r"[0-9T:.+NUL-]+(?:,[0-9T:.+NUL-]+)*")
_SHAPES: dict[str, re.Pattern[str]] = {
    "symbol": _WORDS,
    "currency": _WORDS,
    "converted_currency": _WORDS,
    "market_state": _WORDS,
    "quote_time": _TIMES,
    "fx_time": _TIMES,
    "fetched_at": _TIMES,
}
"""What a joined column may look like; the columns not named here hold numbers."""

_UNREADABLE = "22P02"
"""SQLSTATE `invalid_text_representation`: the row is at fault, not the database."""


def encode(rows: Sequence[ConvertedQuote]) -> bytes:
    """The payload of these rows, sorted by symbol and quote time; equal keys are all kept.

    Numbers are written as they print, times as ISO 8601 in UTC.

    Raises:
        DatabaseError: with SQLSTATE 22P02 where a value cannot be written without quoting.
    """
    ordered = sorted(rows, key=_key)
    quotes = [row.quote for row in ordered]
    time_text = _TimeText()
    number = _number
    return _join(
        (
            [quote.symbol for quote in quotes],
            [time_text[quote.quote_time] for quote in quotes],
            [str(quote.price) for quote in quotes],
            [number(quote.change) for quote in quotes],
            [number(quote.percent_change) for quote in quotes],
            [quote.currency for quote in quotes],
            [number(row.converted_price) for row in ordered],
            [row.converted_currency for row in ordered],
            [number(row.fx_rate) for row in ordered],
            [_NULL if row.fx_time is None else time_text[row.fx_time] for row in ordered],
            [quote.market_state.value for quote in quotes],
            [number(quote.volume) for quote in quotes],
            [time_text[quote.fetched_at] for quote in quotes],
        )
    )


def encode_records(records: Sequence[Mapping[str, str | None]]) -> bytes:
    """The payload of records as `decode` returns them, in the order given.

    Raises:
        DatabaseError: with SQLSTATE 22P02 where a value cannot be written without quoting, or is absent.
    """
    try:
        return _join(
            [_NULL if record[name] is None else str(record[name]) for record in records] for name in COLUMNS
        )
    except KeyError as error:
        raise DatabaseError(f"a row without the column {error} cannot be stored", _UNREADABLE) from error


def decode(payload: bytes) -> list[dict[str, str | None]]:
    """The rows of a payload as records of column name → text, None for NULL."""
    columns = [_elements(column) for column in _columns(payload)]
    return [
        {name: None if value == b"NULL" else value.decode() for name, value in zip(COLUMNS, row, strict=True)}
        for row in zip(*columns, strict=True)
    ]


def count(payload: bytes) -> int:
    """How many rows the payload holds."""
    return len(_elements(payload.partition(b"\n")[0]))


def split(payload: bytes) -> tuple[bytes, bytes]:
    """The payload's first and second half; the second is the longer of the two."""
    columns = [_elements(column) for column in _columns(payload)]
    middle = len(columns[0]) // 2
    return (
        b"\n".join(_literal(column[:middle]) for column in columns),
        b"\n".join(_literal(column[middle:]) for column in columns),
    )


def parameters(payload: bytes) -> list[bytes]:
    """The payload's array literals, one a column: the parameters of the insert statement."""
    return _columns(payload)


class _TimeText(dict[datetime, str]):
    """Times and their ISO texts; most times of a batch are the same few."""

    def __missing__(self, time: datetime) -> str:
        text = self[time] = time.astimezone(UTC).isoformat()
        return text


def _key(row: ConvertedQuote) -> tuple[str, datetime]:
    quote = row.quote
    return quote.symbol, quote.quote_time


def _number(value: Decimal | int | None) -> str:
    return _NULL if value is None else str(value)


def _join(columns: Iterable[Sequence[str]]) -> bytes:
    return "\n".join(
        "{" + _checked(name, column) + "}" for name, column in zip(COLUMNS, columns, strict=True)
    ).encode()


def _checked(name: str, column: Sequence[str]) -> str:
    text = ",".join(column)
    shape = _SHAPES.get(name, _NUMBERS)
    if text and shape.fullmatch(text) and text.count(",") == len(column) - 1 and _nulls_fit(name, text):
        return text
    for value in column:
        if not shape.fullmatch(value) or "," in value or not _nulls_fit(name, value):
            raise DatabaseError(f"the {name} {value[:40]!r} cannot be stored: odd characters", _UNREADABLE)
    return text


_NULL_WORD: Callable[[str], re.Match[str] | None] = re.compile(r"(?i)(?<![^,])null(?![^,])").search


def _nulls_fit(name: str, text: str) -> bool:
    """Whether no word of a text column would be read as NULL."""
    return _SHAPES.get(name) is not _WORDS or not _NULL_WORD(text)


def _columns(payload: bytes) -> list[bytes]:
    columns = payload.split(b"\n")
    if len(columns) != len(COLUMNS):
        raise DatabaseError(
            f"a batch of {len(columns)} columns cannot be stored: {len(COLUMNS)} expected", _UNREADABLE
        )
    return columns


def _elements(literal: bytes) -> list[bytes]:
    return literal[1:-1].split(b",") if len(literal) > 2 else []


def _literal(elements: Sequence[bytes]) -> bytes:
    return b"{" + b",".join(elements) + b"}"
