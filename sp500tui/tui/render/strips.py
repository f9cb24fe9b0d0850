"""Strips of past seconds: one cell a second, the newest at the right end; every value has a distinct sign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sp500tui.tui.render.lines import Line, Role, Span

NOTHING = "·"
"""A second in which nothing was busy or queued; a second without a measurement is blank."""
_SHADES = "░▒▓█"
_EIGHTHS = "▁▂▃▄▅▆▇█"
_LEAST = 0.005
"""Share below which a worker counts as idle for the second."""
_MOST = 0.5
"""Minimum share of a second for a kind of waiting to be shown as its state."""
_TICK = 30
"""Seconds between two labels of the time axis."""
_SHORTEST = 11
"""Minimum cells of a strip with a label before `now`."""


class Activity(NamedTuple):
    """The activity of the workers of a pool in one second, as shares of their time from 0 to 1."""

    busy: float = 0.0
    waiting: float = 0.0
    """Waiting for the request limit, a rate or the next attempt."""
    blocked: float = 0.0
    """Blocked by a full queue."""
    paused: float = 0.0
    failed: int = 0
    """Leases that ended with an error."""
    database_down: float = 0.0
    """Waiting for a database that cannot be used."""


@lru_cache(8192)
def activity_sign(activity: Activity) -> tuple[str, Role]:
    """The cell of one second: a failure, the state that took most of it, or how busy it was."""
    if activity.failed:
        return "✗", Role.BAD
    if activity.database_down >= _MOST:
        return "◇", Role.BAD
    for share, sign, role in (
        (activity.paused, "‖", Role.WARN),
        (activity.waiting, "◔", Role.LABEL),
        (activity.blocked, "◧", Role.WARN),
    ):
        if share >= _MOST:
            return sign, role
    if activity.busy < _LEAST:
        return NOTHING, Role.ACCENT
    return _SHADES[min(len(_SHADES) - 1, int(activity.busy * len(_SHADES)))], Role.ACCENT


def depth_sign(depth: float, full: float) -> str:
    """The cell of one second of a queue's depth: the height is the square root of its share of `full`.

    With a linear height, a batch in a queue of thousands would be invisible.
    """
    if depth <= 0:
        return NOTHING
    share = min(1.0, depth / full) if full > 0 else 1.0
    return _EIGHTHS[min(len(_EIGHTHS) - 1, int(share**0.5 * len(_EIGHTHS)))]


def activity_strip(seconds: Sequence[Activity | None], width: int) -> Line:
    """The last `width` seconds of a pool; adjacent cells of one role form one span."""
    newest = seconds[max(0, len(seconds) - width) :]
    cells = [(" ", Role.ACCENT) if each is None else activity_sign(each) for each in newest]
    return _merged([(" ", Role.ACCENT)] * (width - len(cells)) + cells)


def depth_strip(depths: Sequence[float | None], full: float, width: int) -> Line:
    """The last `width` seconds of a queue's depth."""
    newest = depths[max(0, len(depths) - width) :]
    cells = "".join(" " if each is None else depth_sign(each, full) for each in newest)
    return (Span(cells.rjust(width), Role.ACCENT),)


def _merged(cells: Iterable[tuple[str, Role]]) -> Line:
    spans: list[Span] = []
    for sign, role in cells:
        if spans and spans[-1].role is role:
            spans[-1] = Span(spans[-1].text + sign, role)
        else:
            spans.append(Span(sign, role))
    return tuple(spans)


def time_axis(width: int) -> str:
    """Labels above a strip: `−60 s`, `−30 s` and `now`, each at its second; a short strip has its first second."""
    axis = [" "] * width
    labelled = range(_TICK, width, _TICK) or [width - 1] * (width >= _SHORTEST)
    for ago in labelled:
        label, at = f"−{ago} s", width - 1 - ago
        axis[at : at + len(label)] = label
    return ("".join(axis[: max(0, width - 3)]) + "now")[-width:] if width else ""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on a time axis."""

    ago: int
    """Seconds before the newest cell."""
    sign: str
    """One cell."""
    label: str
    role: Role = Role.VALUE


_SEVERITY = (Role.BAD, Role.WARN, Role.GOOD)


def event_strip(marks: Iterable[Mark], width: int, room: int = 0) -> Line:
    """Signs at their seconds, each with as many words of its label as fit before the next, in `width + room` cells.

    Of several events in one second the most severe is shown. Labels may extend into the `room` after the strip; a
    label that repeats the one before it is left out.
    """
    by_cell: dict[int, Mark] = {}
    for mark in marks:
        at = width - 1 - max(0, mark.ago)
        if at >= 0 and (at not in by_cell or _rank(mark) <= _rank(by_cell[at])):
            by_cell[at] = mark
    spans: list[Span] = []
    end, previous = 0, ""
    places = sorted(by_cell)
    for at, following in zip(places, [*places[1:], width + room + 1], strict=False):
        mark = by_cell[at]
        label = f" {mark.label}" if mark.label and mark.label != previous else ""
        previous = mark.label
        left = following - at - 2
        shown = label if len(label) <= left else label[: left + 1].rpartition(" ")[0]
        spans += [Span(" " * (at - end), Role.LABEL), Span(mark.sign + shown, mark.role)]
        end = at + 1 + len(shown)
    spans.append(Span(" " * (width + room - end), Role.LABEL))
    return tuple(span for span in spans if span.text)


def _rank(mark: Mark) -> int:
    return _SEVERITY.index(mark.role) if mark.role in _SEVERITY else len(_SEVERITY)


def worker_signs(counts: Sequence[tuple[int, str, Role]], width: int) -> Line:
    """A sign for each worker in at most `width` cells; if they do not fit, the count of each sign: `5● 15○`."""
    present = [(number, sign, role) for number, sign, role in counts if number > 0]
    if sum(number for number, _, _ in present) <= width:
        return tuple(Span(sign * number, role) for number, sign, role in present)
    for between in (" ", ""):
        texts = [f"{number}{sign}" for number, sign, _ in present]
        if len(between.join(texts)) <= width:
            spans = [Span(text + between, role) for text, (_, _, role) in zip(texts, present, strict=True)]
            spans[-1] = Span(texts[-1], present[-1][2])
            return tuple(spans)
    number, sign, role = max(present)
    return (Span(f"{number}{sign}", role), Span("…", Role.LABEL))
