"""The last request for missing bars that was made on the symbol screen: its progress, then its outcome."""

from __future__ import annotations

from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.tui.render.formats import clean, plural
from sp500tui.tui.render.history_progress import progress_text

NOTHING_MISSING = "all bars that Yahoo Finance has are stored"


class BarsRequest:
    """Follows a request by the progress of the history stage, which comes with the answers to numbered queries."""

    def __init__(self) -> None:
        self.outcome = ""
        """The outcome of the last request; empty before its end."""
        self._progress = self._before = HistorySnapshot()
        self._accepted_at: int | None = None
        """Number of the latest query when the pipeline accepted the request; None while none is carried out."""

    @property
    def text(self) -> str:
        """The progress of the request, or else its outcome; empty without one."""
        if self._accepted_at is None:
            return self.outcome
        return progress_text(self._progress) or "fetching"

    @property
    def active(self) -> bool:
        """Whether the pipeline is carrying it out."""
        return self._accepted_at is not None

    def begin(self) -> None:
        """Make a request: its outcome is the difference from the present progress."""
        self._before = self._progress

    def accept(self, number: int) -> None:
        """Record that the pipeline accepted it before the answer to query `number` + 1."""
        self._accepted_at, self.outcome = number, ""

    def refuse(self, reason: str) -> None:
        """Record that the pipeline did not accept it."""
        self._accepted_at, self.outcome = None, reason

    def forget(self) -> None:
        """Follow the request no longer, as when another symbol is shown."""
        self.refuse("")

    def update(self, progress: HistorySnapshot, number: int) -> None:
        """Take the progress that came with the answer to query `number`."""
        self._progress = progress
        if self._accepted_at is not None and number > self._accepted_at and not progress.busy:
            self._accepted_at = None
            self.outcome = _outcome_text(self._before, progress)


def _outcome_text(before: HistorySnapshot, after: HistorySnapshot) -> str:
    """The outcome of a request for bars, by the progress when it was made and when all was done."""
    if after.problem and (after.failed > before.failed or after.problem != before.problem):
        return clean(after.problem)
    if after.requests == before.requests:
        return NOTHING_MISSING
    completed = after.sessions_completed - before.sessions_completed
    incomplete = after.sessions_incomplete - before.sessions_incomplete
    text = f"fetched: {plural(completed, 'session')} complete"
    return f"{text}, {incomplete:,} still incomplete" if incomplete else text
