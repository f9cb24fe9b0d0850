"""Lines of text spans with semantic roles, from which the panels are rendered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from textwrap import wrap
from typing import NamedTuple

from rich.cells import cell_len

from sp500tui.tui.render.formats import fit, printed_sign


class Role(StrEnum):
    """Semantic role of a span; the theme maps it to a style."""

    VALUE = "value"
    LABEL = "label"
    """Names of values, units and separators; muted."""
    TITLE = "title"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    DIM = "faint"
    """Unimportant text such as empty gauges and idle workers."""
    SELECTED = "chosen"
    """The selected stage or the line under the cursor; reversed, so that it is visible without colour."""
    VALUE_FILLED = "value-filled"
    """Bars on a time axis: the colours of the roles above as backgrounds."""
    LABEL_FILLED = "label-filled"
    ACCENT_FILLED = "accent-filled"
    GOOD_FILLED = "good-filled"
    WARN_FILLED = "warn-filled"
    BAD_FILLED = "bad-filled"


class Span(NamedTuple):
    """Plain text with one role."""

    text: str
    role: Role = Role.VALUE


Line = tuple[Span, ...]


def change_role(text: str) -> Role:
    """The role of a change as printed: good, bad, or a label where it is printed as zero."""
    return (Role.LABEL, Role.GOOD, Role.BAD)[printed_sign(text)]


def width_of(line: Iterable[Span]) -> int:
    """Return the width of a line in terminal cells."""
    width = 0
    for text, _ in line:
        width += len(text) if text.isascii() else cell_len(text)
    return width


def spread(left: Line, right: Line, width: int) -> Line:
    """Join two lines to exactly `width` cells with `right` at the end; `right` is dropped if it does not fit."""
    gap = width - width_of(left) - width_of(right)
    if gap >= (1 if right else 0):
        return (*left, Span(" " * gap), *right)
    return cut(left, width)


def cut(line: Sequence[Span], width: int) -> Line:
    """Pad or truncate a line to exactly `width` cells, with an ellipsis if more than blanks were cut."""
    missing = width - width_of(line)
    if missing >= 0:
        return (*line, Span(" " * missing)) if missing else tuple(line)
    written = "".join(span.text for span in line).rstrip()
    if cell_len(written) <= width:
        return cut(_first(line, len(written)), width)
    kept: list[Span] = []
    room = width
    for span in line:
        length = cell_len(span.text)
        if length >= room:
            kept.append(
                Span(fit(span.text + "  ", room) if length == room else fit(span.text, room), span.role)
            )
            break
        kept.append(span)
        room -= length
    return tuple(kept)


def _first(line: Sequence[Span], characters: int) -> Line:
    """The first characters of a line."""
    kept: list[Span] = []
    for span in line:
        kept.append(Span(span.text[:characters], span.role))
        characters -= len(kept[-1].text)
    return tuple(span for span in kept if span.text)


def wrapped(text: str, width: int, role: Role = Role.VALUE) -> list[Line]:
    """A text wrapped into lines of `width` cells."""
    return [cut((Span(line, role),), width) for line in wrap(text, max(width, 10))]


def joined(parts: Iterable[Line], separator: str = "   ") -> Line:
    """Concatenate the non-empty lines with a separator."""
    result: list[Span] = []
    for part in parts:
        if part:
            if result:
                result.append(Span(separator, Role.LABEL))
            result.extend(part)
    return tuple(result)


def longest_that_fits(variants: Sequence[Line], width: int) -> Line:
    """Return the first of `variants`, ordered from long to short, that fits; the last one truncated if none does."""
    for line in variants:
        if width_of(line) <= width:
            return cut(line, width)
    return cut(variants[-1], width)
