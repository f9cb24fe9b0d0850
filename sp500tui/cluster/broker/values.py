"""Values read from the broker, where anybody may have written anything: checked, bounded, and reported once."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sp500tui.logs.redaction import plain

_log = logging.getLogger(__name__)

LARGEST = 2**53
"""Every whole number up to here is exact in JSON, in Lua and as a float."""
_SHOWN = 80
"""Characters of a value that a report shows."""


def text(value: object) -> str:
    """A text of the broker; bytes that are no UTF-8 are replaced, anything but text is empty."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def whole(value: object, low: int = 0, high: int = LARGEST) -> int | None:
    """A whole number within bounds, from a text or a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (bytes, str, int)):
        return None
    try:
        # Longer texts are no number within bounds; int() refuses very long ones with an exception.
        number = value if isinstance(value, int) else int(text(value)[:32])
    except ValueError:
        return None
    return number if low <= number <= high else None


def real(value: object, low: float = -LARGEST, high: float = LARGEST) -> float | None:
    """A finite number within bounds, from a text or a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (bytes, str, int, float)):
        return None
    try:
        number = float(text(value) if isinstance(value, bytes) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and low <= number <= high else None


def loads(data: bytes) -> Any:
    """JSON with finite, bounded numbers only.

    Raises:
        ValueError: it is no JSON, nested too deeply, or holds NaN, an infinity or a number out of bounds.
    """
    try:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite, parse_int=_bounded)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = real(digits, -1e300, 1e300)
    if number is None:
        raise ValueError(f"{digits[:_SHOWN]} is out of bounds")
    return number


def _bounded(digits: str) -> int:
    number = whole(digits, -(2**63), 2**63 - 1)
    if number is None:
        raise ValueError(f"{digits[:_SHOWN]} is out of bounds")
    return number


def fields(flat: object) -> dict[str, bytes]:
    """A hash of the broker, of its fields and values one after the other; empty for anything else."""
    if not isinstance(flat, (list, tuple)) or len(flat) % 2:
        return {}
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {text(name): value for name, value in pairs if isinstance(value, bytes)}


def texts(flat: object) -> dict[str, str]:
    """As `fields`, with the values as text."""
    return {name: text(value) for name, value in fields(flat).items()}


def report(what: str, value: object) -> None:
    """Write to the log that a value was ignored, once for each."""
    shown = text(value) if isinstance(value, (bytes, str)) else str(_plain_mapping(value))
    _report(plain(what), plain(shown[:_SHOWN]))


@lru_cache(maxsize=1000)
def _report(what: str, shown: str) -> None:
    _log.warning("ignored %s on the broker, which cannot be read: %s", what, shown or "nothing")


def _plain_mapping(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
