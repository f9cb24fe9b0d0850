"""The status bar: state, progress, the conservation equation and what is wrong, in two or three lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from textual import events

from sp500tui.pipeline.core.snapshot import CycleSnapshot, Health, Ledger, Phase, Snapshot
from sp500tui.tui.render.cluster_labels import nodes_label
from sp500tui.tui.render.formats import (
    clean,
    count,
    fit,
    gauge,
    milliseconds,
    plural,
    rate,
    short_count,
    short_span,
    size,
)
from sp500tui.tui.render.labels import HEALTH_SIGNS, market_label, phase_word, session_label, trouble
from sp500tui.tui.render.lines import Line, Role, Span, joined, longest_that_fits, spread, width_of
from sp500tui.tui.render.lines_widget import LinesWidget

NAME = "sp500tui"
_WIDE = 150
_MEDIUM = 100
_LABEL, _VALUE = Role.LABEL, Role.VALUE
_BRIEF = {"duplicate": "dup", "in flight": "in-fl", "spooled": "spool"}


@dataclass(frozen=True, slots=True)
class View:
    """What the status bar shows besides the snapshot."""

    clock: str
    """Local time, `14:02:11`."""
    now: datetime
    """The same time, UTC."""
    frozen: bool = False
    """Whether the panels are paused."""
    market_speed: float = 1.0
    """Speed of the demo's trading day."""


def status_lines(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """The bar in `height` lines of `width` cells: state and progress, the conservation equation, and what is wrong."""
    margin = " " if width >= _MEDIUM else ""
    inner = width - 2 * len(margin)
    lines = [_first_line(snapshot, view, inner), _second_line(snapshot, inner)]
    if height > 2:
        lines.append(_third_line(snapshot, inner))
    return [(Span(margin), *line, Span(margin)) for line in lines[:height]]


def _first_line(snapshot: Snapshot, view: View, width: int) -> Line:
    sign, word, role = phase_word(snapshot)
    state = (Span(f"{sign} {word:<8}", role),)
    label = market_label(demo=snapshot.demo, speed=view.market_speed, short=width < _WIDE)
    mode = (Span(label, Role.ACCENT if snapshot.demo else Role.TITLE),)
    frozen: Line = (Span(" view paused ", Role.SELECTED),) if view.frozen else ()
    session, change = session_label(snapshot.market, view.now)
    if width < _MEDIUM:
        return _narrow_first_line(
            snapshot, joined((state, mode, frozen, _cycle(snapshot, 0)), "  "), view, width
        )
    market = (Span(session), Span(f", {change}" if change else "", _LABEL))
    bar = 24 if width >= _WIDE else 10
    title = (Span(NAME, Role.TITLE),)
    left = joined(
        (title, state, mode, frozen, _cycle(snapshot, bar), market), "   " if width >= _WIDE else "  "
    )
    return spread(left, (Span(view.clock, _LABEL),), width)


def _narrow_first_line(snapshot: Snapshot, left: Line, view: View, width: int) -> Line:
    """State and health, and as much of the market session as fits between them."""
    session, change = session_label(snapshot.market, view.now)
    health = _health(snapshot, width)
    short = session.removeprefix("NYSE ")
    left_over = change.rpartition(" in ")[2]
    markets: list[Line] = [(Span(short), Span(f" for {left_over}", _LABEL))] if left_over else []
    markets += [(Span(short),), ()]
    for market in markets:
        line = joined((left, market), "  ")
        if width_of(line) + 1 + width_of(health) <= width:
            return spread(line, health, width)
    return spread(left, health, width)


def _cycle(snapshot: Snapshot, bar: int) -> Line:
    """Number, progress and countdown of the cycle in a width that changes only with its total."""
    cycle = snapshot.cycle
    if not cycle.number:
        return (
            Span("cycle – " if bar else "cycle –", _LABEL),
            Span(fit(_countdown(snapshot, "first in"), 14), _LABEL),
        )
    total = count(cycle.total)
    share = cycle.done / cycle.total if cycle.total else 0.0
    middle: Line = (Span(gauge(share, bar), Role.ACCENT), Span(" ")) if bar else ()
    words, role = _countdown(snapshot, "next in" if bar else "next"), _LABEL
    if cycle.running and cycle.skipped:
        words, role = f"{cycle.skipped} skipped", Role.WARN
    return (
        Span("cycle ", _LABEL),
        Span(f"{count(cycle.number)} "),
        *middle,
        Span(f"{count(cycle.done):>{len(total)}}/{total} "),
        Span(fit(words, 14 if bar else 10), role),
    )


def _countdown(snapshot: Snapshot, words: str) -> str:
    """Time to the next cycle."""
    if snapshot.phase in (Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED, Phase.FAILED):
        return "none"
    cycle: CycleSnapshot = snapshot.cycle
    if cycle.next_in is None:
        return "running" if cycle.running else "none due"
    return f"{words} {short_span(max(0.0, round(cycle.next_in)) if cycle.next_in >= 1 else cycle.next_in)}"


def _health(snapshot: Snapshot, width: int) -> Line:
    """The health of the database, Yahoo Finance and the cluster: a sign, and a word unless it is ok."""
    database = "DB" if width < _MEDIUM or (snapshot.broker and width < _WIDE) else "PostgreSQL"
    if width >= _WIDE:
        database = (
            "embedded PostgreSQL"
            if snapshot.database.embedded
            else f"PostgreSQL {_host(snapshot.database.url)}"
        )
    parts = [_sign(database, snapshot.database.health), _sign("Yahoo", snapshot.sources.health)]
    return joined([*parts, *_cluster(snapshot, width)], "  ")


def _cluster(snapshot: Snapshot, width: int) -> list[Line]:
    """The number of nodes, or the broker's health while it is unreachable."""
    if not snapshot.broker:
        return []
    words, role = nodes_label(snapshot)
    nodes: Line = (Span(words, role),)
    if width >= _WIDE:
        return [_broker(snapshot), nodes]
    return [nodes] if snapshot.broker_health is Health.OK else [_sign("broker", snapshot.broker_health)]


def _broker(snapshot: Snapshot) -> Line:
    if not snapshot.broker:
        return ()
    return _sign(f"broker {_host(snapshot.broker)}", snapshot.broker_health)


def _sign(label: str, health: Health) -> Line:
    sign, role = HEALTH_SIGNS[health]
    word = "" if health is Health.OK else f" {health}"
    return (Span(f"{label} ", _LABEL), Span(f"{sign}{word}", role))


def _host(url: str) -> str:
    """Host and path of a masked URL: the database, or a broker's database number."""
    return clean(url).rpartition("://")[2].rpartition("@")[2].partition("?")[0]


def _second_line(snapshot: Snapshot, width: int) -> Line:
    health: Line = () if width < _MEDIUM else _health(snapshot, width)
    room = width - width_of(health) - 2 * bool(health)
    return spread(longest_that_fits(equation(snapshot.ledger), room), health, width)


def equation(ledger: Ledger) -> list[Line]:
    """The equation from long to short: full words, short ones, without zeros, with one term for all that is pending."""
    full = (
        ("stored", ledger.stored, 0),
        ("duplicate", ledger.duplicate, 0),
        ("queued", ledger.queued, 3),
        ("in flight", ledger.in_flight, 3),
        ("spooled", ledger.spooled, 0),
        ("dead", ledger.dead, 0),
    )
    brief = tuple((_BRIEF.get(name, name), number, 0) for name, number, _ in full)
    pending = ledger.queued + ledger.in_flight + ledger.spooled
    least = (brief[0], brief[1], ("left", pending, 0), brief[5])
    plain = tuple((name, number, 0) for name, number, _ in full)
    return [
        _sum("fetched", ledger, full, count),
        _sum("fetched", ledger, plain, count),
        _sum("got", ledger, brief, count),
        _sum("got", ledger, brief, short_count),
        _sum("got", ledger, brief[:1] + tuple(term for term in brief[1:] if term[1]), short_count),
        _sum("got", ledger, least, partial(short_count, whole=True)),
    ]


def _sum(
    left: str, ledger: Ledger, terms: Sequence[tuple[str, int, int]], number: Callable[[int], str]
) -> Line:
    """One form of the equation; a term is its name, its number and the cells kept free for it."""
    role, sign = (_LABEL, "=") if ledger.is_balanced else (Role.BAD, "≠")
    line = [Span(f"{left} ", _LABEL), Span(number(ledger.fetched))]
    for position, (name, value, room) in enumerate(terms):
        line.append(Span(" + " if position else f" {sign} ", role))
        line.append(Span(f"{name} ", _LABEL))
        line.append(Span(number(value).rjust(room), _term_role(name, value)))
    return tuple(line)


def _term_role(name: str, number: int) -> Role:
    if not number:
        return Role.DIM
    return {"stored": Role.GOOD, "spooled": Role.WARN, "spool": Role.WARN, "dead": Role.BAD}.get(name, _VALUE)


def _third_line(snapshot: Snapshot, width: int) -> Line:
    """What is wrong, or else latency, requests, missing symbols, exchange rate and journal."""
    wrong = trouble(snapshot)
    if wrong is not None:
        return longest_that_fits([(Span(f"! {wrong[0]}", wrong[1]),)], width)
    calm = [_latency(snapshot), _requests(snapshot), _missing(snapshot), _fx(snapshot), _journal(snapshot)]
    parts = calm if width >= _WIDE or not snapshot.broker else [_broker(snapshot), *calm]
    return longest_that_fits([joined(parts[:number]) for number in range(len(parts), 0, -1)], width)


def _latency(snapshot: Snapshot) -> Line:
    return (
        Span("fetch to commit p50 ", _LABEL),
        Span(milliseconds(snapshot.end_to_end.p50)),
        Span(" p95 ", _LABEL),
        Span(milliseconds(snapshot.end_to_end.p95)),
    )


def _requests(snapshot: Snapshot) -> Line:
    sources = snapshot.sources
    failed = Span(f", {count(sources.failed)} failed", Role.WARN if sources.failed else _LABEL)
    return (
        Span("requests ", _LABEL),
        Span(count(sources.requests)),
        failed,
        Span(f", limit {rate(sources.rate_limit)}", _LABEL),
    )


def _missing(snapshot: Snapshot) -> Line:
    if not snapshot.missing:
        return (Span("missing ", _LABEL), Span("none", Role.DIM))
    names = ", ".join(clean(missing.symbol) for missing in snapshot.missing[:3])
    more = "…" if len(snapshot.missing) > 3 else ""
    return (Span("missing ", _LABEL), Span(f"{len(snapshot.missing)}: {names}{more}", Role.WARN))


def _fx(snapshot: Snapshot) -> Line:
    sources = snapshot.sources
    if not sources.fx_pair:
        return ()
    age = f", {short_span(sources.fx_age)} old" if sources.fx_age is not None else ", no rate yet"
    return (
        Span(f"{clean(sources.fx_pair)} ", _LABEL),
        Span(clean(sources.fx_rate) or "–"),
        Span(age, _LABEL),
    )


def _journal(snapshot: Snapshot) -> Line:
    if snapshot.broker:
        return ()  # the broker stores what is not committed yet
    journal = snapshot.journal
    left = f", replaying {plural(journal.replay_left, 'row')}" if journal.replay_left else ""
    return (
        Span("journal ", _LABEL),
        Span(f"{plural(journal.rows, 'row')}, {size(journal.bytes)}"),
        Span(left, Role.WARN),
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
