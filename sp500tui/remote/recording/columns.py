"""Prices of one moment by column, in the order of the symbols: a third of the size of rows once compressed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Any

import msgspec

from sp500tui.model import ConvertedQuote, Quote
from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.remote.wire import ProtocolError, decoder_of

_EXACT = Context(prec=60)
_MAX_DECIMALS = 12
_MAX_UNITS = 100
"""Largest deviation of a packed percent change from the computed one, in units of its last decimal.

Yahoo's have seven decimals and differ by a few units.
"""
_LEFT_OUT = ("row", "quote", "fetched_monotonic")
"""Attributes stored as separate tables, and the monotonic time, which has no meaning outside its process."""

Columns = dict[str, tuple[Any, ...]]


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.name not in _LEFT_OUT)


_QUOTE, _ROW, _PRICE = _names(Quote), _names(ConvertedQuote), _names(LivePrice)


class PriceColumns(msgspec.Struct, array_like=True, frozen=True):
    """The attributes of the prices by name; equal positions in all columns belong to one symbol."""

    quotes: Columns
    """A percent change is the pair of `_packed_percent` if it can be derived from price and change."""
    rows: Columns
    """A converted price is True if it is the product of price and rate, which is nearly always the case."""
    prices: Columns


def pack(prices: Sequence[LivePrice]) -> PriceColumns | None:
    """The prices by column; None without any."""
    if not prices:
        return None
    ordered = sorted(prices, key=lambda price: price.row.quote.symbol)
    quotes = _columns([price.row.quote for price in ordered], _QUOTE)
    quotes["percent_change"] = tuple(_packed_percent(price.row.quote) for price in ordered)
    rows = _columns([price.row for price in ordered], _ROW)
    rows["converted_price"] = tuple(_packed_conversion(price.row) for price in ordered)
    return PriceColumns(
        quotes=quotes,
        rows=rows,
        prices=_columns(ordered, _PRICE),
    )


def _columns(values: Sequence[object], names: Sequence[str]) -> Columns:
    return {name: tuple(getattr(value, name) for value in values) for name in names}


def _packed_conversion(row: ConvertedQuote) -> Decimal | bool | None:
    if row.converted_price is None or row.fx_rate is None:
        return row.converted_price
    product = _EXACT.multiply(row.quote.price, row.fx_rate)
    # Compared as text: the digits are kept too.
    return True if str(product) == str(row.converted_price) else row.converted_price


def _packed_percent(quote: Quote) -> tuple[int, int] | Decimal | None:
    """The decimals of the percent change, and by how many units of the last one it differs from the quotient.

    Yahoo's differs by a few units, because it comes from binary numbers of 24 bits. If no pair reproduces the same
    digits, the value itself is returned.
    """
    percent = quote.percent_change
    if percent is None or quote.change is None or quote.price == quote.change:
        return percent
    decimals = -int(percent.as_tuple().exponent)
    if not 0 <= decimals <= _MAX_DECIMALS:
        return percent
    try:
        units = _EXACT.subtract(percent, _quotient(quote.price, quote.change, decimals)).scaleb(decimals)
    except ArithmeticError:  # more digits than the context has
        return percent
    if abs(units) > _MAX_UNITS:
        return percent
    # Compared as text: the digits and the sign of zero are kept too.
    same = str(_percent(quote.price, quote.change, decimals, int(units))) == str(percent)
    return (decimals, int(units)) if same else percent


def _percent(price: Decimal, change: Decimal, decimals: int, units: int) -> Decimal:
    """The percent change from the pair of `_packed_percent`."""
    return _EXACT.add(_quotient(price, change, decimals), Decimal(units).scaleb(-decimals, _EXACT))


def _quotient(price: Decimal, change: Decimal, decimals: int) -> Decimal:
    """The change in percent of the previous price, rounded."""
    share = _EXACT.divide(change, _EXACT.subtract(price, change))
    return _EXACT.multiply(share, Decimal(100)).quantize(Decimal(1).scaleb(-decimals), context=_EXACT)


def latest(all_columns: Sequence[PriceColumns]) -> list[LivePrice]:
    """The last price of every symbol, in the order of their versions; `all_columns` are in the order of time.

    Raises:
        ProtocolError: the values are those of another version.
    """
    decoder_of(LivePrice)  # completes the type information that `convert` needs
    found: dict[str, LivePrice] = {}
    try:
        for columns in reversed(all_columns):
            for index, symbol in enumerate(columns.quotes["symbol"]):
                if symbol not in found:
                    found[symbol] = _price(columns, index)
    except (msgspec.ValidationError, LookupError, TypeError, ArithmeticError) as error:
        raise ProtocolError(f"not prices of this version: {error}") from None
    return sorted(found.values(), key=lambda price: price.version)


def _price(columns: PriceColumns, index: int) -> LivePrice:
    quote, row = _at(columns.quotes, index), _at(columns.rows, index)
    if isinstance(quote["percent_change"], list | tuple):
        price, change = Decimal(quote["price"]), Decimal(quote["change"])
        quote["percent_change"] = _percent(price, change, *quote["percent_change"])
    if row["converted_price"] is True:
        row["converted_price"] = _EXACT.multiply(Decimal(quote["price"]), Decimal(row["fx_rate"]))
    return msgspec.convert(_at(columns.prices, index) | {"row": row | {"quote": quote}}, LivePrice)


def _at(columns: Mapping[str, Sequence[Any]], index: int) -> dict[str, Any]:
    return {name: column[index] for name, column in columns.items()}
