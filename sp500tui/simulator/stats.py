"""Statistics of the demo market, and the log of served quotes and bars that a checker compares with the stored rows."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from sp500tui.errors import ConfigurationError

_CHART = "chart"
_CHART_LINE = '{"chart":'


class Statistics:
    """Counters of requests by endpoint, responses by status, served quotes and injected faults."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()

    def count(self, what: str, number: int = 1) -> None:
        """Count connections, quotes or another event that is not a request."""
        self._counts[what] += number

    def request(self, endpoint: str) -> None:
        """Count a received request."""
        self._requests[endpoint] += 1

    def status(self, status: int) -> None:
        """Count a response."""
        self._statuses[str(status)] += 1

    def fault(self, name: str) -> None:
        """Count an injected fault."""
        self._faults[name] += 1

    def report(self) -> dict[str, object]:
        """All counters since the start, ready for JSON."""
        return {
            "requests": dict(self._requests),
            "requests_total": sum(self._requests.values()),
            "statuses": dict(self._statuses),
            "faults": dict(self._faults),
            "connections": self._counts["connections"],
            "quotes": self._counts["quotes"],
            "bars": self._counts["bars"],
            "refused": self._counts["refused"],
            "tls_refused": self._counts["tls_refused"],
            "stream_frames": self._counts["stream_frames"],
        }


@dataclass(frozen=True, slots=True)
class ServedQuote:
    """A quote of one response."""

    symbol: str
    """As listed: `BRK.B`."""
    quote_time: int
    """Seconds since 1970."""
    price: str
    """Exactly as printed in the body."""


@dataclass(frozen=True, slots=True)
class ServedBar:
    """A final bar of one response."""

    start: int
    """Seconds since 1970."""
    end: int
    open: str
    """As printed before Yahoo Finance kept it in single precision, like the other prices."""
    high: str
    low: str
    close: str
    volume: int


@dataclass(frozen=True, slots=True)
class ServedChart:
    """The bars of one response, and those that a fault withheld."""

    symbol: str
    """As listed: `BRK.B`."""
    interval: str
    served_at: int
    """Time of the response by the market's clock, seconds since 1970."""
    bars: tuple[ServedBar, ...]
    withheld: tuple[int, ...]
    """Starts of bars with trades that were null or absent, seconds since 1970."""


class ServedQuotesLog:
    """Appends JSON lines with unbuffered writes, so that a killed process loses none."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending, readable by its owner only.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the ledger {path}: {error.strerror}; choose a file in a writable folder"
            ) from error

    def add(self, quotes: Iterable[ServedQuote]) -> None:
        """Append the quotes of a response that was sent completely."""
        self._append(
            "".join(
                f'{{"symbol":{json.dumps(quote.symbol)},"quote_time":{quote.quote_time},"price":"{quote.price}"}}\n'
                for quote in quotes
            )
        )

    def add_chart(self, chart: ServedChart) -> None:
        """Append the bars of a response that was sent completely."""
        self._append(json.dumps({_CHART: astuple(chart)}, separators=(",", ":")) + "\n")

    def _append(self, text: str) -> None:
        lines = text.encode()
        while lines:
            lines = lines[os.write(self._file, lines) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_served_quotes(path: Path) -> list[ServedQuote]:
    """All quotes of a log; a last line cut off by a kill is ignored."""
    return [
        ServedQuote(**json.loads(line)) for line in _complete_lines(path) if not line.startswith(_CHART_LINE)
    ]


def read_served_charts(path: Path) -> list[ServedChart]:
    """All responses with bars of a log; a last line cut off by a kill is ignored."""
    found = []
    for line in _complete_lines(path):
        if line.startswith(_CHART_LINE):
            symbol, interval, served_at, bars, withheld = json.loads(line)[_CHART]
            served = tuple(ServedBar(*bar) for bar in bars)
            found.append(ServedChart(symbol, interval, served_at, served, tuple(withheld)))
    return found


def _complete_lines(path: Path) -> list[str]:
    return path.read_text("utf-8").rpartition("\n")[0].splitlines()
