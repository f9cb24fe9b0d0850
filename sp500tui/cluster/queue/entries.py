"""Stream entries of a queue and its statistics, as the scripts encode and return them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry."""

    id: str
    deliveries: int
    """Number of times it was leased; distinguishes an expired lease from the current one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Statistics of a queue over the whole cluster. Counts are items."""

    ready: int = 0
    in_flight: int = 0
    oldest_age: float | None = None
    """Seconds the oldest ready item has waited; None when empty."""
    high_water: int = 0
    total_in: int = 0
    total_out: int = 0

    @classmethod
    def of(cls, answer: Sequence[int]) -> Reading:
        """Decode the result of `reading` in `parts/queue.lua`."""
        ready, in_flight, age, high_water, total_in, total_out = answer
        return cls(ready, in_flight, None if age < 0 else age / 1000, high_water, total_in, total_out)


Delivery = tuple[Entry, int, bytes]
"""An entry, how many nodes were lost while they leased it, and its payload."""


def encode_entries(entries: Iterable[Entry]) -> str:
    """Entries as the scripts read them: `id,deliveries id,deliveries`."""
    return " ".join(f"{entry.id},{entry.deliveries}" for entry in entries)


def decode_entries(encoded: bytes) -> list[Entry]:
    """The inverse of `encode_entries`; also the result of `pending.lua`."""
    pairs = (pair.split(",") for pair in encoded.decode().split())
    return [Entry(id_, int(deliveries)) for id_, deliveries in pairs]


def decode_deliveries(encoded: bytes, payloads: Sequence[bytes]) -> list[Delivery]:
    """Decode the result of `take.lua`: `id,deliveries,times lost` of each entry, and the payloads."""
    found: list[Delivery] = []
    for triple, payload in zip(encoded.decode().split(), payloads, strict=True):
        id_, deliveries, times_lost = triple.split(",")
        found.append((Entry(id_, int(deliveries)), int(times_lost), payload))
    return found
