"""Labels and signs of states, so that no state is shown by colour alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from sp500tui.model import MarketState
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import (
    Health,
    MarketSnapshot,
    Phase,
    QueueSnapshot,
    Snapshot,
    WorkerState,
)
from sp500tui.pipeline.core.verdict import ADDS_ONE, RESUMES, RESUMES_STAGE, Severity, Verdict, VerdictKind
from sp500tui.tui.render.cluster_labels import lost_label
from sp500tui.tui.render.formats import clean, span
from sp500tui.tui.render.lines import Role

STAGE_TITLES = {
    StageName.SCRAPER: "scraper",
    StageName.PRICE: "price workers",
    StageName.CONVERTER: "converters",
    StageName.WRITER: "writers",
    StageName.HISTORY: "history workers",
}

PHASE_SIGNS = {
    Phase.STARTING: ("◌", Role.LABEL),
    Phase.RUNNING: ("●", Role.GOOD),
    Phase.PAUSED: ("‖", Role.WARN),
    Phase.DRAINING: ("▽", Role.WARN),
    Phase.SPOOLING: ("▽", Role.WARN),
    Phase.STOPPED: ("■", Role.LABEL),
    Phase.FAILED: ("✗", Role.BAD),
}

HEALTH_SIGNS = {
    Health.STARTING: ("◌", Role.LABEL),
    Health.OK: ("✓", Role.GOOD),
    Health.DEGRADED: ("!", Role.WARN),
    Health.DOWN: ("✗", Role.BAD),
}

_SEVERITY_SIGNS = {
    Severity.OK: ("✓", Role.GOOD),
    Severity.NOTE: ("✓", Role.GOOD),
    Severity.WARNING: ("!", Role.WARN),
    Severity.PROBLEM: ("✗", Role.BAD),
}

WORKER_SIGNS = {
    WorkerState.STARTING: ("◌", Role.LABEL),
    WorkerState.IDLE: ("○", Role.DIM),
    WorkerState.BUSY: ("●", Role.GOOD),
    WorkerState.BLOCKED: ("◧", Role.WARN),
    WorkerState.SOURCE: ("●", Role.GOOD),
    WorkerState.JOURNAL: ("●", Role.GOOD),
    WorkerState.DATABASE: ("●", Role.GOOD),
    WorkerState.DATABASE_DOWN: ("◇", Role.BAD),
    WorkerState.LIMIT: ("◔", Role.LABEL),
    WorkerState.RATE: ("◔", Role.WARN),
    WorkerState.BACKOFF: ("↻", Role.BAD),
    WorkerState.PAUSED: ("‖", Role.WARN),
    WorkerState.DRAINING: ("▽", Role.WARN),
    WorkerState.HUNG: ("✗", Role.BAD),
}

_WORKER_STATES: Mapping[WorkerState, str] = {
    WorkerState.SOURCE: "request",
    WorkerState.JOURNAL: "journal",
    WorkerState.DATABASE: "commit",
    WorkerState.DATABASE_DOWN: "db down",
    WorkerState.LIMIT: "limit",
    WorkerState.RATE: "rate",
    WorkerState.BACKOFF: "retry",
}
"""States whose label differs from their value."""

EXCHANGE = "NYSE"
_SESSIONS: Mapping[str, str] = {
    MarketState.PREPRE: "NYSE closed",
    MarketState.PRE: "NYSE pre-market",
    MarketState.REGULAR: "NYSE open",
    MarketState.POST: "NYSE after hours",
    MarketState.POSTPOST: "NYSE closed",
    MarketState.CLOSED: "NYSE closed",
    MarketState.OVERNIGHT: "NYSE overnight",
    MarketState.UNKNOWN: EXCHANGE,
}
_CHANGES = {
    MarketState.PRE: "pre-market in",
    MarketState.REGULAR: "opens in",
    MarketState.POST: "closes in",
}
NAMES_THE_SESSION = frozenset(words.removesuffix(" in") for words in _CHANGES.values())
"""Changes that imply the current session, so that its name can be left out."""

_SHORTER = (
    ("a cycle takes ", "cycle "),
    ("the request limit", "limit"),
    ("Yahoo Finance", "Yahoo"),
    ("the database is down: ", "database down: "),
    ("rows wait in the journal", "rows in the journal"),
    ("writing a batch to the journal", "a journal write"),
    ("the scraper and the price workers", "scraper and price workers"),
    (" price workers would", " workers would"),
)
"""Phrases of a verdict, and their short forms for a narrow window."""
_ADVISED_KEYS = {ADDS_ONE: "stage.more", RESUMES: "pipeline.pause", RESUMES_STAGE: "stage.pause"}
"""The ids of the keys with which advice begins."""
_STEADY = 0.05
"""Rates that differ by less than this share count as equal."""


def worker_state_label(state: WorkerState) -> str:
    """The state of a worker in one word."""
    return _WORKER_STATES.get(state, str(state))


def market_label(*, demo: bool, speed: float, short: bool = False) -> str:
    """The market that the prices come from: `live`, `demo`, or `demo · 20× time` if its time passes faster."""
    if not demo:
        return "live"
    if speed == 1:
        return "demo"
    return f"demo {speed:g}×" if short else f"demo · {speed:g}× time"


def phase_word(snapshot: Snapshot) -> tuple[str, str, Role]:
    """Sign, word and role of the pipeline's phase: `paused` if a stage is paused, `degraded` if there is a problem."""
    sign, role = PHASE_SIGNS[snapshot.phase]
    if snapshot.phase is Phase.RUNNING and any(
        stage.paused and stage.name is not StageName.HISTORY for stage in snapshot.stages
    ):
        return "‖", str(Phase.PAUSED), Role.WARN
    if snapshot.phase is Phase.RUNNING and (snapshot.degraded or lost_label(snapshot)):
        return "!", "degraded", Role.WARN
    return sign, str(snapshot.phase), role


def session_label(market: MarketSnapshot, now: datetime) -> tuple[str, str]:
    """The session (`NYSE open`) and the time to its next change (`closes in 2 h 14 min`); each may be empty."""
    if market.state is None:
        return EXCHANGE, "session not known yet"
    session = _SESSIONS.get(market.state) or f"NYSE {clean(market.state).lower()}"
    if market.next_change is None or market.next_state is None:
        return session, ""
    change = _CHANGES.get(market.next_state, "ends in" if market.state == MarketState.POST else "changes in")
    return session, f"{change} {span(max((market.next_change - now).total_seconds(), 0.0))}"


def trend(queue: QueueSnapshot) -> tuple[str, str]:
    """Return whether a queue is filling, draining or steady, as a sign and a word."""
    if not queue.ready:
        return "·", "empty"
    difference = queue.rate_in - queue.rate_out
    if abs(difference) <= _STEADY * max(queue.rate_in, queue.rate_out):
        return "=", "steady"
    return ("▲", "fills") if difference > 0 else ("▼", "drains")


def verdict_label(
    snapshot: Snapshot, key_of: Callable[[str], str] | None = None, selected: StageName | None = None
) -> tuple[str, Role]:
    """The bottleneck and a remedy, or that every stage keeps up: text with a sign, and its role.

    Args:
        snapshot: The pipeline's snapshot.
        key_of: Returns the configured key of a binding, empty if it has no effect; by default the key in the advice.
        selected: The target of the scaling keys; by default the stage that the advice is about.
    """
    verdict = snapshot.verdict
    reasons = [
        reason for reason in (*snapshot.degraded, *lost_label(snapshot)) if reason not in verdict.sentence
    ]
    well = verdict.severity in (Severity.OK, Severity.NOTE)
    # While cycles end in time no action is needed, and the health of the sources needs the room.
    own = [verdict.sentence, "" if well else _with_key(verdict, key_of, selected)]
    sign, role = _verdict_sign(snapshot)
    if reasons and well and verdict.kind is not VerdictKind.ENDING:
        sign, role = "!", Role.WARN
    parts = [*reasons, *own] if well else [*own, *reasons]
    return clean(f"{sign} " + "; ".join(part for part in parts if part)), role


def _with_key(verdict: Verdict, key_of: Callable[[str], str] | None, selected: StageName | None) -> str:
    """Advice with the configured key: empty if the key has no effect, without the key if it acts on another stage."""
    advice, stage = verdict.advice, verdict.stage
    key_id = _ADVISED_KEYS.get(advice)
    if key_id is None or key_of is None:
        return advice
    key, effect = key_of(key_id), advice.partition(" ")[2]
    if key and advice == ADDS_ONE and stage is not None and selected not in (None, stage):
        return f"one more {STAGE_TITLES[stage].removesuffix('s')} would help"
    return f"{key} {effect}" if key else ""


def shortened(words: str) -> str:
    """A verdict in fewer words, for a narrow window."""
    for long, short in _SHORTER:
        words = words.replace(long, short)
    return words


def _verdict_sign(snapshot: Snapshot) -> tuple[str, Role]:
    verdict = snapshot.verdict
    if verdict.kind is VerdictKind.PAUSED:
        return PHASE_SIGNS[Phase.PAUSED]
    if verdict.kind is VerdictKind.STARTING and verdict.severity is Severity.NOTE:
        return PHASE_SIGNS[Phase.STARTING]
    if verdict.kind is VerdictKind.ENDING:
        return PHASE_SIGNS[snapshot.phase]
    return _SEVERITY_SIGNS[verdict.severity]


def trouble(snapshot: Snapshot) -> tuple[str, Role] | None:
    """Return the current problem in one line, with the time of the next attempt; None without a problem."""
    if snapshot.phase is Phase.FAILED:
        return clean(f"failed: {snapshot.failure or 'no reason given'}"), Role.BAD
    reasons = [*snapshot.degraded, *lost_label(snapshot)]
    if not reasons:
        return None
    waits = [part.retry_in for part in (snapshot.sources, snapshot.database) if part.retry_in is not None]
    again = f", next attempt in {span(min(waits))}" if waits else ""
    return clean(f"degraded{again}: " + "; ".join(reasons)), Role.WARN
