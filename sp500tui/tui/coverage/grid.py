"""The coverage of symbols and sessions as lines: a cell for each session, the symbols with the largest gaps first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise

from sp500tui.storage.history.coverage import CoverageCell, StoredCoverage
from sp500tui.tui.render.formats import clean, plural
from sp500tui.tui.render.lines import Line, Role, Span, cut, width_of

SIGNS: dict[str, tuple[str, Role]] = {
    "complete": ("■", Role.GOOD),
    "partial": ("◧", Role.WARN),
    "missing": ("□", Role.BAD),
    "not yet": ("·", Role.DIM),
    "unanswered": ("?", Role.WARN),
    "replaced": ("▣", Role.DIM),
    "too old": ("×", Role.DIM),
}
"""Sign and role of each state, so that states differ without colour."""
_UNKNOWN = (" ", Role.DIM)
MARK = ("◆", Role.ACCENT)
"""Sign and role of a session marked to be fetched, in place of those of its state."""
_SYMBOL_WIDTH = 9
_SUMMARY_WIDTH = 16
_RETRIEVABLE = ("partial", "missing")


@dataclass(frozen=True)
class CoverageGrid:
    """The symbols and the dates of a coverage."""

    stored: StoredCoverage

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """All dates, oldest first."""
        return tuple(sorted({cell.session_date for cell in self.stored.cells}))

    @cached_property
    def cells(self) -> dict[tuple[str, date], CoverageCell]:
        """The cells by symbol and date."""
        return {(cell.symbol, cell.session_date): cell for cell in self.stored.cells}

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Symbols by missing bars that the source may have, then by those that it does not have; most first."""
        gaps: dict[str, list[int]] = {}
        for cell in self.stored.cells:
            counts = gaps.setdefault(cell.symbol, [0, 0])
            if cell.state in _RETRIEVABLE:
                counts[0] += cell.missing
            elif cell.state not in ("not yet", "replaced"):
                counts[1] += cell.missing
        return tuple(sorted(gaps, key=lambda symbol: (-gaps[symbol][0], -gaps[symbol][1], symbol)))

    def missing(self, symbol: str) -> int:
        """The bars of a symbol that the source may have."""
        found = (self.cells.get((symbol, day)) for day in self.dates)
        return sum(cell.missing for cell in found if cell is not None and cell.state in _RETRIEVABLE)

    def shown_dates(self, width: int, chosen: int) -> range:
        """Positions of the dates that fit into a width, with the chosen one among them; the newest ones if possible."""
        room = max(1, width - _SYMBOL_WIDTH - _SUMMARY_WIDTH)
        first = min(max(0, len(self.dates) - room), chosen)
        return range(first, min(len(self.dates), first + room))

    def line(self, symbol: str, shown: range, width: int, marks: Collection[tuple[str, date]] = ()) -> Line:
        """The row of one symbol, with the sessions in `marks` marked."""
        spans = [Span(f"{clean(symbol)[: _SYMBOL_WIDTH - 1]:<{_SYMBOL_WIDTH}}")]
        for position in shown:
            key = (symbol, self.dates[position])
            cell = self.cells.get(key)
            sign = _UNKNOWN if cell is None else SIGNS.get(cell.state, ("!", Role.BAD))
            spans.append(Span(*(MARK if key in marks else sign)))
        missing = self.missing(symbol)
        text = f"{missing:,} missing" if missing else ""
        spans.append(Span(f"{text:>{_SUMMARY_WIDTH}}", Role.LABEL))
        return cut(tuple(spans), width)

    def heading(self, shown: range, chosen: int, width: int) -> Line:
        """The months, and a mark above the chosen date; a letter of a month there is marked instead."""
        signs = [" "] * len(shown)
        for place, until in pairwise(self._month_starts(shown)):
            label = f"{self.dates[shown[place]]:%b}"
            # The label of a short month would overlap the next one.
            if len(label) < until - place or until == len(shown) == place + len(label):
                signs[place : place + len(label)] = label
        before = "".join(signs)
        at = chosen - shown.start
        mark = Span("▼", Role.ACCENT) if before[at] == " " else Span(before[at], Role.SELECTED)
        spans = (
            Span(" " * _SYMBOL_WIDTH),
            Span(before[:at], Role.LABEL),
            mark,
            Span(before[at + 1 :], Role.LABEL),
        )
        return cut(spans, width)

    def _month_starts(self, shown: range) -> list[int]:
        """The places of the first session of each month among those shown, and the end."""
        months = [self.dates[position].replace(day=1) for position in shown]
        starts = [place for place, month in enumerate(months) if place == 0 or month != months[place - 1]]
        return [*starts, len(shown)]


def legend(width: int) -> list[Line]:
    """The meaning of the signs, in as many lines as that takes."""
    entries = [*SIGNS.items(), ("marked", MARK), ("not checked", ("blank", Role.LABEL))]
    lines: list[list[Span]] = [[]]
    for state, (sign, role) in entries:
        entry = [Span(sign, role), Span(f" {state}  ", Role.LABEL)]
        if lines[-1] and width_of(lines[-1]) + width_of(entry) - 2 > width:
            lines.append([])
        lines[-1] += entry
    return [cut(tuple(line), width) for line in lines]


_MEANINGS = {
    "not yet": ": the session has not ended",
    "too old": ": the source does not keep them for so long",
    "replaced": " by longer bars",
}
"""Explanations of states."""


def cell_text(cell: CoverageCell | None, symbol: str, day: date, resolution: str) -> str:
    """One session in words: `AAPL 2026-05-04: 360 of 390 1m bars, partial; requested 2 times`."""
    where = f"{clean(symbol)} {day}"
    if cell is None:
        return f"{where}: not checked"
    text = f"{where}: {cell.present:,} of {cell.expected:,} {unit(resolution)}, {cell.state}"
    text += _MEANINGS.get(cell.state, "")
    if cell.attempts:
        text += f"; requested {plural(cell.attempts, 'time')}"
        if cell.asked_at is not None:
            text += f", last at {cell.asked_at.astimezone():%Y-%m-%d %H:%M}"
    return text


def unit(resolution: str) -> str:
    """The unit that is counted at a resolution."""
    return "minutes with a price" if resolution == "quotes" else f"{resolution} bars"


def hole_lines(holes: Sequence[tuple[datetime, datetime]], width: int, height: int) -> list[Line]:
    """The ranges without bars, in columns, in the local time zone; those that do not fit are counted."""
    texts = [f"{first.astimezone():%H:%M}–{last.astimezone():%H:%M}" for first, last in holes]
    columns = max(1, width // 14)
    room = max(1, columns * height)
    if len(texts) > room:
        texts = [*texts[: room - 1], f"+{len(texts) - room + 1:,} more"]
    rows = [texts[at : at + columns] for at in range(0, len(texts), columns)]
    return [cut((Span("".join(f"{text:<14}" for text in row)),), width) for row in rows]
