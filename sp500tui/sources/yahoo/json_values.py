"""Decoding of Yahoo Finance's JSON: exact numbers, and the error messages in a response."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import msgspec

from sp500tui.errors import SourceError
from sp500tui.logs.redaction import one_line

_ENVELOPES = ("finance", "quoteResponse", "chart")
"""The top-level keys; errors of the whole service are under `finance`."""


def read_json(
    body: bytes, *, parse_float: Callable[[str], object] = Decimal, content: str = "quotes"
) -> object:
    """Decode a body, by default with fractions as Decimal; a NaN is kept, so that it invalidates only its own entry.

    `content` names the requested data, for the error message. The encoding is UTF-8, or that of the byte order mark.

    Raises:
        SourceError: the body is not JSON: a web page, truncated, or nested too deeply.
    """
    try:
        decoded: object = json.loads(
            body.decode(json.detect_encoding(body), "replace"),
            parse_float=parse_float,
            parse_constant=Decimal,
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise SourceError(f"Yahoo Finance answered {_kind(body)} instead of {content}") from error
    return decoded


def read_chart(body: bytes) -> object:
    """Decode a chart, with its fractions as floats; see `read_json`."""
    try:
        decoded: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Not strict JSON, such as a NaN, or not JSON at all.
        return read_json(body, parse_float=float, content="a chart")
    return decoded


def get_path(node: object, *path: str | int) -> object:
    """The value at a path of keys and list indexes; None if the path does not exist."""
    for step in path:
        if isinstance(step, str):
            node = node.get(step) if isinstance(node, dict) else None
        else:
            node = node[step] if isinstance(node, list) and len(node) > step else None
    return node


def error_message(answer: object) -> str:
    """The error message in a response, in one line; empty if there is none."""
    for envelope in _ENVELOPES:
        error = get_path(answer, envelope, "error")
        if error:
            return one_line(get_path(error, "description") or get_path(error, "code") or error)
    return ""


def error_text(answer: object) -> str:
    """The codes and descriptions of all errors in a response, joined; empty if there are none."""
    if isinstance(answer, dict):
        nodes = [answer, *(get_path(answer, envelope) for envelope in _ENVELOPES)]
        return " ".join(
            one_line(get_path(node, key))
            for node in nodes
            for key in ("error", "message")
            if get_path(node, key)
        )
    return ""


def _kind(body: bytes) -> str:
    start = body[:512].lstrip().lower()
    if not start:
        return "nothing"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "a web page"
    if start.startswith((b"{", b"[")):
        return "invalid or truncated JSON"
    return f"'{one_line(body[:60].decode('utf-8', 'replace'), 40)}'"
