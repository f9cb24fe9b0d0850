"""The last request for missing bars made on the symbol screen: its progress, then its outcome."""

from __future__ import annotations

from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.tui.render.formats import clean, plural
from sp500tui.tui.render.history_progress import progress_text

NOTHING_MISSING = "all bars that Yahoo Finance has are stored"


class BarsRequest:
    """Follows a request by the progress of the history stage, which is read with the screen's numbered queries."""

    def __init__(self) -> None:
        self.outcome = ""
        """The outcome of the last request; empty until it ends."""
        self._progress = self._before = HistorySnapshot()
        self._accepted_at: int | None = None
        """Number of the latest query when the pipeline accepted the request; None without a request in progress."""

    @property
    def text(self) -> str:
        """The progress of the request, or its outcome; empty without a request."""
        if self._accepted_at is None:
            return self.outcome
        return progress_text(self._progress) or "fetching"

    @property
    def active(self) -> bool:
        """Whether the request is in progress."""
        return self._accepted_at is not None

    def begin(self) -> None:
        """Begin a request; its outcome is the difference from the current progress."""
        self._before = self._progress

    def accept(self, number: int) -> None:
        """Record that the pipeline accepted the request before the result of query `number` + 1."""
        self._accepted_at, self.outcome = number, ""

    def refuse(self, reason: str) -> None:
        """Record that the pipeline rejected the request."""
        self._accepted_at, self.outcome = None, reason

    def forget(self) -> None:
        """Stop following the request, for example because another symbol is shown."""
        self.refuse("")

    def update(self, progress: HistorySnapshot, number: int) -> None:
        """Take the progress read with query `number`."""
        self._progress = progress
        if self._accepted_at is not None and number > self._accepted_at and not progress.busy:
            self._accepted_at = None
            self.outcome = _outcome_text(self._before, progress)


def _outcome_text(before: HistorySnapshot, after: HistorySnapshot) -> str:
    """The outcome of a request for bars, from the progress at its beginning and at its end."""
    if after.problem and (after.failed > before.failed or after.problem != before.problem):
        return clean(after.problem)
    if after.requests == before.requests:
        return NOTHING_MISSING
    completed = after.sessions_completed - before.sessions_completed
    incomplete = after.sessions_incomplete - before.sessions_incomplete
    text = f"fetched: {plural(completed, 'session')} complete"
    return f"{text}, {incomplete:,} still incomplete" if incomplete else text
