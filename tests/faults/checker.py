"""Compares what the demo market served with the contents of the table, the journal and the dead letters."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.journal.segment import SUFFIX, scan
from sp500tui.simulator.stats import ServedBar, ServedChart, ServedQuote, read_served_quotes
from sp500tui.storage import batch_codec as rowcodec

Key = tuple[str, int]
"""Symbol as listed, and the trade's time in seconds since 1970: the primary key."""
Place = Iterable[tuple[Key, Decimal]]
BarKey = tuple[str, str, int]
"""Symbol as listed, resolution, and start in seconds since 1970: the primary key of bars."""
BarValues = tuple[Decimal, Decimal, Decimal, Decimal, int | None]
"""Open, high, low, close and volume."""
BarPlace = Iterable[tuple[BarKey, BarValues]]
SETTLED = 120
"""Seconds after its end after which a served bar must be stored: a program may wait until it is final."""
AnyKey = TypeVar("AnyKey", Key, BarKey)
AnyValue = TypeVar("AnyValue", Decimal, BarValues)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whereabouts of everything served; keys are those of quotes or of bars."""

    handed_out: int
    """Distinct quotes served."""
    in_table: int
    in_journal: int
    in_dead_letters: int
    lost: tuple[Any, ...]
    """Served, but not found anywhere."""
    doubled: tuple[Any, ...]
    """Stored more than once in the table."""
    altered: tuple[Any, ...]
    """Found with a price that the market did not serve."""
    invented: tuple[Any, ...]
    """Found, but never served."""

    @property
    def wrong(self) -> set[str]:
        """The kinds of violation found."""
        return {name for name in ("lost", "doubled", "altered", "invented") if getattr(self, name)}

    @property
    def clean(self) -> bool:
        """Whether there is no violation, and at least one quote was served."""
        return self.handed_out > 0 and not self.wrong

    def __str__(self) -> str:
        wrong = {name: getattr(self, name) for name in ("lost", "doubled", "altered", "invented")}
        words = ", ".join(
            f"{len(keys)} {name} {keys[:3] if keys else ''}".strip() for name, keys in wrong.items()
        )
        return (
            f"{self.handed_out} handed out, {self.in_table} in the table, {self.in_journal} in the journal, "
            f"{self.in_dead_letters} dead: {words}"
        )


def judge(
    handed_out: Iterable[ServedQuote],
    table: Place,
    journal: Place,
    dead_letters: Place,
    *,
    known: Iterable[ServedQuote] = (),
) -> Verdict:
    """Compare quotes. Those of `known` were served too, but need not be found: earlier or very recent ones."""
    due = _prices(handed_out)
    allowed = _prices(known)
    return _compare(due, allowed, [list(table), list(journal), list(dead_letters)])


def judge_bars(
    served: Iterable[ServedChart],
    table: BarPlace,
    journal: BarPlace = (),
    dead_letters: BarPlace = (),
    *,
    known: Iterable[ServedChart] = (),
) -> Verdict:
    """Compare bars. Those of `known` were served too, but need not be found.

    A bar that was still running when it was served does not count as served, and must not be stored.
    """
    due: defaultdict[BarKey, set[BarValues]] = defaultdict(set)
    allowed: defaultdict[BarKey, set[BarValues]] = defaultdict(set)
    for chart in served:
        for bar in chart.bars:
            places = (due, allowed) if bar.end + SETTLED <= chart.served_at else (allowed,)
            for place in places:
                place[chart.symbol, chart.interval, bar.start].add(_bar_values(bar))
    for chart in known:
        for bar in chart.bars:
            allowed[chart.symbol, chart.interval, bar.start].add(_bar_values(bar))
    return _compare(due, allowed, [list(table), list(journal), list(dead_letters)])


def withheld_bars(served: Iterable[ServedChart]) -> set[BarKey]:
    """The bars that a fault of the market has withheld from every response: the holes that must be known."""
    charts = list(served)
    given = {(chart.symbol, chart.interval, bar.start) for chart in charts for bar in chart.bars}
    return {(chart.symbol, chart.interval, start) for chart in charts for start in chart.withheld} - given


def _bar_values(bar: ServedBar) -> BarValues:
    return Decimal(bar.open), Decimal(bar.high), Decimal(bar.low), Decimal(bar.close), bar.volume


def _compare(
    due: defaultdict[AnyKey, set[AnyValue]],
    allowed: defaultdict[AnyKey, set[AnyValue]],
    places: list[list[tuple[AnyKey, AnyValue]]],
) -> Verdict:
    """Compare the required and the optional rows with table, journal and dead letters."""
    for due_key, values in due.items():
        allowed[due_key] |= values
    found = {key for place in places for key, _ in place}
    everything = [entry for place in places for entry in place]
    counts = Counter(key for key, _ in places[0])
    in_table, in_journal, in_dead_letters = (len({key for key, _ in place}) for place in places)
    return Verdict(
        len(due),
        in_table,
        in_journal,
        in_dead_letters,
        lost=tuple(sorted(set(due) - found)),
        doubled=tuple(sorted(key for key, count in counts.items() if count > 1)),
        altered=tuple(sorted({k for k, value in everything if k in allowed and value not in allowed[k]})),
        invented=tuple(sorted(found - set(allowed))),
    )


def _prices(quotes: Iterable[ServedQuote]) -> defaultdict[Key, set[Decimal]]:
    prices: defaultdict[Key, set[Decimal]] = defaultdict(set)
    for quote in quotes:
        prices[quote.symbol, quote.quote_time].add(Decimal(quote.price))
    return prices


def rows_in_table(url: str) -> list[tuple[Key, Decimal]]:
    """The rows of the table `prices`."""
    with psycopg.connect(url, options="-c DateStyle=ISO") as connection:
        rows = connection.execute("SELECT symbol, quote_time, price FROM prices").fetchall()
    return [((symbol, round(time.timestamp())), price) for symbol, time, price in rows]


def bars_in_table(url: str) -> list[tuple[BarKey, BarValues]]:
    """The rows of the table `bars`."""
    query = "SELECT symbol, resolution, start_time, open, high, low, close, volume FROM bars"
    with psycopg.connect(url, options="-c DateStyle=ISO") as connection:
        rows = connection.execute(query).fetchall()
    return [
        ((symbol, resolution, round(start.timestamp())), (first, high, low, last, volume))
        for symbol, resolution, start, first, high, low, last, volume in rows
    ]


def rows_in_journal(folder: Path) -> list[tuple[Key, Decimal]]:
    """The rows of open batches in the files of a journal folder, of any process."""
    found: list[tuple[Key, Decimal]] = []
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        data = path.read_bytes()
        for record in scan(data).open_batches.values():
            payload = data[record.offset : record.offset + record.length]
            found += [_entry(row) for row in rowcodec.decode(payload)]
    return found


def rows_in_dead_letters(path: Path) -> list[tuple[Key, Decimal]]:
    """The rows in the dead-letter file; a letter with unreadable bytes has none."""
    return [_entry(letter.row) for letter in DeadLetters(path).listing() if "quote_time" in letter.row]


def _entry(row: Mapping[str, str | None]) -> tuple[Key, Decimal]:
    time = datetime.fromisoformat(str(row["quote_time"]))
    return (str(row["symbol"]), round(time.timestamp())), Decimal(str(row["price"]))


@dataclass
class Handed:
    """The market's ledger from a position on. Exchange rates are not quotes."""

    path: Path
    start: int = 0

    @classmethod
    def from_now(cls, path: Path) -> Handed:
        """The ledger from its current end."""
        return cls(path, cls.size(path))

    @staticmethod
    def size(path: Path) -> int:
        return path.stat().st_size if path.exists() else 0

    def now(self) -> int:
        """The current length of the ledger in bytes."""
        return self.size(self.path)

    def quotes(self, until: int | None = None) -> list[ServedQuote]:
        """The quotes served since that position, up to a value of `now`."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            data = file.read(-1 if until is None else until - self.start)
        copy = self.path.with_name(f"part-{os.getpid()}")
        copy.write_bytes(data)
        quotes = read_served_quotes(copy)
        copy.unlink()
        return [quote for quote in quotes if "=" not in quote.symbol]

    def earlier(self) -> list[ServedQuote]:
        """The quotes served before that position."""
        return Handed(self.path).quotes(self.start)


@dataclass
class Checker:
    """The checker with the folders and database of one test."""

    handed: Handed
    data: Path
    """The market's data folder."""

    def verdict(self, database: str, until: int | None = None) -> Verdict:
        """Compare now; quotes served after the position `until` of the ledger need not be found."""
        return judge(
            self.handed.quotes(until),
            rows_in_table(database),
            rows_in_journal(self.data / "journal"),
            rows_in_dead_letters(self.data / "dead-letters.jsonl"),
            known=[*self.handed.earlier(), *self.handed.quotes()],
        )
