"""The entries of a queue on the broker, and its readings, as the scripts name and return them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One item as the broker knows it."""

    id: str
    deliveries: int
    """How often it was leased; what shows that a lease is still the newest."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A queue of the whole cluster at one moment. Counts are items."""

    ready: int = 0
    in_flight: int = 0
    oldest_age: float | None = None
    """Seconds the oldest ready item has waited; None when empty."""
    high_water: int = 0
    total_in: int = 0
    total_out: int = 0

    @classmethod
    def of(cls, answer: Sequence[int]) -> Reading:
        """From what the part `queue.lua` returns."""
        ready, in_flight, age, high_water, total_in, total_out = answer
        return cls(ready, in_flight, None if age < 0 else age / 1000, high_water, total_in, total_out)


Delivery = tuple[Entry, int, bytes]
"""An entry, how often a node was lost with it, and its payload."""


def named(entries: Iterable[Entry]) -> str:
    """Entries as the scripts read them."""
    return " ".join(f"{entry.id},{entry.deliveries}" for entry in entries)


def entries_of(names: bytes) -> list[Entry]:
    """What `named` made, or a script that names entries the same way."""
    pairs = (name.split(",") for name in names.decode().split())
    return [Entry(id_, int(deliveries)) for id_, deliveries in pairs]


def deliveries_of(notes: bytes, payloads: Sequence[bytes]) -> list[Delivery]:
    """What `take.lua` answers."""
    found: list[Delivery] = []
    for note, payload in zip(notes.decode().split(), payloads, strict=True):
        id_, deliveries, drops = note.split(",")
        found.append((Entry(id_, int(deliveries)), int(drops), payload))
    return found
