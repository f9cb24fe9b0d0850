"""Whole numbers in text that was typed or received."""

from __future__ import annotations

_MOST_DIGITS = 20
"""`int` raises ValueError above 4,300 digits, and is slow for that many."""


def whole_number(text: str, lowest: int, highest: int) -> int | None:
    """The number that ASCII digits write, within the limits; None for any other text. Leading zeros are allowed."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        return None
    number = int(text)
    return number if lowest <= number <= highest else None
