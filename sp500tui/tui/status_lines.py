"""The status bar's lines, made from a snapshot: what runs, how far, whether the equation holds, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sp500tui.pipeline.snapshot import CycleSnapshot, Health, Ledger, Phase, Snapshot
from sp500tui.tui.formats import count, fit, gauge, milliseconds, plural, rate, short_count, short_span, size
from sp500tui.tui.lines import Line, Role, Span, joined, longest_that_fits, spread, width_of
from sp500tui.tui.words import HEALTH_SIGNS, phase_word, session_words, trouble

NAME = "sp500tui"
_WIDE = 150
_MEDIUM = 100
_LABEL, _VALUE = Role.LABEL, Role.VALUE


@dataclass(frozen=True, slots=True)
class View:
    """What the status bar knows besides the pipeline."""

    clock: str
    """Local time, `14:02:11`."""
    now: datetime
    """The same moment, UTC."""
    frozen: bool = False
    """Whether the panels stand still."""


def status_lines(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """The bar in `height` lines of `width` cells: state and progress, the equation, and what is wrong."""
    inner = width - 2
    lines = [_first_line(snapshot, view, inner), _second_line(snapshot, inner)]
    if height > 2:
        lines.append(_third_line(snapshot, inner))
    return [(Span(" "), *line, Span(" ")) for line in lines[:height]]


def _first_line(snapshot: Snapshot, view: View, width: int) -> Line:
    sign, word, role = phase_word(snapshot)
    state = (Span(f"{sign} {word:<8}", role),)
    mode = (Span("demo", Role.ACCENT) if snapshot.demo else Span("live", Role.TITLE),)
    frozen: Line = (Span(" view frozen ", Role.CHOSEN),) if view.frozen else ()
    session, change = session_words(snapshot.market, view.now)
    if width < _MEDIUM:
        market = (Span(f"{session} ", _VALUE), Span(change, _LABEL))
        left = joined((state, mode, frozen, _cycle(snapshot, 0), market), "  ")
        return spread(left, _health(snapshot, width), width)
    market = (Span(session), Span(f", {change}" if change else "", _LABEL))
    bar = 24 if width >= _WIDE else 10
    title = (Span(NAME, Role.TITLE),)
    left = joined(
        (title, state, mode, frozen, _cycle(snapshot, bar), market), "   " if width >= _WIDE else "  "
    )
    return spread(left, (Span(view.clock, _LABEL),), width)


def _cycle(snapshot: Snapshot, bar: int) -> Line:
    """Number, progress and countdown of the cycle in a width that changes only with its total."""
    cycle = snapshot.cycle
    if not cycle.number:
        return (Span("cycle – " if bar else "cycle –", _LABEL), Span(fit(_countdown(snapshot), 12), _LABEL))
    total = count(cycle.total)
    share = cycle.done / cycle.total if cycle.total else 0.0
    middle: Line = (Span(gauge(share, bar), Role.ACCENT), Span(" ")) if bar else ()
    skipped: Line = (Span(f" {cycle.skipped} skipped", Role.WARN),) if cycle.skipped and bar else ()
    return (
        Span("cycle ", _LABEL),
        Span(f"{count(cycle.number)} "),
        *middle,
        Span(f"{count(cycle.done):>{len(total)}}/{total} "),
        Span(fit(_countdown(snapshot), 14 if bar else 9), _LABEL),
        *skipped,
    )


def _countdown(snapshot: Snapshot) -> str:
    """When the next cycle comes."""
    if snapshot.phase in (Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED, Phase.FAILED):
        return "no more"
    cycle: CycleSnapshot = snapshot.cycle
    if cycle.next_in is None:
        return "under way" if cycle.running else "none due"
    return f"next in {short_span(max(0.0, round(cycle.next_in)) if cycle.next_in >= 1 else cycle.next_in)}"


def _health(snapshot: Snapshot, width: int) -> Line:
    """Whether the database and Yahoo Finance can be used: a sign, and a word where all is not well."""
    database = "DB" if width < _MEDIUM else "PostgreSQL"
    if width >= _WIDE:
        database = (
            "embedded PostgreSQL"
            if snapshot.database.embedded
            else f"PostgreSQL {_host(snapshot.database.url)}"
        )
    return joined((_sign(database, snapshot.database.health), _sign("Yahoo", snapshot.upstream.health)), "  ")


def _sign(label: str, health: Health) -> Line:
    sign, role = HEALTH_SIGNS[health]
    word = "" if health is Health.OK else f" {health}"
    return (Span(f"{label} ", _LABEL), Span(f"{sign}{word}", role))


def _host(url: str) -> str:
    """The host and database of a masked URL."""
    return url.rpartition("@")[2].removeprefix("postgresql://").partition("?")[0]


def _second_line(snapshot: Snapshot, width: int) -> Line:
    health: Line = () if width < _MEDIUM else _health(snapshot, width)
    room = width - width_of(health) - 2 * bool(health)
    return spread(longest_that_fits(equation(snapshot.ledger), room), health, width)


def equation(ledger: Ledger) -> list[Line]:
    """`fetched = stored + duplicate + …` in three lengths, the longest first."""
    terms = (
        ("stored", "stored", ledger.stored, 0),
        ("duplicate", "dup", ledger.duplicate, 0),
        ("queued", "queued", ledger.queued, 5),
        ("in flight", "flying", ledger.in_flight, 5),
        ("spooled", "spool", ledger.spooled, 0),
        ("dead", "dead", ledger.dead, 0),
    )
    equals = " = " if ledger.balanced else " ≠ "
    variants = []
    for short, padded in ((False, True), (False, False), (True, False)):
        line = [Span("fetched " if not short else "got ", _LABEL), Span(_number(ledger.fetched, short))]
        for position, (name, brief, number, room) in enumerate(terms):
            line.append(Span(" + " if position else equals, _LABEL if ledger.balanced else Role.BAD))
            line.append(Span(f"{brief if short else name} ", _LABEL))
            text = _number(number, short)
            line.append(Span(text.rjust(room) if padded else text, _term_role(name, number)))
        variants.append(tuple(line))
    return variants


def _number(number: int, short: bool) -> str:
    return short_count(number) if short else count(number)


def _term_role(name: str, number: int) -> Role:
    if not number:
        return Role.FAINT
    return {"stored": Role.GOOD, "spooled": Role.WARN, "dead": Role.BAD}.get(name, _VALUE)


def _third_line(snapshot: Snapshot, width: int) -> Line:
    """What is wrong, or the figures that tell a calm run from a busy one."""
    wrong = trouble(snapshot)
    if wrong is not None:
        return longest_that_fits([(Span(f"! {wrong[0]}", wrong[1]),)], width)
    parts = [_latency(snapshot), _requests(snapshot), _missing(snapshot), _fx(snapshot), _journal(snapshot)]
    return longest_that_fits([joined(parts[:number]) for number in range(len(parts), 0, -1)], width)


def _latency(snapshot: Snapshot) -> Line:
    return (
        Span("fetch to commit p50 ", _LABEL),
        Span(milliseconds(snapshot.end_to_end.p50)),
        Span(" p95 ", _LABEL),
        Span(milliseconds(snapshot.end_to_end.p95)),
    )


def _requests(snapshot: Snapshot) -> Line:
    upstream = snapshot.upstream
    failed = Span(f", {count(upstream.failed)} failed", Role.WARN if upstream.failed else _LABEL)
    return (
        Span("requests ", _LABEL),
        Span(count(upstream.requests)),
        failed,
        Span(f", limit {rate(upstream.rate_limit)}", _LABEL),
    )


def _missing(snapshot: Snapshot) -> Line:
    if not snapshot.missing:
        return (Span("missing ", _LABEL), Span("none", Role.FAINT))
    names = ", ".join(missing.symbol for missing in snapshot.missing[:3])
    more = "…" if len(snapshot.missing) > 3 else ""
    return (Span("missing ", _LABEL), Span(f"{len(snapshot.missing)}: {names}{more}", Role.WARN))


def _fx(snapshot: Snapshot) -> Line:
    upstream = snapshot.upstream
    if not upstream.fx_pair:
        return ()
    age = f", {short_span(upstream.fx_age)} old" if upstream.fx_age is not None else ", no rate yet"
    return (Span(f"{upstream.fx_pair} ", _LABEL), Span(upstream.fx_rate or "–"), Span(age, _LABEL))


def _journal(snapshot: Snapshot) -> Line:
    journal = snapshot.journal
    left = f", replaying {plural(journal.replay_left, 'row')}" if journal.replay_left else ""
    return (
        Span("journal ", _LABEL),
        Span(f"{plural(journal.rows, 'row')}, {size(journal.bytes)}"),
        Span(left, Role.WARN),
    )
