"""The message of an empty price table: what it waits for or what failed, for how long, and the next attempt."""

from __future__ import annotations

from sp500tui.pipeline.core.snapshot import Health, Phase, Snapshot
from sp500tui.tui.render.formats import clean, span

_DEMO = "Without a network, sp500tui --demo shows everything with a simulated market."


def prices_notice(snapshot: Snapshot, quit_key: str = "q") -> str:
    """The message in place of prices, a paragraph in a line."""
    if snapshot.phase is Phase.FAILED:
        return clean(f"The pipeline failed: {snapshot.failure}") + f"\nPress {clean(quit_key)} to quit."
    listed, sources = snapshot.constituents, snapshot.sources
    if not listed.count:
        if listed.health is Health.DOWN:
            return _lines(f"No list of constituents: {listed.message}", _attempt(snapshot), snapshot)
        return _lines("Loading the list of constituents …", _elapsed(snapshot), snapshot)
    if sources.health is Health.DOWN:
        return _lines(f"No prices: {sources.message}", _attempt(snapshot), snapshot)
    return _lines("Waiting for the first prices …", _elapsed(snapshot), snapshot)


def _elapsed(snapshot: Snapshot) -> str:
    return f"for {span(max(1.0, snapshot.uptime))}"


def _attempt(snapshot: Snapshot) -> str:
    """For how long, and when the next attempt is."""
    waits = [wait for wait in (snapshot.sources.retry_in, snapshot.cycle.next_in) if wait is not None]
    retry = f", next attempt in {span(min(waits))}" if waits else ""
    since = snapshot.sources.last_success
    return f"for {span(max(1.0, snapshot.uptime if since is None else since))}{retry}"


def _lines(what: str, when: str, snapshot: Snapshot) -> str:
    paragraphs = [what, when] if snapshot.demo else [what, when, "", _DEMO]
    return "\n".join(map(clean, paragraphs))
