"""The progress of the history stage in words."""

from __future__ import annotations

from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.tui.render.formats import clean


def progress_text(progress: HistorySnapshot) -> str:
    """What the history stage does or has done: `fetching: 12 of 503 requests done, 4,680 bars to store`."""
    if progress.surveys and not progress.requests_left:
        return "fetching: what is missing is being determined"
    if progress.busy:
        text = f"fetching: {progress.requests_done:,} of {progress.requests:,} requests done"
        text += f", {progress.requests_left:,} left"
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
