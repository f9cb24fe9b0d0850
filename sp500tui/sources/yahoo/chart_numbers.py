"""Numbers of Yahoo Finance's charts: prices as they were printed, share volumes and timestamps."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import TypeGuard

_SINGLE = struct.Struct("<f")
_DIGITS = (6, 7, 8, 9)
"""Significant digits to try: every decimal of six survives single precision, and nine identify any value of it."""
_MAX_PRICE = 1e15
_WITHOUT_EXPONENT = (1e-4, 999_999.5)
"""Between these, a number with six digits is formatted without an exponent."""
_MAX_VOLUME = 2**63
OLDEST, LATEST = -2_208_988_800, 253_402_300_799
"""The years 1900 and 9999."""


def printed_price(value: object) -> Decimal | None:
    """The price as it was printed before Yahoo stored it in single precision; None if it is not a number above zero.

    225.4199981689453 was 225.42: the shortest decimal that has the same value in single precision. A number that is
    not such a value, like 225.67, is kept.
    """
    if not _is_number(value) or not 0 < value < _MAX_PRICE:
        return None
    number = float(value)
    pack = _SINGLE.pack
    packed = pack(number)
    if _SINGLE.unpack(packed)[0] == number:
        for digits in _DIGITS:
            text = f"{number:.{digits}g}"
            if pack(float(text)) == packed:
                return Decimal(text) if "e+" not in text else Decimal(text).quantize(Decimal(1))
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def printed_prices(columns: Sequence[Sequence[object]]) -> list[list[str | None]]:
    """The columns with `printed_price` of each value as text; None if there is none.

    Prices recur, so each is formatted once, and all with the same number of digits by one operation.
    """
    try:
        values = set[object]().union(*columns)
    except TypeError:
        return [[_price_text(value) for value in column] for column in columns]
    if True in values and any(type(value) is bool for column in columns for value in column):
        # In a set, it would equal the number 1.
        return [[_price_text(value) for value in column] for column in columns]
    least, most = _WITHOUT_EXPONENT
    usual = [value for value in values if type(value) is float and least <= value < most]
    texts: dict[object, str | None] = _shortest_texts(usual)  # type: ignore[assignment]
    for value in values.difference(texts):
        texts[value] = _price_text(value)
    return [list(map(texts.__getitem__, column)) for column in columns]


def _shortest_texts(numbers: Sequence[float]) -> dict[float, str]:
    """The shortest decimal of each number that is a value of single precision."""
    texts: dict[float, str] = {}
    left = [number for number, single in zip(numbers, array("f", numbers), strict=True) if number == single]
    for digits in _DIGITS:
        if left:
            formatted = (f"%.{digits}g " * len(left) % tuple(left)).split()
            singles = array("f", map(float, formatted))
            texts.update(
                (number, text)
                for number, text, single in zip(left, formatted, singles, strict=True)
                if number == single
            )
            left = [number for number in left if number not in texts]
    return texts


def _price_text(value: object) -> str | None:
    price = printed_price(value)
    return None if price is None else str(price)


def share_volume(value: object) -> int | None:
    """The number of shares traded; None if there is none."""
    if type(value) is int:
        return value if 0 <= value < _MAX_VOLUME else None
    if not isinstance(value, float | Decimal):
        return None
    return int(value) if isfinite(value) and 0 <= value < _MAX_VOLUME else None


def share_volumes(values: Sequence[object]) -> list[int | None]:
    """`share_volume` of each value."""
    if set(map(type, values)) == {int} and min(values) >= 0 and max(values) < _MAX_VOLUME:  # type: ignore[type-var,operator]
        return list(values)  # type: ignore[arg-type]
    return [share_volume(value) for value in values]


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    """Whether it is a finite number. An integer may be larger than any float."""
    if type(value) is int:
        return True
    return isinstance(value, float | Decimal) and isfinite(value)


def epoch_seconds(value: object) -> int | None:
    """Whole seconds since 1970, negative before; None if it is not a time between 1900 and 9999."""
    return int(value) if _is_number(value) and OLDEST <= value <= LATEST else None


def utc(seconds: int) -> datetime:
    """The time of these seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
