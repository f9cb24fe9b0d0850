"""The line that a finished run leaves on the terminal."""

from __future__ import annotations

from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.render.formats import count, span


def run_summary(snapshot: Snapshot) -> str:
    """What became of the quotes, and how long it took; empty if none was fetched.

    `88,478 fetched = 70,009 stored + 18,469 duplicate, 7 min`
    """
    ledger = snapshot.ledger
    if not ledger.fetched:
        return ""
    terms = (
        (ledger.stored, "stored"),
        (ledger.duplicate, "duplicate"),
        (ledger.queued, "queued"),
        (ledger.in_flight, "in flight"),
        (ledger.spooled, "spooled"),
        (ledger.dead, "dead"),
    )
    shown = [f"{count(number)} {name}" for number, name in terms if number] or ["0 stored"]
    sign = "=" if ledger.is_balanced else "≠"
    return f"{count(ledger.fetched)} fetched {sign} {' + '.join(shown)}, {span(snapshot.uptime)}"
