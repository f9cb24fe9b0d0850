"""The conservation equation of quotes, and its counters."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ledger:
    """The conservation equation: every fetched quote is in exactly one place on its right side."""

    fetched: int = 0
    stored: int = 0
    duplicate: int = 0
    queued: int = 0
    in_flight: int = 0
    spooled: int = 0
    dead: int = 0

    def __str__(self) -> str:
        """The equation as text."""
        places = ("stored", "duplicate", "queued", "in_flight", "spooled", "dead")
        right = " + ".join(f"{name.replace('_', ' ')} {getattr(self, name):,}" for name in places)
        return f"fetched {self.fetched:,} = {right}"

    @property
    def summary(self) -> str:
        """The equation without empty places: `fetched 503 = stored 480 + duplicate 23`."""
        first, *terms = str(self).split(" + ")
        return " + ".join([first, *(term for term in terms if not term.endswith(" 0"))])

    @property
    def is_balanced(self) -> bool:
        """Whether `fetched = stored + duplicate + queued + in_flight + spooled + dead`."""
        return self.fetched == (
            self.stored + self.duplicate + self.queued + self.in_flight + self.spooled + self.dead
        )


class LedgerCounters:
    """The counters of the ledger equation and the lock under which quotes move.

    Every hand-over of quotes (queue to queue, queue to journal, journal to database) takes `lock`, so that a thread
    that holds it sees each quote in exactly one place.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.fetched = 0
        self.stored = 0
        self.duplicate = 0
        self.dead = 0

    def count_fetched(self, quotes: int) -> None:
        """Count quotes put on the quotes queue."""
        with self.lock:
            self.fetched += quotes

    @property
    def written(self) -> int:
        """Rows in a final state: stored, duplicate or dead."""
        with self.lock:
            return self.stored + self.duplicate + self.dead

    def count_written(self, stored: int, duplicate: int, dead: int) -> None:
        """Count rows that are stored, were stored before, or became dead letters."""
        with self.lock:
            self.stored += stored
            self.duplicate += duplicate
            self.dead += dead
