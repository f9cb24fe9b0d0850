"""Numbers of Yahoo Finance's charts: prices as they were printed, share volumes and timestamps."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite

_SINGLE = struct.Struct("<f")
_DIGITS = (6, 7, 8, 9)
"""Significant digits to try: every decimal of six survives single precision, and nine identify any value of it."""
_MAX_PRICE = 1e15
_MAX_VOLUME = 2**63
OLDEST, LATEST = -2_208_988_800, 253_402_300_799
"""The years 1900 and 9999."""


def printed_price(value: object) -> Decimal | None:
    """The price as it was printed before Yahoo stored it in single precision; None if it is no amount above zero.

    225.4199981689453 was 225.42: the shortest decimal that has the same value in single precision. A number that is
    no such value, like 225.67, is kept.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = float(value)
    if not (isfinite(number) and 0 < number < _MAX_PRICE):
        return None
    pack = _SINGLE.pack
    packed = pack(number)
    if _SINGLE.unpack(packed)[0] == number:
        for digits in _DIGITS:
            text = f"{number:.{digits}g}"
            if pack(float(text)) == packed:
                return Decimal(text) if "e+" not in text else Decimal(text).quantize(Decimal(1))
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def share_volume(value: object) -> int | None:
    """The number of shares traded; None where there is none."""
    if type(value) is int:
        return value if 0 <= value < _MAX_VOLUME else None
    if not isinstance(value, float | Decimal):
        return None
    return int(value) if isfinite(value) and 0 <= value < _MAX_VOLUME else None


def epoch_seconds(value: object) -> int | None:
    """Whole seconds since 1970, negative before; None if it is no time between 1900 and 9999."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not isfinite(value):
        return None
    return int(value) if OLDEST <= value <= LATEST else None


def utc(seconds: int) -> datetime:
    """The time of these seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
