"""The figures of the database screen: each with its value, its unit and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING

from sp500tui.pipeline.core.snapshot import Health, Snapshot
from sp500tui.tui.render.formats import (
    clean,
    count,
    fit,
    format_time,
    milliseconds,
    plural,
    rate,
    seconds_between,
    size,
    span,
    sparkline,
)
from sp500tui.tui.render.labels import HEALTH_SIGNS
from sp500tui.tui.render.lines import Line, Role, Span, cut

if TYPE_CHECKING:
    from sp500tui.tui.shell.price_reader import StoredAll

_LABEL = 13
_HISTORY = 24
"""Readings drawn beside the rows a second."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the list."""

    name: str
    value: str
    note: str
    """What the value leaves open, muted."""
    queries: tuple[str, ...]
    """Names in `QUERIES`; empty where the figure is not asked of the database."""
    origin: str
    """In a sentence where it comes from."""
    role: Role = Role.VALUE

    def line(self, width: int) -> Line:
        """The figure in `width` cells."""
        note = (Span("  " + self.note, Role.LABEL),) if self.note else ()
        return cut(
            (Span(fit(self.name, _LABEL) + " ", Role.LABEL), Span(self.value, self.role), *note), width
        )


def figures(
    snapshot: Snapshot,
    stored: StoredAll | None,
    rates: Sequence[float],
    now: datetime,
    letters: int | str | None = None,
) -> list[Metric]:
    """All figures in their order.

    Args:
        snapshot: The pipeline's own view of the database and its journal.
        stored: What the database answered last; None before the first answer.
        rates: Rows a second at the last readings, oldest first.
        now: UTC.
        letters: Dead letters kept in their file, or why they cannot be counted; None before they were.
    """
    return [
        _server(snapshot, stored),
        *_table(stored, rates),
        *_newest(stored, now),
        _connections(stored),
        _commit(snapshot),
        _journal(snapshot),
        _dead(snapshot, letters),
    ]


def _server(snapshot: Snapshot, stored: StoredAll | None) -> Metric:
    database = snapshot.database
    sign, role = HEALTH_SIGNS[database.health]
    state = clean(database.message) or str(database.health)
    version = f"PostgreSQL {clean(stored.statistics.version)}" if stored is not None else "PostgreSQL"
    kind = "embedded" if database.embedded else clean(database.url)
    again = f"; next attempt in {span(database.retry_in)}" if database.retry_in is not None else ""
    healthy = database.health is Health.OK
    return Metric(
        "server",
        f"{sign} {version}, {kind}" if healthy else f"{sign} {state}{again}",
        "" if healthy else kind,
        ("server",),
        "Version, clock, connections and insertions in one question to the server.",
        Role.VALUE if healthy else role,
    )


def _table(stored: StoredAll | None, rates: Sequence[float]) -> list[Metric]:
    total = stored.statistics.total if stored is not None else None
    exact = total is None or total.exact
    speed = rate(rates[-1]) if rates else "–"
    return [
        Metric(
            "rows",
            "–" if total is None else f"{'' if exact else 'about '}{plural(total.rows, 'row')}",
            "" if total is None else "counted" if exact else "the server's estimate",
            ("row_count",) if exact else ("table_size",),
            "A table of up to 256 MB is counted row by row, one above it is estimated from the server's sample.",
            Role.TITLE,
        ),
        Metric(
            "size",
            "–" if total is None or total.bytes is None else size(total.bytes),
            "on disk, with the key",
            ("table_size",),
            "The table and its primary key as they lie on the server's disk.",
        ),
        Metric(
            "growth",
            speed,
            f"rows  {sparkline(rates, min(len(rates), _HISTORY))}" if rates else "after two readings",
            ("server",),
            "Rows ever inserted (n_tup_ins), now less at the reading before, over the seconds between.",
        ),
    ]


def _newest(stored: StoredAll | None, now: datetime) -> list[Metric]:
    newest = stored.newest if stored is not None else None
    traded = newest.quote_time if newest is not None else None
    arrived = newest.stored_at if newest is not None else None
    origin = "The key of the table is walked from symbol to symbol, so that no other index is needed."
    return [
        Metric(
            "symbols",
            "–" if newest is None else count(newest.symbols),
            "with a price",
            ("latest_trade",),
            origin,
        ),
        Metric("newest trade", format_time(traded, now), _ago(traded, now), ("latest_trade",), origin),
        Metric("newest row", format_time(arrived, now), _ago(arrived, now), ("latest_trade",), origin),
    ]


def _ago(time: datetime | None, now: datetime) -> str:
    return "" if time is None else f"{span(seconds_between(time, now))} ago"


def _connections(stored: StoredAll | None) -> Metric:
    if stored is None:
        words, role = "–", Role.VALUE
    else:
        used, most = stored.statistics.connections, stored.statistics.max_connections
        words = f"{count(used)} of {count(most)}"
        role = Role.WARN if used >= 0.9 * most else Role.VALUE
    return Metric(
        "connections", words, "this screen's included", ("server",), "Sessions of all databases.", role
    )


def _commit(snapshot: Snapshot) -> Metric:
    commit = snapshot.database.commit
    return Metric(
        "commit",
        f"p50 {milliseconds(commit.p50)}  p95 {milliseconds(commit.p95)}",
        "a batch",
        ("insert_prices",),
        "Measured by the writers: one batch, one statement, one commit.",
    )


def _journal(snapshot: Snapshot) -> Metric:
    if snapshot.broker:
        why = "A cluster's broker keeps what is not committed yet; no node has a journal of its own."
        return Metric("journal", "none", "the broker keeps it", (), why)
    journal = snapshot.journal
    left = f", {plural(journal.replay_left, 'row')} of an earlier run to come" if journal.replay_left else ""
    bad = journal.health in (Health.DEGRADED, Health.DOWN)
    note = clean(journal.message) if bad else f"of {size(journal.limit_bytes)} at most"
    return Metric(
        "journal",
        f"{plural(journal.rows, 'row')}, {size(journal.bytes)}{left}",
        note,
        (),
        "Batches that are on this machine's disk and not committed yet; not in the database.",
        Role.WARN if bad else Role.VALUE,
    )


def _dead(snapshot: Snapshot, letters: int | str | None) -> Metric:
    dead = snapshot.ledger.dead
    note = f"{count(dead) if dead else 'none'} refused in this run"
    if isinstance(letters, int):
        value, note = plural(letters, "row"), f"kept; {note}"
    elif letters is None:
        value = "–"
    else:
        value, note = "not counted", f"{note}; {clean(letters)}"
    return Metric(
        "dead letters",
        value,
        note,
        (),
        "Rows that the database refuses for good, of this run and of earlier ones, in a file of the data folder: "
        "sp500tui dead-letters list",
        Role.WARN if dead or letters else Role.VALUE,
    )


def sql_lines(figure: Metric, queries: Mapping[str, str], width: int, *, comments: bool = True) -> list[Line]:
    """Where a figure comes from: a sentence, then the SQL as it is sent.

    Args:
        figure: The one under the cursor.
        queries: SQL by name.
        width: Cells of a line.
        comments: Whether those of the SQL are shown.
    """
    lines: list[Line] = [*_wrapped(figure.origin, width), cut((), width)]
    if not figure.queries:
        return [*lines, cut((Span("no SQL: counted by the pipeline", Role.LABEL),), width)]
    for name in figure.queries:
        for text in queries[name].rstrip().splitlines():
            if text.startswith("--"):
                lines += _wrapped(text, width) if comments else []
            else:
                lines += _broken(text, width)
    return lines


def sql_in(figure: Metric, queries: Mapping[str, str], width: int, height: int) -> list[Line]:
    """As much of it as `height` lines have room for: comments go first; a last line tells how much is left out."""
    for comments in (True, False):
        lines = sql_lines(figure, queries, width, comments=comments)
        if len(lines) <= height:
            return lines
    kept = max(height - 1, 0)
    words = f"… {plural(len(lines) - kept, 'more line')}: y copies the SQL"
    return [*lines[:kept], cut((Span(words, Role.LABEL),), width)]


def _wrapped(text: str, width: int) -> list[Line]:
    return [cut((Span(line, Role.LABEL),), width) for line in wrap(text, max(width, 10))]


def _broken(text: str, width: int) -> list[Line]:
    """A line of SQL, its rest indented below it where it is too long."""
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    parts = wrap(text, max(width, 20), subsequent_indent=indent, drop_whitespace=True, break_long_words=True)
    return [cut((Span(part),), width) for part in parts]
