"""Encoding of tickers, quotes, rows and requests for bars on the broker.

One JSON array per item. Decimals are strings exactly as the source printed them, times are ISO 8601. Monotonic
timestamps are converted to the broker's clock, which makes them independent of the nodes' clocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.broker.values import loads, to_float, to_int
from sp500tui.logs.redaction import plain
from sp500tui.model import (
    ConvertedQuote,
    FetchedQuote,
    MarketState,
    Quote,
    Resolution,
    Ticker,
    TradingSession,
)
from sp500tui.pipeline.history.coverage import TradingDay
from sp500tui.pipeline.history.plan import HistoryTask

T = TypeVar("T")

Offset = Callable[[], float]
"""Returns `Broker.offset`, the broker's clock minus `time.monotonic()` in seconds."""


class Codec(Protocol[T]):
    """Encodes and decodes the items of a queue."""

    def encode(self, item: T) -> bytes:
        """The item's payload on the broker."""

    def decode(self, data: bytes) -> T:
        """The item.

        Raises:
            BrokerError: the payload is not an output of `encode`.
        """


class TickerCodec:
    """Symbols whose price is requested."""

    def __init__(self, offset: Offset) -> None:
        self._offset = offset

    def encode(self, item: Ticker) -> bytes:
        """See `Codec.encode`."""
        return _dump("ticker", item.symbol, round(item.queued_at + self._offset(), 6), item.attempts)

    def decode(self, data: bytes) -> Ticker:
        """See `Codec.decode`."""
        return _read(data, "ticker", 3, self._ticker)

    def _ticker(self, fields: list[Any]) -> Ticker:
        symbol, asked_at, attempts = fields
        return Ticker(_text(symbol), _timestamp(asked_at) - self._offset(), _integer(attempts))


class FetchedCodec:
    """Fetched quotes."""

    def __init__(self, offset: Offset) -> None:
        self._offset = offset

    def encode(self, item: FetchedQuote) -> bytes:
        """See `Codec.encode`."""
        fetched_at = round(item.fetched_monotonic + self._offset(), 6)
        return _dump("quote", *_quote_fields(item.quote), fetched_at, item.fetched_by)

    def decode(self, data: bytes) -> FetchedQuote:
        """See `Codec.decode`."""
        return _read(data, "quote", _QUOTE_FIELDS + 2, self._fetched)

    def _fetched(self, fields: list[Any]) -> FetchedQuote:
        *quote, fetched_at, worker = fields
        return FetchedQuote(
            _quote(quote),
            fetched_monotonic=_timestamp(fetched_at) - self._offset(),
            fetched_by=_text(worker),
        )


class RowCodec:
    """Converted quotes, the rows of `prices`."""

    def __init__(self, offset: Offset) -> None:
        self._offset = offset

    def encode(self, item: ConvertedQuote) -> bytes:
        """See `Codec.encode`."""
        # A timestamp of 0 means unknown, in both clocks.
        fetched_at = round(item.fetched_monotonic + self._offset(), 6) if item.fetched_monotonic else 0
        return _dump(
            "row",
            *_quote_fields(item.quote),
            _optional_str(item.converted_price),
            item.converted_currency,
            _optional_str(item.fx_rate),
            None if item.fx_time is None else item.fx_time.isoformat(),
            fetched_at,
            item.fetched_by,
        )

    def decode(self, data: bytes) -> ConvertedQuote:
        """See `Codec.decode`."""
        return _read(data, "row", _QUOTE_FIELDS + 6, self._row)

    def _row(self, fields: list[Any]) -> ConvertedQuote:
        price, currency, rate, time, fetched_at, worker = fields[_QUOTE_FIELDS:]
        return ConvertedQuote(
            _quote(fields[:_QUOTE_FIELDS]),
            None if price is None else _number(price),
            _text(currency),
            None if rate is None else _number(rate),
            None if time is None else _time(time),
            fetched_monotonic=_timestamp(fetched_at) - self._offset() if fetched_at else 0.0,
            fetched_by=_text(worker),
        )


class HistoryTaskCodec:
    """Requests for bars."""

    def encode(self, item: HistoryTask) -> bytes:
        """See `Codec.encode`."""
        days = [
            [day.session_date.isoformat(), *(_session_fields(session) for session in day.sessions)]
            for day in item.days
        ]
        return _dump("history", item.symbol, item.resolution, item.failures, days)

    def decode(self, data: bytes) -> HistoryTask:
        """See `Codec.decode`."""
        return _read(data, "history", 4, self._task)

    def _task(self, fields: list[Any]) -> HistoryTask:
        symbol, resolution, failures, days = fields
        if not days:
            raise ValueError("no day")
        return HistoryTask(
            _text(symbol), Resolution(resolution), tuple(_day(each) for each in days), _integer(failures)
        )


def _session_fields(session: TradingSession) -> tuple[str, ...]:
    return session.market, session.kind, session.start_time.isoformat(), session.end_time.isoformat()


def _day(fields: list[Any]) -> TradingDay:
    day, *sessions = fields
    if not sessions:
        raise ValueError(f"{day!r} has no session")
    session_date = date.fromisoformat(_text(day))
    return TradingDay(session_date, tuple(_session(session_date, each) for each in sessions))


def _session(session_date: date, fields: list[Any]) -> TradingSession:
    market, kind, start, end = fields
    return TradingSession(_text(market), session_date, MarketState(kind), _time(start), _time(end))


_QUOTE_FIELDS = 9
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_MAX_EXPONENT = 60
"""Largest accepted exponent: writing out a number such as 1e999999 would exhaust the memory."""
_EXCERPT = 120
"""Bytes of an unreadable payload that the error message shows."""


def _quote_fields(quote: Quote) -> tuple[str | int | None, ...]:
    return (
        quote.symbol,
        str(quote.price),
        _optional_str(quote.change),
        _optional_str(quote.percent_change),
        quote.currency,
        quote.quote_time.isoformat(),
        quote.market_state,
        quote.volume,
        quote.fetched_at.isoformat(),
    )


def _quote(fields: list[Any]) -> Quote:
    symbol, price, change, percent, currency, quote_time, state, volume, fetched_at = fields
    return Quote(
        _text(symbol),
        _number(price),
        None if change is None else _number(change),
        None if percent is None else _number(percent),
        _text(currency),
        _time(quote_time),
        _text(state),
        None if volume is None else _integer(volume),
        _time(fetched_at),
    )


def _optional_str(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _dump(kind: str, *fields: object) -> bytes:
    return _ENCODER.encode([kind, *fields]).encode()


def _read(data: bytes, kind: str, count: int, make: Callable[[list[Any]], T]) -> T:
    """Decode the fields with `make`; a `BrokerError` shows the beginning of an unreadable payload."""
    try:
        return make(_fields(data, kind, count))
    except (ValueError, TypeError, ArithmeticError) as error:
        excerpt = plain(data[:_EXCERPT].decode(errors="replace"))
        raise BrokerError(f"unreadable queue entry on the broker ({error}): {excerpt}") from error


def _fields(data: bytes, kind: str, count: int) -> list[Any]:
    found = loads(data)
    if not isinstance(found, list) or found[:1] != [kind] or len(found) != count + 1:
        raise ValueError(f"not a {kind}")
    return found[1:]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: object) -> Decimal:
    number = Decimal(_text(value))
    if not number.is_finite() or (number and abs(number.adjusted()) > _MAX_EXPONENT):
        raise ValueError(f"{value!r} is not a finite number of usual size")
    return number


def _timestamp(value: object) -> float:
    timestamp = to_float(value)
    if timestamp is None:
        raise ValueError(f"{value!r} is not a timestamp")
    return timestamp


def _integer(value: object) -> int:
    number = to_int(value, high=2**63 - 1)
    if number is None:
        raise ValueError(f"{value!r} is not an integer within bounds")
    return number


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return time
