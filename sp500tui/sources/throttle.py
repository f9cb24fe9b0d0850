"""Rate limiting of requests to Yahoo Finance: a token bucket with an adaptive rate, and a circuit breaker."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from sp500tui.backoff import BackOff
from sp500tui.errors import ThrottledError

_SECONDS = re.compile(r"[0-9]{1,300}(\.[0-9]{0,300})?")
"""A number of seconds, which some servers write with a fraction."""
MAX_RETRY_AFTER = 3600.0
"""Seconds; a longer `Retry-After` is capped, so that one attempt per hour is made."""
TOLERATED_FAILURES = 2
"""Consecutive failures that do not open the circuit: one lost connection is not an outage."""

_MIN_RATE_SHARE = 1 / 16
_RATE_STEP_SHARE = 1 / 20
_POLL_INTERVAL = 0.05
"""Seconds between two calls of `cancelled` while waiting."""
_PROBE_TIMEOUT = 60.0
"""Seconds after which a probe without an outcome is abandoned."""
_PROBE_INTERVAL = 0.5
"""Seconds after which a thread that was refused because of another thread's probe should try again."""


THROTTLE_BACKOFF = BackOff(base=4.0, cap=60.0)
"""After a 429. At most five attempts per minute are made after the first 5 s."""
FAILURE_BACKOFF = BackOff(base=1.0, cap=30.0)
"""After a missing or invalid response, mostly caused by the local network."""


def decrease_rate(rate: float, limit: float) -> float:
    """The rate after a 429: half, down to a sixteenth of the limit (requests per second)."""
    return max(rate / 2, limit * _MIN_RATE_SHARE)


def increase_rate(rate: float, limit: float) -> float:
    """The rate after a successful response: a twentieth of the limit more, up to the limit (requests per second)."""
    return min(limit, rate + limit * _RATE_STEP_SHARE)


def burst_at(rate: float, limit: float, burst: int) -> int:
    """The burst at a reduced rate: the same share of `burst`, at least one request."""
    return max(1, int(burst * rate / limit))


def default_burst(rate: float) -> int:
    """The requests of three seconds, so that a cycle over the index hardly waits."""
    return max(1, round(3 * rate))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Parse a `Retry-After` header, a number or an HTTP date, into seconds (RFC 9110, 10.2.3).

    None for a missing or unreadable header; otherwise between zero and an hour.
    """
    if value is None:
        return None
    text = value.strip()
    numbers = [part.strip() for part in text.split(",")]
    if all(map(_SECONDS.fullmatch, numbers)):
        # The values of a header that was sent several times are joined by commas.
        seconds = max(float(number) for number in numbers)
    else:
        try:
            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


class CircuitState(StrEnum):
    """State of the circuit breaker."""

    CLOSED = "closed"
    """Requests are sent."""
    OPEN = "open"
    """No request is sent."""
    HALF_OPEN = "half-open"
    """One thread may send a probe."""


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """The throttle at one moment, for display."""

    circuit: CircuitState
    rate: float
    """Requests a second allowed now."""
    limit: float
    """Configured maximum rate, requests a second."""
    retry_in: float | None
    """Seconds until the next attempt; None while the circuit is closed."""
    requests: int
    """HTTP requests sent, including those for cookies and crumbs."""
    succeeded: int
    """Requests with a usable response."""
    failed: int
    """Requests without a usable response."""
    throttled: int
    """Responses that throttle requests, such as 429."""
    last_success_age: float | None
    """Seconds since the last usable response; None before the first."""
    message: str
    """Why the circuit is not closed, in one line that names the source; empty if it is closed."""


class Throttle:
    """Limits requests to a rate that halves on every 429 and recovers step by step with every success.

    One per process and source; thread-safe. The thread that called `acquire` reports the outcome. After the circuit
    opened, one thread at a time sends a probe, and only its outcome closes the circuit.
    """

    def __init__(
        self,
        rate: float,
        *,
        burst: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limit = rate
        self._burst = default_burst(rate) if burst is None else burst
        self._clock = clock
        self._jitter = jitter
        self._changed = threading.Condition()
        self._rate = rate
        self._tat = clock()
        """Theoretical arrival time (GCRA): when the bucket is full again if no more tokens are taken."""
        self._open_until: float | None = None
        self._openings = 0
        self._probe: int | None = None
        self._probe_since = 0.0
        self._backoff_level = 0
        self._failures_in_row = 0
        self._requests = self._succeeded = self._failed = self._throttled = 0
        self._last_success: float | None = None
        self._message = ""
        self._background = threading.local()

    @contextmanager
    def background(self) -> Iterator[None]:
        """Make the requests of this thread yield: they wait while others use the rate, and leave the burst to them."""
        self._background.active = True
        try:
            yield
        finally:
            self._background.active = False

    def acquire(self, timeout: float = 30.0, cancelled: Callable[[], bool] | None = None) -> None:
        """Wait until one request may be sent, at most `timeout` seconds.

        Raises:
            ThrottledError: the circuit is open or opens during the wait, another thread sends a probe, the wait
                would exceed `timeout` (raised without waiting), or `cancelled` returned True.
        """
        with self._changed:
            if getattr(self._background, "active", False):
                self._wait_until_unused(self._clock() + timeout, cancelled)
            now = self._clock()
            probing = self._try_become_probe(now)
            due = self._take(now)
            if not probing:
                if due - now > timeout:
                    self._refund()
                    raise ThrottledError(
                        f"Yahoo Finance: {due - now:.1f} s until the next request at {self._rate:.2g} a second",
                        due - now,
                        by_limit=True,
                    )
                self._wait_until(due, cancelled)
            self._requests += 1

    def succeeded(self) -> None:
        """Record a successful request of this thread."""
        with self._changed:
            self._succeeded += 1
            self._last_success = self._clock()
            if not self._is_current():
                return
            self._open_until = self._probe = None
            self._message = ""
            self._failures_in_row = 0
            self._backoff_level = max(0, self._backoff_level - 1)
            self._rate = increase_rate(self._rate, self._limit)
            self._changed.notify_all()

    def charge(self, requests: int) -> None:
        """Count requests sent without `acquire`, such as redirects; later requests wait for them."""
        with self._changed:
            self._requests += requests
            self._tat = max(self._tat, self._clock()) + requests / self._rate

    def throttled(
        self, retry_after: float | None, reason: str = "Yahoo Finance limits the request rate (429)"
    ) -> None:
        """Record that a request of this thread was throttled.

        Args:
            retry_after: seconds that the response requires, if any.
            reason: one line that names the source.
        """
        with self._changed:
            now = self._clock()
            self._throttled += 1
            required = retry_after or 0.0
            if not self._is_current():
                # Sent before the circuit opened: the same episode, not another failure.
                self._open_until = max(self._open_until or 0.0, now + required)
                return
            self._rate = decrease_rate(self._rate, self._limit)
            self._backoff_level += 1
            delay = max(required, THROTTLE_BACKOFF.delay(self._backoff_level, self._jitter()))
            self._open(now, delay, reason)

    def failed(self, reason: str) -> None:
        """Record a failed request of this thread; `reason` is one line that names the source."""
        with self._changed:
            now = self._clock()
            self._failed += 1
            if not self._is_current():
                return
            self._failures_in_row += 1
            if self._open_until is None and self._failures_in_row <= TOLERATED_FAILURES:
                return
            self._backoff_level += 1
            self._open(now, FAILURE_BACKOFF.delay(self._backoff_level, self._jitter()), reason)

    def state(self) -> ThrottleState:
        """The current state."""
        with self._changed:
            now = self._clock()
            circuit, retry_in = CircuitState.CLOSED, None
            if self._open_until is not None:
                retry_in = max(0.0, self._open_until - now)
                circuit = CircuitState.OPEN if retry_in else CircuitState.HALF_OPEN
            return ThrottleState(
                circuit=circuit,
                rate=self._rate,
                limit=self._limit,
                retry_in=retry_in,
                requests=self._requests,
                succeeded=self._succeeded,
                failed=self._failed,
                throttled=self._throttled,
                last_success_age=None if self._last_success is None else now - self._last_success,
                message=self._message,
            )

    def _is_current(self) -> bool:
        """Whether an outcome of this thread counts: the circuit is closed, or the thread sent the probe."""
        return self._open_until is None or self._probe == threading.get_ident()

    def _try_become_probe(self, now: float) -> bool:
        """False if the circuit is closed, True if this thread sends the probe; raises for other threads."""
        if self._open_until is None:
            return False
        if now < self._open_until:
            raise self._throttled_error(self._open_until - now)
        me = threading.get_ident()
        if self._probe not in (None, me) and now - self._probe_since < _PROBE_TIMEOUT:
            raise self._throttled_error(_PROBE_INTERVAL)
        if self._probe != me:
            self._probe, self._probe_since = me, now
        return True

    def _take(self, now: float) -> float:
        """Take a token, on credit if necessary; returns when the request may be sent."""
        gap = 1 / self._rate
        slack = (burst_at(self._rate, self._limit, self._burst) - 1) * gap
        start = max(self._tat, now)
        self._tat = start + gap
        return max(now, start - slack)

    def _wait_until_unused(self, deadline: float, cancelled: Callable[[], bool] | None) -> None:
        """Wait until the bucket is full, so that no other request has to wait for the next one."""
        while self._open_until is None and (left := self._tat - self._clock()) > 0:
            now = self._clock()
            if now >= deadline:
                raise ThrottledError("Yahoo Finance: other requests use the whole rate", left)
            if cancelled is not None and cancelled():
                raise ThrottledError("Yahoo Finance: request cancelled, the run is ending", left)
            self._changed.wait(min(left, deadline - now, _POLL_INTERVAL if cancelled else left))

    def _refund(self) -> None:
        self._tat -= 1 / self._rate

    def _wait_until(self, due: float, cancelled: Callable[[], bool] | None) -> None:
        openings = self._openings
        while (left := due - self._clock()) > 0:
            if cancelled is not None and cancelled():
                self._refund()
                raise ThrottledError("Yahoo Finance: request cancelled, the run is ending", left)
            self._changed.wait(left if cancelled is None else min(left, _POLL_INTERVAL))
            if self._openings != openings:
                raise self._throttled_error(max(0.0, (self._open_until or 0.0) - self._clock()))

    def _open(self, now: float, delay: float, reason: str) -> None:
        self._open_until = now + delay
        self._openings += 1
        self._probe = None
        self._message = reason
        # Empties the bucket: later requests are sent one by one at the new rate.
        gap = 1 / self._rate
        self._tat = self._open_until + (burst_at(self._rate, self._limit, self._burst) - 1) * gap
        self._changed.notify_all()

    def _throttled_error(self, retry_after: float) -> ThrottledError:
        return ThrottledError(
            f"{self._message or 'Yahoo Finance allows no requests'}; next attempt in {retry_after:.0f} s",
            retry_after,
        )
