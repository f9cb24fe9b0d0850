"""What the demo market counts about itself."""

from __future__ import annotations

from collections import Counter


class Tally:
    """Requests by endpoint, answers by status, quotes handed out, faults injected."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()

    def count(self, what: str, number: int = 1) -> None:
        """Count something that has no endpoint."""
        self._counts[what] += number

    def request(self, endpoint: str) -> None:
        """Count a request as it arrives."""
        self._requests[endpoint] += 1

    def status(self, status: int) -> None:
        """Count an answer."""
        self._statuses[str(status)] += 1

    def fault(self, name: str) -> None:
        """Count a fault injected on purpose."""
        self._faults[name] += 1

    def report(self) -> dict[str, object]:
        """Everything counted since the start, ready for JSON."""
        return {
            "requests": dict(self._requests),
            "requests_total": sum(self._requests.values()),
            "statuses": dict(self._statuses),
            "faults": dict(self._faults),
            "connections": self._counts["connections"],
            "quotes": self._counts["quotes"],
            "refused": self._counts["refused"],
            "tls_refused": self._counts["tls_refused"],
            "stream_frames": self._counts["stream_frames"],
        }
