"""What the one-shot commands print: aligned text, JSON with numbers as they came, CSV that no spreadsheet executes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from sp500tui.logs.redaction import plain

Value = str | int | Decimal | date | datetime | None
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")


def as_json(records: Iterable[Mapping[str, Value]]) -> str:
    """A JSON array, one object a line; a decimal keeps all its digits."""
    lines = [
        "  {" + ", ".join(f"{json.dumps(name)}: {_token(value)}" for name, value in record.items()) + "}"
        for record in records
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def _token(value: Value) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date | datetime):
        value = value.isoformat()
    return json.dumps(value, ensure_ascii=False)


def as_csv(records: Sequence[Mapping[str, Value]]) -> str:
    """Comma-separated values with a header; text that a spreadsheet would take for a formula gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if records:
        writer.writerow(records[0].keys())
    writer.writerows([_cell(value) for value in record.values()] for record in records)
    return text.getvalue()


def _cell(value: Value) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    cleaned = plain(value)
    return "'" + cleaned if value.startswith(_FORMULA) else cleaned


def as_columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Lines with aligned columns; those in `right` hold numbers."""
    cleaned = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cleaned, strict=True)]
    return "".join(
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in cleaned
    )
