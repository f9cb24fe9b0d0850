"""Tickers, quotes and rows as text on the broker: what a node writes, any node reads, or says clearly that it cannot.

One JSON array an item. Numbers are texts exactly as the source printed them, times are ISO 8601. A monotonic time is
`time.monotonic()` here and the broker's clock there, so that the nodes' own clocks do not matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.broker.values import loads, real, whole
from sp500tui.logs.redaction import plain
from sp500tui.model import ConvertedQuote, FetchedQuote, Quote, Ticker

T = TypeVar("T")

Offset = Callable[[], float]
"""Seconds to add to `time.monotonic()` for the broker's clock: `Broker.offset`."""


class Codec(Protocol[T]):
    """Turns items into bytes and back."""

    def encode(self, item: T) -> bytes:
        """The item as it lies on the broker."""

    def decode(self, data: bytes) -> T:
        """The item.

        Raises:
            BrokerError: the bytes are not what `encode` makes.
        """


class TickerCodec:
    """Symbols to ask the price of."""

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
        return Ticker(_text(symbol), _tick(asked_at) - self._offset(), _whole(attempts))


class FetchedCodec:
    """Quotes as they were fetched."""

    def __init__(self, offset: Offset) -> None:
        self._offset = offset

    def encode(self, item: FetchedQuote) -> bytes:
        """See `Codec.encode`."""
        return _dump(
            "quote",
            *_of_quote(item.quote),
            round(item.fetched_monotonic + self._offset(), 6),
            item.fetched_by,
        )

    def decode(self, data: bytes) -> FetchedQuote:
        """See `Codec.decode`."""
        return _read(data, "quote", _QUOTE_FIELDS + 2, self._fetched)

    def _fetched(self, fields: list[Any]) -> FetchedQuote:
        *quote, fetched_monotonic, fetched_by = fields
        return FetchedQuote(
            _to_quote(quote),
            fetched_monotonic=_tick(fetched_monotonic) - self._offset(),
            fetched_by=_text(fetched_by),
        )


class RowCodec:
    """Converted quotes, the rows of `prices`."""

    def __init__(self, offset: Offset) -> None:
        self._offset = offset

    def encode(self, item: ConvertedQuote) -> bytes:
        """See `Codec.encode`."""
        # A tick of 0 says that it is unknown, here as there.
        tick = round(item.fetched_monotonic + self._offset(), 6) if item.fetched_monotonic else 0
        return _dump(
            "row",
            *_of_quote(item.quote),
            _number_text(item.converted_price),
            item.converted_currency,
            _number_text(item.fx_rate),
            None if item.fx_time is None else item.fx_time.isoformat(),
            tick,
            item.fetched_by,
        )

    def decode(self, data: bytes) -> ConvertedQuote:
        """See `Codec.decode`."""
        return _read(data, "row", _QUOTE_FIELDS + 6, self._row)

    def _row(self, fields: list[Any]) -> ConvertedQuote:
        price, currency, rate, time, tick, worker = fields[_QUOTE_FIELDS:]
        return ConvertedQuote(
            _to_quote(fields[:_QUOTE_FIELDS]),
            None if price is None else _number(price),
            _text(currency),
            None if rate is None else _number(rate),
            None if time is None else _time(time),
            fetched_monotonic=_tick(tick) - self._offset() if tick else 0.0,
            fetched_by=_text(worker),
        )


_QUOTE_FIELDS = 9
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_MAGNITUDE = 60
"""Digits before or after the point beyond which a number is no price: written out it would fill the memory."""
_SHOWN = 120
"""Bytes of an unreadable entry that its message shows."""


def _of_quote(quote: Quote) -> tuple[str | int | None, ...]:
    return (
        quote.symbol,
        str(quote.price),
        _number_text(quote.change),
        _number_text(quote.percent_change),
        quote.currency,
        quote.quote_time.isoformat(),
        quote.market_state,
        quote.volume,
        quote.fetched_at.isoformat(),
    )


def _to_quote(fields: list[Any]) -> Quote:
    symbol, price, change, percent, currency, quote_time, state, volume, fetched_at = fields
    return Quote(
        _text(symbol),
        _number(price),
        None if change is None else _number(change),
        None if percent is None else _number(percent),
        _text(currency),
        _time(quote_time),
        _text(state),
        None if volume is None else _whole(volume),
        _time(fetched_at),
    )


def _number_text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _dump(kind: str, *fields: object) -> bytes:
    return _ENCODER.encode([kind, *fields]).encode()


def _read(data: bytes, kind: str, count: int, make: Callable[[list[Any]], T]) -> T:
    """What `make` makes of the fields; a `BrokerError` that shows the beginning of unreadable bytes."""
    try:
        return make(_fields(data, kind, count))
    except (ValueError, TypeError, ArithmeticError) as error:
        shown = plain(data[:_SHOWN].decode(errors="replace"))
        raise BrokerError(f"an entry of the broker is not ours ({error}): {shown}") from error


def _fields(data: bytes, kind: str, count: int) -> list[Any]:
    found = loads(data)
    if not isinstance(found, list) or found[:1] != [kind] or len(found) != count + 1:
        raise ValueError(f"no {kind}")
    return found[1:]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> Decimal:
    number = Decimal(_text(value))
    if not number.is_finite() or (number and abs(number.adjusted()) > _MAGNITUDE):
        raise ValueError(f"{value!r} is no finite number of usual size")
    return number


def _tick(value: object) -> float:
    tick = real(value)
    if tick is None:
        raise ValueError(f"{value!r} is no time")
    return tick


def _whole(value: object) -> int:
    number = whole(value, high=2**63 - 1)
    if number is None:
        raise ValueError(f"{value!r} is no whole number within bounds")
    return number


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return time
