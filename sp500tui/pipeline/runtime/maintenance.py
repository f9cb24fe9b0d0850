"""Keeps the history of a running pipeline: fetches missing bars, and replaces old rows by bars."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sp500tui.config.settings import Settings, parse_age
from sp500tui.errors import Sp500tuiError
from sp500tui.model import Resolution
from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.history.calendar import FetchChart
from sp500tui.pipeline.history.coverage import RETRIEVABLE, CoverageState, replaced_before
from sp500tui.pipeline.history.plan import history_tasks
from sp500tui.pipeline.history.survey import survey
from sp500tui.pipeline.runtime.history import HistoryRun
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.sources.yahoo.chart_limits import oldest_start
from sp500tui.storage.connection import connect
from sp500tui.storage.history.retention import MINUTE_BARS, PRICES, replace_old
from sp500tui.storage.history.sessions import created_at

_log = logging.getLogger(__name__)

_FAILURES_REPORTED = 100
"""Failures whose reasons are passed to front ends."""
_POLL_INTERVAL = 1.0
_SURVEY_INTERVAL = 3600.0
"""Seconds between two surveys: the maximum delay until an ended session is complete."""
_RETRY_INTERVAL = 60.0
"""Seconds until the next attempt after an error."""
_CLOCK_JUMP = 60.0
"""Seconds by which the time of day must run ahead of the monotonic clock to show that the machine was suspended."""


@dataclass(frozen=True, slots=True)
class HealRequest:
    """A request of a front end to determine what is missing in a window, and to fetch it."""

    resolution: Resolution
    start: datetime
    end: datetime
    symbols: tuple[str, ...]
    """All symbols if it is empty."""
    fetch: bool = True


class Maintenance:
    """A thread that performs `heal`, `keep_quotes`, `keep_bars_1m` and the requests of front ends."""

    def __init__(
        self,
        settings: Settings,
        run: HistoryRun,
        *,
        url: Callable[[], str],
        symbols: Callable[[], Sequence[str]],
        fetch: FetchChart,
        background: Callable[[], AbstractContextManager[None]],
        health: DatabaseHealth,
        leads: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`run`: the history stage, which is started with the first missing bar, or immediately with `heal`.

        `leads`: whether this program surveys the history and replaces old rows for its cluster; any program serves
        requests of front ends.
        `clock`: the time of day, in seconds since 1970.
        """
        self._settings = settings
        self._url = url
        self._symbols = symbols
        self._fetch = fetch
        self._background = background
        self._health = health
        self._leads = leads
        self._clock = clock
        self._run = run
        self._requested: deque[HealRequest] = deque()
        self._survey_problem = ""
        """Why the last survey that a front end requested is incomplete."""
        self._due = {"heal": 0.0, "retain": 0.0}
        """Monotonic times of the next survey and of the next replacement of old rows."""
        self._offset = clock() - time.monotonic()
        self.thread = ServiceThread("maintenance", self._step)

    @property
    def required(self) -> bool:
        """Whether the settings require the thread; without them it starts with the first request."""
        settings = self._settings
        return settings.heal or settings.keep_quotes is not None or settings.keep_bars_1m is not None

    def start(self) -> None:
        """Start the thread; idempotent, from any thread."""
        self.thread.ensure_started()

    def request(self, request: HealRequest) -> None:
        """Fetch what is missing in a window; bars that the source did not have are requested again."""
        self._requested.append(request)
        self.start()
        self.thread.wake()

    def progress(self) -> HistorySnapshot:
        """The outstanding and the processed requests and bars."""
        surveys, run = len(self._requested), self._run
        progress, depth = run.progress, run.depth()
        with progress.lock:
            done = progress.done
            completed, incomplete = progress.complete, progress.incomplete
            failed, failures = progress.failed, tuple(progress.failures)[-_FAILURES_REPORTED:]
        return HistorySnapshot(
            surveys=surveys,
            requests=done + depth.ready + depth.in_flight,
            requests_done=done,
            bars_outstanding=run.outstanding(),
            sessions_completed=completed,
            sessions_incomplete=incomplete,
            failed=failed,
            message=run.trouble,
            problem=self._survey_problem or (failures[-1].reason if failures else ""),
            failures=failures,
        )

    def _step(self) -> float:
        """Do what is due; an expected error is logged in one line, and the work is retried later."""
        if not self._health.ready.is_set():
            return _POLL_INTERVAL
        offset = self._clock() - time.monotonic()
        if offset - self._offset > _CLOCK_JUMP:
            _log.info("the clock jumped %.0f s ahead: checking for missed bars", offset - self._offset)
            self._due["heal"] = 0.0
        self._offset = offset
        self._run.poll()
        for name, act in (("heal", self._heal), ("retain", self._retain)):
            if time.monotonic() < self._due[name] or not self._leads():
                continue
            try:
                seconds = act()
            except Sp500tuiError as error:
                _log.warning("history: %s; retrying in %.0f s", error, _RETRY_INTERVAL)
                seconds = _RETRY_INTERVAL
            self._due[name] = time.monotonic() + seconds
        self._serve_requests()
        return _POLL_INTERVAL

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _serve_requests(self) -> None:
        """Determine what is missing in the requested windows, and queue it."""
        symbols = self._symbols()
        while self._requested and symbols and not self.thread.stopping:
            request, now = self._requested[0], self._now()
            window = (max(request.start, oldest_start(request.resolution, now)), min(request.end, now))
            states = RETRIEVABLE | {CoverageState.UNANSWERED}
            if not request.fetch:
                states = frozenset()
            elif request.symbols:
                # For a few symbols, include the finished bars of a running session.
                states |= {CoverageState.NOT_YET}
            try:
                warnings = self._fetch_missing(request.symbols or symbols, request.resolution, window, states)
                self._survey_problem = next(iter(warnings), "")
            except Sp500tuiError as error:
                _log.warning("history: what is missing cannot be determined: %s", error)
                self._survey_problem = f"what is missing cannot be determined: {error}"
            finally:
                # `close` may have removed it in the meantime.
                with suppress(IndexError):
                    self._requested.popleft()

    def _heal(self) -> float:
        """Request the bars that are missing since the database was created; returns seconds to the next survey."""
        symbols = self._symbols()
        if not self._settings.heal:
            return _SURVEY_INTERVAL
        self._run.start()
        if not symbols or not self._run.idle:
            return _POLL_INTERVAL
        now = self._now()
        with connect(self._url(), application_name="sp500tui maintenance") as connection:
            # The session that was running at that time also needs its earlier bars.
            first = created_at(connection) - timedelta(days=1)
        kept_since = replaced_before(self._settings, Resolution.MINUTE, now)
        if kept_since is not None:
            first = max(first, kept_since)
        window = (max(first, oldest_start(Resolution.MINUTE, now)), now)
        self._fetch_missing(symbols, Resolution.MINUTE, window, RETRIEVABLE)
        return _SURVEY_INTERVAL

    def _fetch_missing(
        self,
        symbols: Sequence[str],
        resolution: Resolution,
        window: tuple[datetime, datetime],
        states: frozenset[CoverageState],
    ) -> tuple[str, ...]:
        """Survey a window and queue the requests for sessions in one of these states; returns the warnings."""
        now = self._now()
        with self._background(), connect(self._url(), application_name="sp500tui maintenance") as connection:
            kept_since = replaced_before(self._settings, resolution, now)
            found = survey(connection, self._fetch, symbols, str(resolution), window, now, kept_since)
        for warning in found.warnings:
            _log.warning("history: %s", warning)
        tasks = history_tasks(found.coverage, states)
        if tasks:
            days = len({day.session_date for task in tasks for day in task.days})
            _log.info(
                "history: bars of %d trading days are missing; %d requests are made in the background",
                days,
                len(tasks),
            )
            self._run.start()
            self._run.add(tasks, cancelled=lambda: self.thread.stopping)
        return found.warnings

    def _retain(self) -> float:
        """Replace the rows that are older than the settings allow; returns the seconds until the next time."""
        for age, replacement in (
            (self._settings.keep_quotes, PRICES),
            (self._settings.keep_bars_1m, MINUTE_BARS),
        ):
            if age is None:
                continue
            with connect(self._url(), application_name="sp500tui maintenance") as connection:
                deleted = replace_old(
                    connection, replacement, self._now() - parse_age(age), lambda: self.thread.stopping
                )
            if deleted:
                _log.info(
                    "history: %d %s older than %s were replaced by bars", deleted, replacement.rows, age
                )
        return _SURVEY_INTERVAL

    def close(self, *, drain: bool) -> None:
        """End the thread and the history stage; without `drain`, fetched bars are spooled instead of stored."""
        self._requested.clear()
        self.thread.stop()
        self.thread.join(10.0)
        self._run.close(drain=drain)
