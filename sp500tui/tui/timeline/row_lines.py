"""Rendering of the rows: a label, a sign for each column, and the share of the state that took most of the time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.tui.render.formats import fit
from sp500tui.tui.render.lines import Line, Role
from sp500tui.tui.render.lines import Span as Text
from sp500tui.tui.timeline.cells import Cell, Cells, Strength, share_in, totals
from sp500tui.tui.timeline.rows import Row
from sp500tui.tui.timeline.states import CYCLE, SIGNS, TRACE

NAME_WIDTH = 15
"""Cells of the labels at the left."""
SHARE_WIDTH = 7
"""Cells of the shares at the right, if they fit."""
_CURSOR, _NOTHING = "│", " "


@dataclass(frozen=True, slots=True)
class Guides:
    """Columns that are marked in every row."""

    cursor: int | None = None
    cycles: Collection[int] = ()
    """The columns in which a cycle starts."""


def row_line(row: Row, cells: Cells, guides: Guides, *, marked: bool, folded: bool = False) -> Line:
    """The label and the cells of a row."""
    fold = ("▸ " if folded else "▾ ") if row.is_heading else ""
    role = Role.SELECTED if marked else Role.TITLE if row.is_heading else Role.LABEL
    return (
        Text(fit(fold + row.label, NAME_WIDTH - 1), role),
        Text(" "),
        *_texts(row, cells, guides, marked=marked),
    )


def _texts(row: Row, cells: Cells, guides: Guides, *, marked: bool) -> Iterator[Text]:
    """The cells of a row with the guides; adjacent cells of one role form one text."""
    characters, roles = _signs(cells, by_state=row.is_heading)
    for column in guides.cycles:
        if roles[column] is Role.DIM:
            characters[column] = CYCLE
    cursor = guides.cursor
    if cursor is not None and marked:
        cell = cells[cursor]
        characters[cursor] = SIGNS[cell.state].letter if cell is not None else _NOTHING
        roles[cursor] = Role.SELECTED
    elif cursor is not None and roles[cursor] is Role.DIM:
        characters[cursor], roles[cursor] = _CURSOR, Role.ACCENT
    text = "".join(characters)
    column = 0
    for role, found in groupby(roles):
        length = len(tuple(found))
        yield Text(text[column : column + length], role)
        column += length


def _signs(cells: Cells, *, by_state: bool) -> tuple[list[str], list[Role]]:
    """The character and the role of each cell; a bar that is long enough contains its word."""
    characters = [_NOTHING] * len(cells)
    roles = [Role.DIM] * len(cells)
    column = 0
    while column < len(cells):
        cell = cells[column]
        length = 1
        if cell is not None:
            state, strength = cell.appearance
            sign = SIGNS[state]
            if strength is Strength.MOST:
                length = _bar_length(cells, column, cell, by_state=by_state)
                word = sign.word if length > len(sign.word) else sign.letter
                characters[column : column + len(word)] = word
                roles[column : column + length] = [sign.filled] * length
            else:
                characters[column], roles[column] = _weak_sign(sign.letter, strength), sign.role
        column += length
    return characters, roles


def _bar_length(cells: Cells, first: int, bar: Cell, *, by_state: bool) -> int:
    """The number of cells in the bar that begins at `first`."""
    appearance, start = bar.appearance, bar.span.start
    for column in range(first + 1, len(cells)):
        cell = cells[column]
        if cell is None or cell.appearance != appearance or not (by_state or cell.span.start == start):
            return column - first
    return len(cells) - first


def _weak_sign(letter: str, strength: Strength) -> str:
    """The character of a cell that was idle for most of the time."""
    if strength is Strength.SOME or letter == SIGNS[WorkerState.BACKOFF].letter:
        return letter.lower()
    return TRACE if strength is Strength.TRACE else letter


def share_text(cells: Cells) -> Text:
    """The state other than idle that took most of the window, with its share: ` S 62 %`."""
    seconds = totals(cells)
    active = [state for state in seconds if state is not WorkerState.IDLE]
    state = max(active, key=seconds.__getitem__, default=None)
    if state is None:
        return Text(" " * SHARE_WIDTH, Role.DIM)
    percent = share_in(seconds, state) * 100
    number = "<1" if percent < 0.5 else f"{percent:.0f}"
    return Text(f" {SIGNS[state].letter}{number:>3} %", SIGNS[state].role)
