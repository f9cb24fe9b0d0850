"""Shows the progress of `backfill`: a bar on a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_message

_REPORT_INTERVAL = 10.0
"""Seconds between two lines of progress where stderr is not a terminal."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress at one moment."""

    done: int
    """Requests that are completed."""
    total: int
    result: str
    """Their result so far: `52,650 bars`."""
    trouble: str = ""
    """What is delaying it, if anything."""


Report = Callable[[Progress], None]


@contextmanager
def progress_report(*, quiet: bool) -> Iterator[Report]:
    """Shows the progress that it is called with; nothing if `quiet`."""
    if quiet:
        yield lambda _: None
    elif sys.stderr is not None and sys.stderr.isatty():
        with _progress_bar() as bar:
            yield bar
    else:
        yield _progress_lines()


@contextmanager
def _progress_bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("backfill"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[result]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[trouble]}"),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        task = bars.add_task("", total=None, result="", trouble="")

        def report(now: Progress) -> None:
            bars.update(
                task, total=now.total, completed=now.done, result=now.result, trouble=plain(now.trouble)
            )

        yield report


def _progress_lines() -> Report:
    started = last = time.monotonic()

    def report(seen: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _REPORT_INTERVAL:
            return
        last = now
        rate = seen.done / (now - started)
        left = f", {(seen.total - seen.done) / rate:,.0f} s left" if rate else ""
        trouble = f"; {seen.trouble}" if seen.trouble else ""
        write_message(
            plain(
                f"{seen.done:,} of {seen.total:,} requests, {rate:.1f} a second, {seen.result}{left}{trouble}"
            )
        )

    return report
