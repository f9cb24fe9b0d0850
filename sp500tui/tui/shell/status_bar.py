"""The status bar: state, progress, the conservation equation and the bottleneck."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from math import ceil

from textual import events

from sp500tui.duration_text import share_of_time
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, Phase, Snapshot
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.render.cluster_labels import nodes_label
from sp500tui.tui.render.formats import (
    clean,
    count,
    fit,
    gauge,
    milliseconds,
    plural,
    short_span,
)
from sp500tui.tui.render.labels import (
    EXCHANGE,
    HEALTH_SIGNS,
    NAMES_THE_SESSION,
    market_label,
    phase_word,
    session_label,
    shortened,
    verdict_label,
)
from sp500tui.tui.render.lines import Line, Role, Span, cut, joined, spread, width_of
from sp500tui.tui.widgets.lines_widget import LinesWidget

NAME = "sp500tui"
_MARGIN_FROM = 100
"""Minimum width in cells at which the lines are indented like the panels below."""
_WIDE = 150
_LABEL, _VALUE = Role.LABEL, Role.VALUE
_SHOWN_ELSEWHERE = re.compile(r" \([\d,]+ of [\d,]+\)|the database [a-z]+://\S+ ")
"""A queue's fill level, which the pipeline panel shows too, and the database's address, as with its health."""
_PRICE_PLACES = Decimal("0.0001")
"""Decimals of an exchange rate."""


@dataclass(frozen=True, slots=True)
class View:
    """The content of the status bar in addition to the snapshot."""

    clock: str
    """Local time, `14:02:11`."""
    now: datetime
    """The same time, UTC."""
    frozen: bool = False
    """Whether the panels are paused."""
    market_speed: float = 1.0
    """Speed of the demo's trading day."""
    key_of: Callable[[str], str] | None = None
    """Returns the configured key of a binding, empty if it has no effect; by default the keys in the verdict."""
    selected: StageName | None = None
    """The target of the scaling keys; by default the stage that the verdict is about."""

    @classmethod
    def of(cls, dashboard: DashboardContext, *, frozen: bool = False) -> View:
        """The view of a dashboard now."""
        now, speed = dashboard.clock(), dashboard.settings.market_speed
        time, keys = f"{now.astimezone():%H:%M:%S}", dashboard.offered_key
        return cls(time, now, frozen, speed, keys, dashboard.selected_stage)


def status_lines(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """The bar in `height` lines of `width` cells: state and progress, the conservation equation, and the verdict.

    In four lines the equation takes two, which a narrow window requires; in two lines the verdict is left out.
    """
    margin = " " if width >= _MARGIN_FROM else ""
    inner = width - 2 * len(margin)
    first, verdict = _first_line(snapshot, view, inner, height), _verdict(snapshot, view, inner)
    if height > 3:
        top, rest = equation_on_two_lines(snapshot.ledger, inner)
        second = rest or next(iter(_missing_variants(snapshot)[-2:]), ()) or _fx(snapshot)
        lines = [
            first,
            top,
            _beside(second, _health_variants(snapshot), inner),
            cut(verdict, inner),
        ]
    else:
        health = _beside(verdict, _health_variants(snapshot), inner)
        lines = [first, _equation_line(snapshot, inner), health]
    return [(Span(margin), *line, Span(margin)) for line in lines[:height]]


# State, cycle and market


def _first_line(snapshot: Snapshot, view: View, width: int, height: int) -> Line:
    """State, progress and market; the health too if it has no other line."""
    sign, word, role = phase_word(snapshot)
    state = (Span(f"{sign} {word:<8}", role),)
    label = market_label(demo=snapshot.demo, speed=view.market_speed, short=width < _WIDE)
    mode = (Span(label, Role.ACCENT if snapshot.demo else Role.TITLE),)
    title: Line = (Span(NAME, Role.TITLE),) if width >= 98 else ()
    edge = " " if title else ""
    frozen: Line = (Span(f"{edge}view paused{edge}", Role.SELECTED),) if view.frozen else ()
    bar = 24 if width >= _WIDE else 10 if width >= 98 else 0
    gap = "   " if width >= _WIDE else "  "
    left = joined((title, state, mode, frozen, _cycle(snapshot, bar)), gap)
    if height < 3:
        return _beside(left, _health_variants(snapshot), width)
    clock: Line = (Span(view.clock, _LABEL),) if width >= _WIDE else ()
    *named, bare = _markets(snapshot, view.now)
    rates = [] if height > 3 else [_fx(snapshot), _fx(snapshot)[:-1]]
    pairs = [
        *((market, fx) for fx in rates for market in named),
        *((market, ()) for market in (*named, bare)),
    ]
    return _beside(left, [joined((market, fx, clock), gap) for market, fx in pairs], width)


def _beside(left: Line, variants: Iterable[Line], width: int) -> Line:
    """`left`, and at the end of the line the longest variant that fits."""
    room = width - width_of(left) - 2
    right = next((each for each in variants if width_of(each) <= room), ())
    return spread(left, right, width)


def _markets(snapshot: Snapshot, now: datetime) -> list[Line]:
    """The session and its next change, from long to short."""
    session, change = session_label(snapshot.market, now)
    if session == EXCHANGE:  # of a session that is not known: the name alone would say nothing
        return [(Span(session), Span(f", {change}", _LABEL)), (Span(change, _LABEL),), ()] if change else [()]
    alone: list[Line] = [(Span(session),), (Span(session.removeprefix("NYSE ")),)]
    if not change:
        return alone
    verb, apart, left = change.rpartition(" in ")
    changes = [change, f"{verb} in {' '.join(left.split(' ')[:2])}"] if apart else [change]
    if verb in NAMES_THE_SESSION:
        shorter: list[Line] = [(Span("NYSE "), Span(each, _LABEL)) for each in changes]
    else:
        shorter = [(Span(session), Span(f", {each}", _LABEL)) for each in changes[1:]]
    return [(Span(session), Span(f", {change}", _LABEL)), *shorter, *alone]


def _cycle(snapshot: Snapshot, bar: int) -> Line:
    """Number, progress and time of the cycle, in a width that depends only on the total."""
    cycle = snapshot.cycle
    words, role = _cycle_time(snapshot)
    if not cycle.number:
        return (Span("cycle – ", _LABEL), Span(fit(words, 14), role))
    total = count(cycle.total)
    share = cycle.done / cycle.total if cycle.total else 0.0
    middle: Line = (Span(gauge(share, bar), Role.ACCENT), Span(" ")) if bar else ()
    return (
        Span("cycle ", _LABEL),
        Span(f"{count(cycle.number)} "),
        *middle,
        Span(f"{count(cycle.done):>{len(total)}}/{total} "),
        Span(words.ljust(14 if bar else 12), role),
    )


def _cycle_time(snapshot: Snapshot) -> tuple[str, Role]:
    """The time taken by the running cycle and its interval, or the time to the next cycle."""
    cycle = snapshot.cycle
    if snapshot.phase in (Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED, Phase.FAILED):
        return "none due", _LABEL
    if snapshot.phase is Phase.STARTING and cycle.next_in is None:
        return "", _LABEL  # when the first one is due is known once the pipeline runs
    if snapshot.phase is Phase.PAUSED or snapshot.stage(StageName.SCRAPER).paused:
        return "paused", Role.WARN
    if cycle.running:
        late = cycle.seconds > cycle.interval > 0
        return share_of_time(cycle.seconds, cycle.interval), Role.WARN if late else _LABEL
    if cycle.next_in is None:
        return "none due", _LABEL
    words = "next in" if cycle.number else "first in"
    return f"{words} {short_span(max(1.0, ceil(cycle.next_in)))}", _LABEL


def _fx(snapshot: Snapshot) -> Line:
    sources = snapshot.sources
    if not sources.fx_pair:
        return ()
    age = f", {short_span(max(1.0, sources.fx_age))} old" if sources.fx_age is not None else ", no rate yet"
    return (Span(f"{clean(sources.fx_pair)} ", _LABEL), Span(_short_rate(sources.fx_rate)), Span(age, _LABEL))


def _short_rate(text: str) -> str:
    """An exchange rate with four decimals; text that is not a number is unchanged."""
    try:
        return str(Decimal(text).quantize(_PRICE_PLACES))
    except InvalidOperation:
        return clean(text) or "–"


# The conservation equation


def equation(ledger: Ledger) -> Iterator[Line]:
    """The equation with exact numbers, from long to short: all terms, those that are not zero, then a few."""
    full, outcome = _terms(ledger), _outcome(ledger)
    yield (*_sum(ledger, full, spaced=True), Span("  "), *outcome)
    yield (*_sum(ledger, full), Span("  "), *outcome)
    shortest = _sum(ledger, _nonzero(full))
    yield (*shortest, Span("  "), *outcome)
    yield (*shortest, Span(" "), outcome[-1])
    for number in range(len(_nonzero(full)) - 1, 0, -1):
        yield (*_sum(ledger, _nonzero(full)[:number]), Span(" + … ", _LABEL), outcome[-1])


def equation_on_two_lines(ledger: Ledger, width: int) -> tuple[Line, Line]:
    """The equation in two lines of `width` cells; the second is empty if the first has room for all of it."""
    for line in list(equation(ledger))[1:3]:
        if width_of(line) <= width:
            return cut(line, width), ()
    terms = _nonzero(_terms(ledger))
    first, shown = _sum(ledger, terms[:1]), 1
    while shown < len(terms) and width_of(longer := _sum(ledger, terms[: shown + 1])) <= width:
        first, shown = longer, shown + 1
    rest = [span for term in terms[shown:] for span in (Span(" + ", _LABEL), *_term(*term))]
    tail = (Span(rest[0].text.lstrip(), _LABEL), *rest[1:], Span("  ")) if rest else ()
    outcome = _outcome(ledger)
    variants = [(*tail, *outcome), (*tail[:-1], Span(" "), outcome[-1]), tail[:-1]]
    return cut(first, width), _longest_unpadded(variants, width)


def _longest_unpadded(variants: Iterable[Line], width: int) -> Line:
    """The first of `variants` that fits, without padding; the last one truncated if none does."""
    line: Line = ()
    for line in variants:
        if width_of(line) <= width:
            return line
    return cut(line, width)


def _terms(ledger: Ledger) -> list[tuple[str, int, int]]:
    """Name and number of each term, and the cells reserved for a number that changes often."""
    return [
        ("stored", ledger.stored, 0),
        ("duplicate", ledger.duplicate, 0),
        ("queued", ledger.queued, 3),
        ("in flight", ledger.in_flight, 3),
        ("spooled", ledger.spooled, 0),
        ("dead", ledger.dead, 0),
    ]


def _nonzero(terms: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The terms that are not zero, and always the stored rows."""
    return [term for position, term in enumerate(terms) if term[1] or not position]


def _sum(ledger: Ledger, terms: Sequence[tuple[str, int, int]], *, spaced: bool = False) -> Line:
    role, sign = (_LABEL, "=") if ledger.is_balanced else (Role.BAD, "≠")
    line = [Span("fetched ", _LABEL), Span(count(ledger.fetched))]
    for position, (name, number, room) in enumerate(terms):
        line.append(Span(" + " if position else f" {sign} ", role))
        line += _term(name, number, room if spaced else 0)
    return tuple(line)


def _term(name: str, number: int, room: int = 0) -> Line:
    return Span(f"{name} ", _LABEL), Span(count(number).rjust(room), _term_role(name, number))


def _term_role(name: str, number: int) -> Role:
    if not number:
        return Role.DIM
    return {"stored": Role.GOOD, "spooled": Role.WARN, "dead": Role.BAD}.get(name, _VALUE)


def _outcome(ledger: Ledger) -> Line:
    """Whether the equation holds, in words."""
    if ledger.is_balanced:
        return (Span("adds up ", _LABEL), Span("✓", Role.GOOD))
    return (Span("does not add up ", Role.BAD), Span("✗", Role.BAD))


def _equation_line(snapshot: Snapshot, width: int) -> Line:
    """The equation on one line, followed by the missing symbols if they fit."""
    line = _longest_unpadded(equation(snapshot.ledger), width)
    return _beside(line, _missing_variants(snapshot), width)


def _missing_variants(snapshot: Snapshot) -> list[Line]:
    """The symbols without a price in the last cycle, from long to short; empty if none is missing."""
    if not snapshot.missing:
        return []
    names = [clean(missing.symbol) for missing in snapshot.missing]
    number = f"missing {count(len(names))}"
    listed = [f"{number}: {', '.join(names[:some])}{'…' if len(names) > some else ''}" for some in (5, 3, 1)]
    return [(Span(words, Role.WARN),) for words in (*listed, number)]


# The verdict and the health of the pipeline's dependencies


def _verdict(snapshot: Snapshot, view: View, width: int) -> Line:
    """The verdict without padding, shortened if it is too long, at last to as many clauses as fit and `…`."""
    words, role = verdict_label(snapshot, view.key_of, view.selected)
    brief = shortened(words)
    briefest = _SHOWN_ELSEWHERE.sub("", brief)
    clauses = briefest.split("; ")
    fewer = ["; ".join([*clauses[:number], "…"]) for number in range(len(clauses) - 1, 0, -1)]
    variants = [words, brief, briefest, *fewer]
    return _longest_unpadded([(Span(variant, role),) for variant in variants], width)


def _health_variants(snapshot: Snapshot) -> Iterator[Line]:
    """Measurements and health of the sources, the database and the cluster, from long to short."""
    database, cluster = snapshot.database, _cluster(snapshot)
    host = "embedded PostgreSQL" if database.embedded else f"PostgreSQL {_host(database.url)}"
    yahoo, short = _sign("Yahoo", snapshot.sources.health), _sign("DB", database.health)
    named, brief = (_sign(name, database.health) for name in (host, "PostgreSQL"))
    rows: Line = (
        () if database.rows_total is None else (Span(f" {plural(database.rows_total, 'row')}", _LABEL),)
    )
    broker = _broker(snapshot)
    parts: list[list[Line]] = [
        [_latency(snapshot), _requests(snapshot), yahoo, (*named, *rows), broker, *cluster],
        [_requests(snapshot), yahoo, (*named, *rows), broker, *cluster],
        [yahoo, (*named, *rows), broker, *cluster],
        [yahoo, (*brief, *rows), broker, *cluster],
        [yahoo, (*brief, *rows), *cluster],
        [yahoo, brief, *cluster],
        [yahoo, short, *cluster],
        [yahoo, short],
        [_sign("Yahoo", snapshot.sources.health, words=False), _sign("DB", database.health, words=False)],
    ]
    return (joined(each, "  ") for each in parts)


def _cluster(snapshot: Snapshot) -> list[Line]:
    """The number of nodes, or the broker's health while it is unreachable."""
    if not snapshot.broker:
        return []
    words, role = nodes_label(snapshot)
    return (
        [(Span(words, role),)]
        if snapshot.broker_health is Health.OK
        else [_sign("broker", snapshot.broker_health)]
    )


def _broker(snapshot: Snapshot) -> Line:
    return _sign(f"broker {_host(snapshot.broker)}", snapshot.broker_health) if snapshot.broker else ()


def _sign(label: str, health: Health, *, words: bool = True) -> Line:
    sign, role = HEALTH_SIGNS[health]
    word = "" if health is Health.OK or not words else f" {health}"
    return (Span(f"{label} ", _LABEL), Span(f"{sign}{word}", role))


def _host(url: str) -> str:
    """Host and path of a masked URL: the database, or a broker's database number."""
    return clean(url).rpartition("://")[2].rpartition("@")[2].partition("?")[0]


def _latency(snapshot: Snapshot) -> Line:
    return (Span("fetch to commit p95 ", _LABEL), Span(milliseconds(snapshot.end_to_end.p95)))


def _requests(snapshot: Snapshot) -> Line:
    sources = snapshot.sources
    return (
        Span(plural(sources.requests, "request")),
        Span(f", {count(sources.failed)} failed", Role.WARN if sources.failed else _LABEL),
        # Unknown before the first measurement.
        Span(f", limit {sources.rate_limit:.3g}/s" if sources.rate_limit else "", _LABEL),
    )


class StatusBar(LinesWidget):
    """Draws the latest snapshot; only lines whose text changed are repainted."""

    def __init__(self) -> None:
        super().__init__(id="status")
        self._seen: tuple[Snapshot, View] | None = None

    def show(self, snapshot: Snapshot, view: View) -> None:
        """Show a snapshot."""
        self._seen = (snapshot, view)
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the contents out for the new width."""
        self._draw()

    def _draw(self) -> None:
        if self._seen is not None and self.size.width > 2:
            self.show_lines(status_lines(*self._seen, self.size.width, self.size.height))
