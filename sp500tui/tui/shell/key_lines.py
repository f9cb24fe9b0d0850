"""The key bar's line: the keys that work here and now, the ones that always matter at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sp500tui.tui.render.lines import Line, Role, Span, spread, width_of

ALWAYS = ("help", "quit", "palette")
"""Ids of the bindings that keep their place however narrow the window is."""

_RANK = (
    "screen.back",
    "nodes.more",
    "nodes.previous_stage",
    "faults.switch",
    "faults.weaker",
    "symbol.next",
    "chart.span",
    "faults.clear",
    "database.copy",
    "stage.more",
    "pipeline.pause",
    "log.level",
    "log.search",
    "log.copy",
    "workers.copy",
    "workers.export_csv",
    "prices.filter",
    "prices.select",
    "view.freeze",
    "cycle.run",
    "view.zoom",
    "stage.previous",
    "interval.shorter",
)
"""Ids of the bindings that are shown first where there is not room for all."""


_APART = 3
"""Blanks at least between the keys of the moment and those at the end."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One key, or several of a group, with what they do."""

    id: str
    keys: tuple[tuple[str, str], ...]
    """Each key as it is printed and by its name."""
    words: str


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a click presses a key."""

    left: int
    right: int
    """First cell behind it."""
    key: str
    """By its name: `left_square_bracket`."""


def key_line(entries: Iterable[ShownKey], width: int) -> tuple[Line, Sequence[Spot]]:
    """The bar in exactly `width` cells, and where its keys can be clicked.

    What does not fit is left out, the least important first and never the keys of `ALWAYS`.
    """
    ordered = list(entries)
    fixed = [entry for name in ALWAYS for entry in ordered if entry.id == name]
    right = _line(fixed)
    room = width - width_of(right) - 2
    chosen: list[ShownKey] = []
    for candidate in sorted(ordered, key=_rank):
        if candidate not in fixed and width_of(_line([*chosen, candidate])) <= room - _APART:
            chosen.append(candidate)
    chosen.sort(key=ordered.index)
    left = (Span(" "), *_line(chosen))
    line = spread(left, (*right, Span(" ")), width)
    return line, [*_spots(chosen, 1), *_spots(fixed, width - width_of(right) - 1)]


def _rank(entry: ShownKey) -> int:
    return _RANK.index(entry.id) if entry.id in _RANK else len(_RANK)


def _line(entries: Sequence[ShownKey]) -> Line:
    spans: list[Span] = []
    for position, entry in enumerate(entries):
        if position:
            spans.append(Span("  "))
        keys = " ".join(key for key, _ in entry.keys)
        spans += [Span(keys, Role.ACCENT), Span(f" {entry.words}", Role.LABEL)]
    return tuple(spans)


def _spots(entries: Sequence[ShownKey], left: int) -> list[Spot]:
    """The cells of every key; the last key of a group takes the words behind it too."""
    spots: list[Spot] = []
    for entry in entries:
        for position, (sign, name) in enumerate(entry.keys):
            last = position == len(entry.keys) - 1
            right = left + len(sign) + (1 + len(entry.words) if last else 0)
            spots.append(Spot(left, right, name))
            left = right + (2 if last else 1)
    return spots
