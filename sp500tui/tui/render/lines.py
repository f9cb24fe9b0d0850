"""Lines of text whose parts carry a role instead of a colour: what the panels are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from rich.cells import cell_len

from sp500tui.tui.render.formats import fit


class Role(StrEnum):
    """What a piece of text is; the theme decides how that looks."""

    VALUE = "value"
    LABEL = "label"
    """Names of values, units, separators: muted."""
    TITLE = "title"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    DIM = "faint"
    """Present but unimportant: empty gauges, idle workers."""
    SELECTED = "chosen"
    """The selected stage or the line under the cursor; reversed, so that it shows without colour."""


class Span(NamedTuple):
    """A piece of plain text with one role."""

    text: str
    role: Role = Role.VALUE


Line = tuple[Span, ...]


def width_of(line: Iterable[Span]) -> int:
    """Terminal cells a line takes."""
    return sum(cell_len(span.text) for span in line)


def spread(left: Line, right: Line, width: int) -> Line:
    """Both lines on one of exactly `width` cells, `right` at its end; without `right` where both do not fit."""
    gap = width - width_of(left) - width_of(right)
    if gap >= (1 if right else 0):
        return (*left, Span(" " * gap), *right)
    return cut(left, width)


def cut(line: Sequence[Span], width: int) -> Line:
    """The line in exactly `width` cells: padded with blanks, or cut with an ellipsis."""
    missing = width - width_of(line)
    if missing >= 0:
        return (*line, Span(" " * missing)) if missing else tuple(line)
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


def joined(parts: Iterable[Line], separator: str = "   ") -> Line:
    """The non-empty lines after each other with the separator between them."""
    result: list[Span] = []
    for part in parts:
        if part:
            if result:
                result.append(Span(separator, Role.LABEL))
            result.extend(part)
    return tuple(result)


def longest_that_fits(variants: Sequence[Line], width: int) -> Line:
    """The first line of a list from long to short that fits; the last one cut when none does."""
    for line in variants:
        if width_of(line) <= width:
            return cut(line, width)
    return cut(variants[-1], width)
