"""Episodes of a run: the beginning is reported once, and the end once with the duration and the effect.

The run's poll passes the current state to each episode, which returns the notice that is due, if any. Times are
monotonic, in seconds.
"""

from __future__ import annotations

import logging

from sp500tui.duration_text import share_of_time
from sp500tui.pipeline.core.events import EventKind, Notice
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import CycleSnapshot
from sp500tui.pipeline.writer.database_health import Outage

_CALM = 5.0
"""Seconds without a sign of an episode after which it has ended, so that an intermittent one is reported once."""
_CYCLES_IN_TIME = 3
"""Cycles in a row that must end in time before the run is no longer behind."""


class LimitEpisode:
    """The request limit is below the configured one."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._lowest = 0.0
        self._low_at = 0.0

    def update(self, now: float, rate: float, limit: float, reason: str = "") -> Notice | None:
        """Process the current and the configured limit, requests per second; `reason` is one line."""
        if rate < limit:
            self._low_at = now
            if self._since is not None:
                self._lowest = min(self._lowest, rate)
                return None
            self._since, self._lowest = now, rate
            why = f": {reason}" if reason else ""
            message = f"the request limit is lowered from {limit:.3g} to {rate:.3g}/s{why}"
            return Notice(EventKind.LIMIT_LOWERED, message, logging.WARNING, StageName.PRICE)
        if self._since is None or now - self._low_at < _CALM:
            return None
        seconds, self._since = self._low_at - self._since, None
        lowest = f"the lowest was {self._lowest:.3g}/s"
        message = f"the request limit is back at {limit:.3g}/s after {seconds:.1f} s; {lowest}"
        return Notice(EventKind.LIMIT_RAISED, message, logging.INFO, StageName.PRICE, seconds)


class BehindEpisode:
    """Cycles take longer than the interval, so that starts are skipped."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._longest = self._interval = 0.0
        self._late_at = 0.0
        self._number = self._skipped_in_cycle = self._skipped = 0
        self._late_number = 0

    def update(self, now: float, cycle: CycleSnapshot) -> Notice | None:
        """Process the current or last cycle."""
        self._count_skipped(cycle)
        if cycle.next_in is None or not cycle.number or cycle.warming_up:
            return None
        if cycle.seconds > cycle.interval and (cycle.running or cycle.number != self._late_number):
            return self._record_late(now, cycle)
        if self._since is None or cycle.number - self._late_number < _CYCLES_IN_TIME:
            return None
        if now - self._late_at < _CALM:
            return None
        seconds, self._since = self._late_at - self._since, None
        starts = f"{self._skipped:,} start{'s were' if self._skipped != 1 else ' was'} skipped"
        message = (
            f"cycles end in time again after {seconds:.1f} s; "
            f"the longest took {share_of_time(self._longest, self._interval)}, {starts}"
        )
        count, self._skipped = self._skipped, 0
        return Notice(EventKind.CYCLE_ON_TIME, message, logging.INFO, None, seconds, count)

    def _record_late(self, now: float, cycle: CycleSnapshot) -> Notice | None:
        self._late_at, self._late_number = now, cycle.number
        if self._since is not None:
            if cycle.seconds > self._longest:
                self._longest, self._interval = cycle.seconds, cycle.interval
            return None
        self._since = now - (cycle.seconds - cycle.interval if cycle.running else 0.0)
        self._longest, self._interval = cycle.seconds, cycle.interval
        message = f"cycle {cycle.number} takes longer than the interval of {cycle.interval:.3g} s"
        return Notice(EventKind.CYCLE_BEHIND, message, logging.WARNING)

    def _count_skipped(self, cycle: CycleSnapshot) -> None:
        before = self._skipped_in_cycle if cycle.number == self._number else 0
        self._skipped += max(0, cycle.skipped - before)
        self._number, self._skipped_in_cycle = cycle.number, cycle.skipped


class JournalEpisode:
    """The journal accepts no rows: its disk cannot be written, or it has reached its limit."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._failed_at = 0.0

    def update(self, now: float, error: str) -> Notice | None:
        """Process the reason why it accepts none; empty if it does."""
        if error:
            self._failed_at = now
            if self._since is not None:
                return None
            self._since = now
            return Notice(EventKind.JOURNAL_DOWN, error, logging.WARNING, StageName.WRITER)
        if self._since is None or now - self._failed_at < _CALM:
            return None
        seconds, self._since = self._failed_at - self._since, None
        message = f"the journal accepts rows again after {seconds:.1f} s"
        return Notice(EventKind.JOURNAL_BACK, message, logging.INFO, StageName.WRITER, seconds)


class ReplayEpisode:
    """Rows wait in the journal until the database accepts them."""

    def __init__(self) -> None:
        self._reported_rows = self._reported_dead = 0
        self._reported: Outage | None = None

    def update(
        self, now: float, *, outage: Outage | None, down: bool, waiting: int, replayed: int, dead: int
    ) -> Notice | None:
        """Process the state of database and journal.

        Args:
            now: the current time.
            outage: the last outage that has ended.
            down: whether the database is down.
            waiting: rows that wait in the journal.
            replayed: rows that waited in the journal and have since been written, in total.
            dead: how many of these were dead-lettered.
        """
        if down or waiting:
            return None
        rows, dead_rows = replayed - self._reported_rows, dead - self._reported_dead
        self._reported_rows, self._reported_dead = replayed, dead
        ended, self._reported = outage if outage is not self._reported else None, outage
        if not rows:
            return None
        lost = f"{dead_rows:,} of them dead-lettered" if dead_rows else "none missing"
        message = f"{rows:,} rows replayed from the journal, {lost}"
        if ended is not None:
            took = max(0.0, now - ended.ended_at)
            message = (
                f"the database was down for {ended.seconds:.1f} s: "
                f"{rows:,} rows replayed from the journal in {took:.1f} s, {lost}"
            )
        seconds = None if ended is None else ended.seconds
        return Notice(EventKind.REPLAYED, message, logging.INFO, StageName.WRITER, seconds, rows)
