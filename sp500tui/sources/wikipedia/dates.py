"""Dates in the formats of Wikipedia's tables."""

from __future__ import annotations

import re
from datetime import date

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH_FIRST = re.compile(r"([A-Za-z]{3})[a-z]*\.? (\d{1,2}),? (\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2}) ([A-Za-z]{3})[a-z]*\.? (\d{4})")


def parse_written_date(text: str) -> date | None:
    """The date in a text such as `May 7, 2026`, `7 May 2026` or `2026-05-07`; None if there is none."""
    text = text.strip()
    if found := _ISO.match(text):
        return _date(*found[0].split("-"))
    found = _MONTH_FIRST.search(text)
    month, day, year = found.groups() if found else ("", "", "")
    if not found:
        found = _DAY_FIRST.search(text)
        day, month, year = found.groups() if found else ("", "", "")
    return _date(year, str(_MONTHS.get(month.casefold(), "")), day)


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
