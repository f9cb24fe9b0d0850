"""Events as marks on a time axis: a sign, a few words and a role for each kind."""

from __future__ import annotations

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.render.lines import Role
from sp500tui.tui.render.strips import Mark

_MARKS: dict[EventKind, tuple[str, str, Role]] = {
    EventKind.WORKER_DIED: ("✗", "{worker} died", Role.BAD),
    EventKind.WORKER_HUNG: ("✗", "{worker} hung", Role.BAD),
    EventKind.SCALED: ("±", "{stage} scaled", Role.ACCENT),
    EventKind.PAUSED: ("‖", "{stage} paused", Role.WARN),
    EventKind.RESUMED: ("▶", "{stage} resumed", Role.GOOD),
    EventKind.CYCLE_SKIPPED: ("!", "behind", Role.WARN),
    EventKind.THROTTLED: ("◔", "limit lowered", Role.WARN),
    EventKind.SOURCE_SLOW: ("!", "source slow", Role.WARN),
    EventKind.SOURCE_FAILED: ("▼", "source down", Role.BAD),
    EventKind.SOURCE_RECOVERED: ("▲", "source back", Role.GOOD),
    EventKind.DATABASE_DOWN: ("▼", "db down", Role.BAD),
    EventKind.DATABASE_BACK: ("▲", "db back", Role.GOOD),
    EventKind.JOURNAL_DOWN: ("▼", "journal down", Role.BAD),
    EventKind.JOURNAL_BACK: ("▲", "journal back", Role.GOOD),
    EventKind.REPLAYED: ("▲", "replayed", Role.GOOD),
    EventKind.DEAD_LETTER: ("✗", "dead letter", Role.BAD),
    EventKind.NODE_JOINED: ("▲", "node joined", Role.GOOD),
    EventKind.NODE_LEFT: ("▼", "node left", Role.WARN),
    EventKind.NODE_LOST: ("✗", "node lost", Role.BAD),
    EventKind.SCHEDULER: ("◆", "new scheduler", Role.ACCENT),
}
"""Sign, label and role of each kind that is marked; the others are too frequent or shown elsewhere."""


def event_mark(event: PipelineEvent, ago: int) -> Mark | None:
    """The mark of an event that happened `ago` seconds before the newest cell; None for a kind that has none."""
    found = _MARKS.get(event.kind)
    if found is None:
        return None
    sign, label, role = found
    stage = "intake" if event.stage is None else STAGE_TITLES[event.stage]
    return Mark(ago, sign, clean(label.format(worker=event.worker or "worker", stage=stage)), role)
