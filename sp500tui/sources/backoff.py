"""How long to hold back and how fast to go on: the decisions of the throttle, free of clocks and locks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_RETRY_AFTER = 3600.0
"""Seconds; a `Retry-After` beyond an hour is answered by one attempt an hour."""
TOLERATED_FAILURES = 2
"""Failures in a row that do not open the circuit yet: one lost connection is no outage."""

_LOWEST_SHARE = 1 / 16
_STEP_SHARE = 1 / 20


@dataclass(frozen=True, slots=True)
class BackOff:
    """Waiting times that double from strike to strike."""

    base: float
    """Seconds, at most, after the first strike."""
    cap: float
    """Seconds, at most, after any."""

    def delay(self, failures: int, jitter: float) -> float:
        """Seconds to wait after that many strikes; `jitter` from 0 to 1 spreads them over the upper half.

        The lower half is fixed, so that a storm costs a bounded number of requests whatever the dice say.
        """
        doublings = min(max(failures, 1) - 1, 32)
        longest = min(self.cap, self.base * float(2**doublings))
        return longest * (0.5 + 0.5 * min(max(jitter, 0.0), 1.0))


THROTTLE_BACKOFF = BackOff(base=4.0, cap=60.0)
"""Yahoo asked for fewer requests. A minute of refusals sees at most five attempts after its first 5 s."""
FAILURE_BACKOFF = BackOff(base=1.0, cap=30.0)
"""No answer, or a senseless one: mostly the network here, which comes back by itself."""


def decrease_rate(rate: float, limit: float) -> float:
    """The rate after a 429: half, down to a sixteenth of the limit (requests a second)."""
    return max(rate / 2, limit * _LOWEST_SHARE)


def increase_rate(rate: float, limit: float) -> float:
    """The rate after a good answer: a twentieth of the limit more, up to it (requests a second)."""
    return min(limit, rate + limit * _STEP_SHARE)


def burst_at(rate: float, limit: float, burst: int) -> int:
    """Requests that may go out at once at a lowered rate: the same share of `burst`, at least one."""
    return max(1, int(burst * rate / limit))


def default_burst(rate: float) -> int:
    """Three seconds' worth of requests, so that one round over the index hardly waits."""
    return max(1, round(3 * rate))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, as a number or an HTTP date (RFC 9110, 10.2.3).

    None for a header that is absent or unreadable; never below zero, never above an hour.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
