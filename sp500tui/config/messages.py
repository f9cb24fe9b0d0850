"""Validation error messages: why a value is invalid, and what to give instead."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

from sp500tui.config.options import BY_FIELD, BY_KEY
from sp500tui.config.settings import Settings
from sp500tui.logs.redaction import redact_url, shown_value

_MAX_LENGTH = 80
_NAMES = {
    "cluster_name": "1 to 40 of the letters a to z, digits, - and _",
    "fetch_group": "1 to 40 of the letters a to z, digits, -, _ and the full stop",
}
"""The permitted values of a setting with a pattern."""
_UNITS = {"SECONDS": "seconds", "MB": "megabytes"}
"""Unit of a number, by the placeholder of its option."""


def display_value(value: object, key: str = "") -> str:
    """The value on one line: passwords masked, control characters escaped, truncated.

    `key` is the name of its setting. A URL that cannot be parsed is masked completely.
    """
    if key in BY_KEY and BY_KEY[key].is_address:
        return redact_url(_text(value))
    return shown_value(_text(value), _MAX_LENGTH) or "''"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value)
    except ValueError:
        # Python writes no number of more than 4,300 digits, which hexadecimal ones in TOML may have.
        return "(a number of thousands of digits)"


def error_message(name: str, error: Mapping[str, Any]) -> str:
    """The reason and the remedy for one of pydantic's error records."""
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"is invalid; give {context['expected']}"
    if name in _NAMES:
        return f"is invalid; give {_NAMES[name]}"
    types_of_field = field_types(name)
    if bool in types_of_field:
        return "is not a boolean; give true or false"
    if types_of_field & {int, float}:
        return f"is invalid; give {constraint_text(name)}"
    if dict in types_of_field:
        return 'is not an object of strings; give one such as {"quit": "q"}'
    if kind == "string_type" and tuple in types_of_field:
        return 'is not a list of texts; write each in quotes, such as ["AAPL", "BRK.B"]'
    if kind == "string_unicode":
        return "is not UTF-8 text; give UTF-8 text"
    return f"is invalid: {error['msg']}"


def type_error_message(name: str, value: object) -> str:
    """Why a TOML value has the wrong type, with the remedy; empty if the type is right."""
    types_of_field = field_types(name)
    if bool in types_of_field:
        return "" if isinstance(value, bool) else "is not a boolean; write true or false without quotes"
    if types_of_field & {int, float}:
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        return "" if numeric else f"is not a number; write {constraint_text(name)} without quotes"
    if dict in types_of_field:
        is_table = isinstance(value, dict) and all(isinstance(keys, str) for keys in value.values())
        return "" if is_table else 'is not a table of strings; write [keymap] and lines such as quit = "q"'
    if isinstance(value, str) or (tuple in types_of_field and isinstance(value, list)):
        return ""
    return "is not text; write it in quotes"


def constraint_text(name: str) -> str:
    """The range of a number, with its unit: `a whole number from 1 to 64`, `a number of seconds above 0 up to 120`."""
    noun = "a whole number" if int in field_types(name) else "a number"
    if unit := _UNITS.get(BY_FIELD[name].metavar):
        noun += f" of {unit}"
    bounds: dict[str, float] = {}
    for rule in Settings.model_fields[name].metadata:
        bounds |= {key: getattr(rule, key) for key in ("ge", "gt", "le") if hasattr(rule, key)}
    if "le" not in bounds:
        return noun
    if "gt" in bounds:
        return f"{noun} above {bounds['gt']:,} up to {bounds['le']:,}"
    return f"{noun} from {bounds['ge']:,} to {bounds['le']:,}"


def field_types(name: str) -> set[type]:
    """The types of a setting without type arguments: `{float, NoneType}` for `float | None`."""
    annotation = typing.get_type_hints(Settings)[name]
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return {typing.get_origin(part) or part for part in parts}
