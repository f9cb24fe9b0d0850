"""Validation of values read from the broker, which are untrusted: any client may have written them."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from sp500tui.logs.redaction import plain

_log = logging.getLogger(__name__)

MAX_EXACT_INT = 2**53
"""Largest integer that JSON, Lua and float all represent exactly, with every smaller one."""
_EXCERPT = 80
"""Characters of an invalid value that a warning shows."""


def to_text(value: object) -> str:
    """A value as a string: bytes that are not UTF-8 are replaced, any other type gives an empty string."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def to_int(value: object, low: int = 0, high: int = MAX_EXACT_INT) -> int | None:
    """An integer within bounds, from text or a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (bytes, str, int)):
        return None
    try:
        # Longer text is out of bounds anyway; int() raises for very long digits.
        number = value if isinstance(value, int) else int(to_text(value)[:32])
    except ValueError:
        return None
    return number if low <= number <= high else None


def to_float(value: object, low: float = -MAX_EXACT_INT, high: float = MAX_EXACT_INT) -> float | None:
    """A finite float within bounds, from text or a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (bytes, str, int, float)):
        return None
    try:
        number = float(to_text(value) if isinstance(value, bytes) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and low <= number <= high else None


def loads(data: bytes) -> Any:
    """Parse JSON with finite, bounded numbers only.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or contains NaN, an infinity or a number out of bounds.
    """
    try:
        return json.loads(
            data, parse_constant=_reject_constant, parse_float=_bounded_float, parse_int=_bounded_int
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def loads_as(data: bytes, kind: Any) -> Any:
    """Parse JSON as `loads`, and make an object of the type `kind` of it.

    Raises:
        ValueError: it is not such JSON, or does not describe a `kind`.
    """
    return _adapter(kind).validate_python(loads(data))


@cache
def _adapter(kind: Any) -> Any:
    # Imported here because pydantic is slow to import and only nodes need it.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _bounded_float(digits: str) -> float:
    number = to_float(digits, -1e300, 1e300)
    if number is None:
        raise ValueError(f"{digits[:_EXCERPT]} is out of bounds")
    return number


def _bounded_int(digits: str) -> int:
    number = to_int(digits, -(2**63), 2**63 - 1)
    if number is None:
        raise ValueError(f"{digits[:_EXCERPT]} is out of bounds")
    return number


def hash_fields(flat: object) -> dict[str, bytes]:
    """A hash from the flat list of fields and values that a script returns; empty for anything else."""
    if not isinstance(flat, (list, tuple)) or len(flat) % 2:
        return {}
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {to_text(name): value for name, value in pairs if isinstance(value, bytes)}


def text_fields(flat: object) -> dict[str, str]:
    """As `hash_fields`, with the values as text."""
    return {name: to_text(value) for name, value in hash_fields(flat).items()}


def warn_invalid(what: str, value: object) -> None:
    """Log that an invalid value was ignored; once for each value."""
    shown = to_text(value) if isinstance(value, (bytes, str)) else str(_plain_mapping(value))
    warn_once(plain(what), plain(shown[:_EXCERPT]))


@lru_cache(maxsize=1000)
def warn_once(what: str, shown: str) -> None:
    """Log that an invalid value was ignored; the latest thousand different ones are remembered."""
    _log.warning("ignored an invalid value on the broker, %s: %s", what, shown or "empty")


def _plain_mapping(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
