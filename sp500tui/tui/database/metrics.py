"""The metrics of the database screen, each with its value, unit and origin."""

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
from sp500tui.tui.render.lines import Line, Role, Span, cut, longest_that_fits

if TYPE_CHECKING:
    from sp500tui.tui.shell.price_reader import StoredOverview

_LABEL = 13
_SPARKLINE = 24
"""Number of insert rates in the sparkline."""
_COMMENT = "--"
"""Start of a comment in SQL."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the list."""

    name: str
    value: str
    note: str
    """Detail after the value, muted."""
    queries: tuple[str, ...]
    """Names in `QUERIES`; empty for a metric that is not queried."""
    origin: str
    """How it is measured, in a sentence."""
    role: Role = Role.VALUE

    def line(self, width: int) -> Line:
        """The metric in `width` cells."""
        note = (Span("  " + self.note, Role.LABEL),) if self.note else ()
        return cut(
            (Span(fit(self.name, _LABEL) + " ", Role.LABEL), Span(self.value, self.role), *note), width
        )


def metrics(
    snapshot: Snapshot,
    stored: StoredOverview | None,
    rates: Sequence[float],
    now: datetime,
    dead_letters: int | str | None = None,
) -> list[Metric]:
    """All metrics in their order.

    Args:
        snapshot: The pipeline's view of the database and its journal.
        stored: The last result of the queries; None before the first one.
        rates: Insert rates in rows per second, oldest first.
        now: UTC.
        dead_letters: Dead letters in their file, or why they cannot be counted; None before the first count.
    """
    return [
        _server(snapshot, stored),
        *_table(stored, rates),
        *_newest(stored, now),
        _connections(stored),
        _commit(snapshot),
        _journal(snapshot),
        _dead_letters(snapshot, dead_letters),
    ]


def _server(snapshot: Snapshot, stored: StoredOverview | None) -> Metric:
    database = snapshot.database
    sign, role = HEALTH_SIGNS[database.health]
    state = clean(database.message) or str(database.health)
    version = f"PostgreSQL {clean(stored.statistics.version)}" if stored is not None else "PostgreSQL"
    kind = "embedded" if database.embedded else clean(database.url)
    retry = f"; next attempt in {span(database.retry_in)}" if database.retry_in is not None else ""
    healthy = database.health is Health.OK
    return Metric(
        "server",
        f"{sign} {version}, {kind}" if healthy else f"{sign} {state}{retry}",
        "" if healthy else kind,
        ("server",),
        "Version, clock, connections and insert counter in one query.",
        Role.VALUE if healthy else role,
    )


def _table(stored: StoredOverview | None, rates: Sequence[float]) -> list[Metric]:
    total = stored.statistics.total if stored is not None else None
    exact = total is None or total.exact
    growth = rate(rates[-1]) if rates else "–"
    until = "after two queries" if stored is not None else ""
    return [
        Metric(
            "rows",
            "–" if total is None else f"{'' if exact else 'about '}{plural(total.rows, 'row')}",
            "" if total is None else "counted" if exact else "estimated",
            ("row_count",) if exact else ("table_size",),
            "Rows are counted up to a table size of 256 MB and estimated from the statistics above it.",
            Role.TITLE,
        ),
        Metric(
            "size",
            "–" if total is None or total.bytes is None else size(total.bytes),
            "on disk, with the key",
            ("table_size",),
            "Disk space of the table and its primary key.",
        ),
        Metric(
            "growth",
            growth,
            f"rows  {sparkline(rates, min(len(rates), _SPARKLINE))}" if rates else until,
            ("server",),
            "Difference of the inserted rows (n_tup_ins) between two queries, divided by the seconds between them.",
        ),
    ]


def _newest(stored: StoredOverview | None, now: datetime) -> list[Metric]:
    newest = stored.newest if stored is not None else None
    traded = newest.quote_time if newest is not None else None
    arrived = newest.stored_at if newest is not None else None
    origin = "A loose index scan on the primary key, so that no other index is needed."
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


def _connections(stored: StoredOverview | None) -> Metric:
    if stored is None:
        value, role = "–", Role.VALUE
    else:
        used, most = stored.statistics.connections, stored.statistics.max_connections
        value = f"{count(used)} of {count(most)}"
        role = Role.WARN if used >= 0.9 * most else Role.VALUE
    return Metric(
        "connections",
        value,
        "with this screen",
        ("server",),
        "Sessions of all databases on the server.",
        role,
    )


def _commit(snapshot: Snapshot) -> Metric:
    commit = snapshot.database.commit
    return Metric(
        "batch commit",
        f"p50 {milliseconds(commit.p50)}  p95 {milliseconds(commit.p95)}",
        "",
        ("insert_prices",),
        "Measured by the writers: a batch is one statement and one commit.",
    )


def _journal(snapshot: Snapshot) -> Metric:
    if snapshot.broker:
        origin = "In a cluster the broker keeps uncommitted rows; the nodes have no journals."
        return Metric("journal", "none", "the broker keeps the rows", (), origin)
    journal = snapshot.journal
    left = (
        f", {plural(journal.replay_left, 'row')} of an earlier run to replay" if journal.replay_left else ""
    )
    bad = journal.health in (Health.DEGRADED, Health.DOWN)
    note = clean(journal.message) if bad else f"of {size(journal.limit_bytes)}"
    return Metric(
        "journal",
        f"{plural(journal.rows, 'row')}, {size(journal.bytes)}{left}",
        note,
        (),
        "Batches on this machine's disk that are not committed yet.",
        Role.WARN if bad else Role.VALUE,
    )


def _dead_letters(snapshot: Snapshot, kept: int | str | None) -> Metric:
    dead = snapshot.ledger.dead
    note = f"{count(dead) if dead else 'none'} this run"
    if isinstance(kept, int):
        value, note = plural(kept, "row"), f"kept; {note}"
    elif kept is None:
        value = "–"
    else:
        value, note = "not counted", f"{note}; {clean(kept)}"
    return Metric(
        "dead letters",
        value,
        note,
        (),
        "Rows that the database rejected, of this run and earlier ones, in a file of the data folder. To list them: "
        "sp500tui dead-letters list",
        Role.WARN if dead or kept else Role.VALUE,
    )


def sql_lines(metric: Metric, queries: Mapping[str, str], width: int, *, comments: bool = True) -> list[Line]:
    """The origin of a metric: a sentence, then the SQL as it is sent.

    Args:
        metric: The marked metric.
        queries: SQL by name.
        width: Cells of a line.
        comments: Whether to include the comments of the SQL.
    """
    lines: list[Line] = [*_wrapped(metric.origin, width), cut((), width)]
    if not metric.queries:
        return [*lines, *_wrapped("no SQL: measured by the pipeline", width)]
    for name in metric.queries:
        for text in queries[name].rstrip().splitlines():
            if text.startswith(_COMMENT):
                lines += _wrapped_comment(text, width) if comments else []
            else:
                lines += _wrapped_sql(text, width)
    return lines


def fitted_sql_lines(
    metric: Metric, queries: Mapping[str, str], width: int, height: int, copy_key: str = "y"
) -> list[Line]:
    """The origin in at most `height` lines: without comments if they do not fit, then cut with a note."""
    for comments in (True, False):
        lines = sql_lines(metric, queries, width, comments=comments)
        if len(lines) <= height:
            return lines
    kept = max(height - 1, 0)
    more = plural(len(lines) - kept, "more line")
    texts = (f"… {more}; {copy_key} copies the SQL", f"… {more}", f"… {count(len(lines) - kept)} more")
    return [*lines[:kept], longest_that_fits([(Span(text, Role.LABEL),) for text in texts], width)]


def _wrapped(text: str, width: int) -> list[Line]:
    return [cut((Span(line, Role.LABEL),), width) for line in wrap(text, max(width, 10))]


def _wrapped_comment(text: str, width: int) -> list[Line]:
    """An SQL comment, wrapped so that each line is a comment."""
    parts = wrap(text, max(width, 10), subsequent_indent=f"{_COMMENT} ")
    return [cut((Span(part, Role.LABEL),), width) for part in parts]


def _wrapped_sql(text: str, width: int) -> list[Line]:
    """A line of SQL, wrapped with an indent, which is reduced where a word would otherwise be split."""
    width_of_word = max(map(len, text.split()), default=0)
    indent = min(len(text) - len(text.lstrip()) + 4, max(0, width - width_of_word))
    parts = wrap(text, max(width, 10), subsequent_indent=" " * indent, break_on_hyphens=False)
    return [cut((Span(part),), width) for part in parts]
