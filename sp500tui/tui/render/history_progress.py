"""The progress of the history stage in words."""

from __future__ import annotations

from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.tui.render.formats import clean, span


class TimeLeft:
    """Estimates the time that the remaining requests take from the rate of those observed so far."""

    def __init__(self) -> None:
        self._start: tuple[float, int] | None = None

    def seconds(self, progress: HistorySnapshot, now: float) -> float | None:
        """Seconds until the last request is done; None while nothing is requested or the rate is unknown.

        Args:
            progress: The current progress.
            now: Seconds of any monotonic clock.
        """
        done = progress.requests_done
        if not progress.requests_left:
            self._start = None
        elif self._start is None or done < self._start[1]:
            self._start = now, done
        elif done > self._start[1] and now > self._start[0]:
            return progress.requests_left * (now - self._start[0]) / (done - self._start[1])
        return None


def progress_text(progress: HistorySnapshot, seconds_left: float | None = None) -> str:
    """The progress or the result of the history stage: `fetching: 12 of 503 requests done, 4,680 bars to store`."""
    if progress.surveys and not progress.requests_left:
        return "what is missing is being determined"
    if progress.busy:
        text = f"fetching: {progress.requests_done:,} of {progress.requests:,} requests done"
        text += f", {progress.requests_left:,} left"
        if seconds_left is not None:
            text += f", about {span(seconds_left)}"
        if progress.bars_outstanding:
            text += f", {progress.bars_outstanding:,} bars to store"
        return clean(f"{text} · {progress.message}" if progress.message else text)
    if progress.requests:
        done = f"{progress.sessions_completed:,} completed, {progress.sessions_incomplete:,} still incomplete"
        failed = f", {progress.failed:,} failed" if progress.failed else ""
        text = f"fetched: {done}{failed}"
    else:
        text = ""
    if progress.problem:
        text = f"{text} · {progress.problem}" if text else progress.problem
    return clean(text)
