"""The serialized form of a batch, used in the journal, on the writer's pipe and as query parameters.

A payload holds one PostgreSQL array literal a column (`{AAPL,MSFT}`, `{1.5,NULL}`), in the order of
`COLUMNS`, separated by line feeds. `encode` checks that no value needs quoting, so that decoding is plain
splitting and the server receives the columns unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter, itemgetter

from sp500tui.errors import DatabaseError
from sp500tui.model import ConvertedQuote

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
"""Columns of `prices` in the order of the payload; `stored_at` is set by the server."""

_FIELDS = attrgetter(
    *(name if name.startswith(("converted_", "fx_")) else f"quote.{name}" for name in COLUMNS)
)
_KEY = itemgetter(0, 1)
_EMPTY = b"\n".join([b"{}"] * len(COLUMNS))
_NULL = "NULL"
_TIME_COLUMNS = frozenset({"quote_time", "fx_time", "fetched_at"})
_TEXT_COLUMNS = frozenset({"symbol", "currency", "converted_currency", "market_state"})
_TIME_CHARACTERS = b"0123456789T:.+-NUL"
_NUMBER_CHARACTERS = b"0123456789.eE+-NUL"
_TEXT_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.^=_&/:+-"
"""Characters allowed in a column: none that an array literal has to quote, and no `NaN`."""
_NULL_ELEMENT = re.compile(rb"(?i)(?<![^,])null(?![^,])")

_INVALID_TEXT = "22P02"
"""SQLSTATE `invalid_text_representation`: an error of the row, not of the database."""


def encode(rows: Sequence[ConvertedQuote]) -> bytes:
    """Encode rows, sorted by symbol and quote time; rows with equal keys are all kept.

    Numbers are written by `str`, times as ISO 8601 in UTC.

    Raises:
        DatabaseError: With SQLSTATE 22P02 if a value needs quoting.
    """
    table = sorted(map(_FIELDS, rows), key=_KEY)
    if not table:
        return _EMPTY
    time_text = _TimeText()
    columns: list[Sequence[str]] = []
    for name, values in zip(COLUMNS, zip(*table, strict=True), strict=True):
        if name in _TIME_COLUMNS:
            columns.append([_NULL if value is None else time_text[value] for value in values])
        elif name in _TEXT_COLUMNS:
            columns.append(values)
        else:
            columns.append([_NULL if value is None else str(value) for value in values])
    return _join(columns)


def encode_records(records: Sequence[Mapping[str, str | None]]) -> bytes:
    """Encode records as returned by `decode`, in the given order.

    Raises:
        DatabaseError: With SQLSTATE 22P02 if a value needs quoting or is missing.
    """
    try:
        return _join(
            [_NULL if record[name] is None else str(record[name]) for record in records] for name in COLUMNS
        )
    except KeyError as error:
        raise DatabaseError(f"a row without the column {error} cannot be stored", _INVALID_TEXT) from error


def decode(payload: bytes) -> list[dict[str, str | None]]:
    """Decode into records of column name → text, None for NULL; bytes that are not UTF-8 become U+FFFD."""
    columns = [_elements(column) for column in _columns(payload)]
    return [
        {
            name: None if value == b"NULL" else value.decode("utf-8", "replace")
            for name, value in zip(COLUMNS, row, strict=True)
        }
        for row in zip(*columns, strict=True)
    ]


def count(payload: bytes) -> int:
    """The number of rows in the payload."""
    return len(_elements(payload.partition(b"\n")[0]))


def split(payload: bytes) -> tuple[bytes, bytes]:
    """Split the payload in two halves; the second one takes the odd row."""
    columns = [_elements(column) for column in _columns(payload)]
    middle = len(columns[0]) // 2
    return (
        b"\n".join(_literal(column[:middle]) for column in columns),
        b"\n".join(_literal(column[middle:]) for column in columns),
    )


def parameters(payload: bytes) -> list[bytes]:
    """The array literals of the payload, one per column: the parameters of `insert_prices`."""
    return _columns(payload)


class _TimeText(dict[datetime, str]):
    """Cache of times formatted as ISO 8601; most rows of a batch share a few times."""

    def __missing__(self, time: datetime) -> str:
        text = self[time] = (time if time.tzinfo is UTC else time.astimezone(UTC)).isoformat()
        return text


def _join(columns: Iterable[Sequence[str]]) -> bytes:
    return b"\n".join(
        b"{" + _column_text(name, column) + b"}" for name, column in zip(COLUMNS, columns, strict=True)
    )


def _column_text(name: str, column: Sequence[str]) -> bytes:
    text = ",".join(column).encode("utf-8", "replace")
    if not column or _is_unquoted(name, text, len(column)):
        return text
    invalid = next(value for value in column if not _is_unquoted(name, value.encode("utf-8", "replace"), 1))
    raise DatabaseError(f"the {name} {invalid[:40]!r} cannot be stored: unexpected characters", _INVALID_TEXT)


def _is_unquoted(name: str, text: bytes, values: int) -> bool:
    """Whether the joined values hold only allowed characters, no empty element and no unintended NULL."""
    is_text = name in _TEXT_COLUMNS
    allowed = (
        _TEXT_CHARACTERS if is_text else _TIME_CHARACTERS if name in _TIME_COLUMNS else _NUMBER_CHARACTERS
    )
    if text.translate(None, allowed) != b"," * (values - 1):
        return False
    if not text or text.startswith(b",") or text.endswith(b",") or b",," in text:
        return False
    return not (is_text and b"NULL" in text.upper() and _NULL_ELEMENT.search(text))


def _columns(payload: bytes) -> list[bytes]:
    columns = payload.split(b"\n")
    if len(columns) != len(COLUMNS):
        raise DatabaseError(
            f"a batch of {len(columns)} columns cannot be stored: {len(COLUMNS)} expected", _INVALID_TEXT
        )
    return columns


def _elements(literal: bytes) -> list[bytes]:
    return literal[1:-1].split(b",") if len(literal) > 2 else []


def _literal(elements: Sequence[bytes]) -> bytes:
    return b"{" + b",".join(elements) + b"}"
