"""Why a value was refused and what to give instead, in the words of the person who gave it."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

from sp500tui.config.options import BY_KEY
from sp500tui.config.settings import Settings
from sp500tui.logs.redaction import plain, redact_url

_LONGEST = 80


def shown_value(value: object, key: str = "") -> str:
    """The value on one line: passwords masked, control characters replaced, cut to a readable length.

    `key` is the name of its setting: of an address that cannot be read nothing is shown.
    """
    if key in BY_KEY and BY_KEY[key].is_address:
        return redact_url(str(value))
    text = plain(str(value).lower() if isinstance(value, bool) else str(value)) or "''"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def refusal(name: str, error: Mapping[str, Any]) -> str:
    """The reason and remedy for one of pydantic's error records."""
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"is not possible; give {context['expected']}"
    if kind.startswith(("int_", "float_", "greater_", "less_", "finite_")):
        return f"is not possible; give {expectation(name)}"
    if kind.startswith("bool_"):
        return "is neither true nor false; give true or false"
    return f"is not possible: {error['msg']}"


def type_refusal(name: str, value: object) -> str:
    """Why a TOML value is of the wrong type; empty when it is of the right one."""
    wanted = kinds(name)
    if bool in wanted:
        return (
            "" if isinstance(value, bool) else "is neither true nor false; write true or false without quotes"
        )
    if wanted & {int, float}:
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        return "" if numeric else f"is not a number; write {expectation(name)} without quotes"
    if dict in wanted:
        whole = isinstance(value, dict) and all(isinstance(keys, str) for keys in value.values())
        return "" if whole else 'is not a table of names; write [keymap] and lines such as quit = "q"'
    if isinstance(value, str) or (tuple in wanted and isinstance(value, list)):
        return ""
    return "is not text; write it in quotes"


def expectation(name: str) -> str:
    """What a number may be, in words: `a whole number from 1 to 64`."""
    noun = "a whole number" if int in kinds(name) else "a number"
    bounds: dict[str, float] = {}
    for rule in Settings.model_fields[name].metadata:
        bounds |= {key: getattr(rule, key) for key in ("ge", "gt", "le") if hasattr(rule, key)}
    if "le" not in bounds:
        return noun
    if "gt" in bounds:
        return f"{noun} above {bounds['gt']:,} up to {bounds['le']:,}"
    return f"{noun} from {bounds['ge']:,} to {bounds['le']:,}"


def kinds(name: str) -> set[type]:
    """The plain types a setting may have: `{float}` for `float | None`."""
    annotation = typing.get_type_hints(Settings)[name]
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return {typing.get_origin(part) or part for part in parts}
