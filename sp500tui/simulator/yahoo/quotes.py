"""Quotes in the format of `v7/finance/quote`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import inf
from typing import Final
from zoneinfo import ZoneInfo

from sp500tui.model import MarketState
from sp500tui.simulator.market.bars import DayRecord
from sp500tui.simulator.market.currencies import CurrencyPair
from sp500tui.simulator.market.instruments import Listing, fraction
from sp500tui.simulator.market.model import Instrument

Fields = dict[str, object]
"""One quote: Yahoo Finance's names and values, in its order."""

CORE: Final = frozenset(
    {
        "language", "region", "quoteType", "typeDisp", "quoteSourceName", "triggerable",
        "customPriceAlertConfidence", "marketState", "regularMarketPrice", "regularMarketTime", "tradeable",
        "cryptoTradeable", "exchange", "exchangeTimezoneName", "exchangeTimezoneShortName",
        "gmtOffSetMilliseconds", "market", "esgPopulated", "priceHint", "fullExchangeName", "sourceInterval",
        "exchangeDataDelayedBy", "hasPrePostMarketData", "firstTradeDateMilliseconds", "symbol",
    }
)  # fmt: skip
"""Keys that are returned regardless of `fields=`."""
OVERNIGHT_FIELDS: Final = frozenset(
    f"overnightMarket{part}" for part in ("Price", "Time", "Change", "ChangePercent")
)
"""Keys that are returned only with `overnightPrice=true`."""
NEW_SESSION: Final = "LATE_NIGHT"
"""A `marketState` unknown to clients."""
_YEAR_PREFIXES = ("fifty", "twoHundred")
_NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class PrintedPrice:
    """The price and time of a quote's latest trade."""

    price: float
    time: int
    """Seconds since 1970."""


def share_quote(instrument: Instrument, state: MarketState) -> Fields:
    """All fields of one share in the given session."""
    return share_facts(instrument.listing) | share_trades(instrument, state, frozenset())


def share_trades(instrument: Instrument, state: MarketState, wanted: frozenset[str]) -> Fields:
    """The part of a share's quote that changes with its trades; the yearly fields only if requested."""
    today = instrument.today
    offset, zone = exchange_offset(today.time)
    fields: Fields = {"marketState": state.value}
    fields |= _day_fields(today, 4)
    fields |= _extended_fields(instrument, state)
    if not wanted or any(key.startswith(_YEAR_PREFIXES) for key in wanted):
        fields |= _year_fields(instrument.symbol, instrument.listing.price, today)
    fields["marketCap"] = round(instrument.listing.shares * today.price)
    fields["bid"] = round(today.price * 0.9998, 2)
    fields["ask"] = round(today.price * 1.0002, 2)
    fields["exchangeTimezoneShortName"] = zone
    fields["gmtOffSetMilliseconds"] = 1000 * offset
    fields["symbol"] = instrument.symbol
    return fields


def share_facts(listing: Listing) -> Fields:
    """The part of a share's quote that never changes."""
    code, exchange = exchange_names(listing)
    traded = round(listing.shares * 0.005)
    earnings = round(listing.price / (12 + 25 * fraction(listing.symbol, "earnings")), 2)
    return {
        "language": "en-US",
        "region": "US",
        "quoteType": "EQUITY",
        "typeDisp": "Equity",
        "quoteSourceName": "Nasdaq Real Time Price",
        "triggerable": True,
        "customPriceAlertConfidence": "HIGH",
        "currency": "USD",
        "shortName": listing.name,
        "longName": listing.name,
        "displayName": listing.name,
        "hasPrePostMarketData": True,
        "firstTradeDateMilliseconds": 631_290_600_000,
        "priceHint": 2,
        "bidSize": 2,
        "askSize": 1,
        "fullExchangeName": exchange,
        "financialCurrency": "USD",
        "averageDailyVolume3Month": traded,
        "averageDailyVolume10Day": traded,
        "sharesOutstanding": listing.shares,
        "epsTrailingTwelveMonths": earnings,
        "epsCurrentYear": earnings,
        "epsForward": round(earnings * 1.08, 2),
        "trailingPE": round(listing.price / earnings, 6),
        "priceEpsCurrentYear": round(listing.price / earnings, 6),
        "forwardPE": round(listing.price / earnings / 1.08, 6),
        "bookValue": round(listing.price / 5, 3),
        "priceToBook": 5.0,
        "sourceInterval": 15,
        "exchangeDataDelayedBy": 0,
        "tradeable": False,
        "cryptoTradeable": False,
        "corporateActions": [],
        "exchange": code,
        "messageBoardId": f"finmb_{listing.cik}",
        "exchangeTimezoneName": "America/New_York",
        "market": "us_market",
        "esgPopulated": False,
    }


def pair_quote(pair: CurrencyPair) -> Fields:
    """All fields of one currency pair."""
    name = f"{pair.base}/{pair.target}"
    fields: Fields = {
        "language": "en-US",
        "region": "US",
        "quoteType": "CURRENCY",
        "typeDisp": "Currency",
        "quoteSourceName": "Delayed Quote",
        "triggerable": True,
        "customPriceAlertConfidence": "HIGH",
        "currency": pair.target,
        "shortName": name,
        "longName": name,
        "marketState": MarketState.REGULAR.value,
        "exchange": "CCY",
        "fullExchangeName": "CCY",
        "exchangeTimezoneName": "Europe/London",
        "exchangeTimezoneShortName": "GMT",
        "gmtOffSetMilliseconds": 0,
        "market": "ccy_market",
        "esgPopulated": False,
        "tradeable": False,
        "cryptoTradeable": False,
        "corporateActions": [],
        "sourceInterval": 15,
        "exchangeDataDelayedBy": 0,
        "messageBoardId": f"finmb_{pair.base}_X",
        "bidSize": 0,
        "askSize": 0,
        "averageDailyVolume3Month": 0,
        "averageDailyVolume10Day": 0,
        "hasPrePostMarketData": False,
        "firstTradeDateMilliseconds": 1_070_236_800_000,
        "priceHint": 4,
    }
    fields |= _day_fields(pair.today, 9)
    fields |= _year_fields(pair.symbol, pair.start_rate, pair.today)
    fields["bid"] = fields["ask"] = pair.today.price
    fields["symbol"] = pair.symbol
    return fields


def dead_quote(symbol: str) -> Fields:
    """The quote of a delisted symbol."""
    return {
        "language": "en-US",
        "region": "US",
        "quoteType": "NONE",
        "triggerable": False,
        "customPriceAlertConfidence": "NONE",
        "corporateActions": [],
        "esgPopulated": False,
        "hasPrePostMarketData": False,
        "tradeable": False,
        "cryptoTradeable": False,
        "symbol": symbol,
    }


def select(fields: Fields, wanted: frozenset[str]) -> Fields:
    """The quote reduced to the core keys and the requested ones; all keys if none is requested."""
    if not wanted:
        return fields
    return {key: value for key, value in fields.items() if key in wanted or key in CORE}


def latest_trade(fields: Mapping[str, object]) -> PrintedPrice | None:
    """The latest trade of the current session in a quote; None without one."""
    state = fields.get("marketState")
    if state in (NEW_SESSION, MarketState.OVERNIGHT):
        return _newest_trade(fields)
    prefixes = ["regularMarket"]
    if state == MarketState.PRE.value:
        prefixes.insert(0, "preMarket")
    elif state != MarketState.REGULAR.value:
        prefixes.insert(0, "postMarket")
    for prefix in prefixes:
        if (trade := _trade_of(fields, prefix)) is not None:
            return trade
    return None


def _newest_trade(fields: Mapping[str, object]) -> PrintedPrice | None:
    sessions = ("overnightMarket", "preMarket", "postMarket", "regularMarket")
    trades = [trade for prefix in sessions if (trade := _trade_of(fields, prefix)) is not None]
    return max(trades, key=lambda trade: trade.time, default=None)


def _trade_of(fields: Mapping[str, object], prefix: str) -> PrintedPrice | None:
    price, time = fields.get(f"{prefix}Price"), fields.get(f"{prefix}Time")
    if isinstance(price, float) and 0 < price < inf and isinstance(time, int):
        return PrintedPrice(price, time)
    return None


def in_session(fields: Fields, session: str) -> Fields:
    """The quote in the session `overnight`, with a trade after the newest one, or in a `new` unknown one."""
    if session == "new":
        return fields | {"marketState": NEW_SESSION}
    newest = _newest_trade(fields)
    if newest is None:
        return fields | {"marketState": MarketState.OVERNIGHT.value}
    price = round(newest.price * 1.001, 2)
    change = round(price - newest.price, 4)
    return fields | {
        "marketState": MarketState.OVERNIGHT.value,
        "overnightMarketPrice": price,
        "overnightMarketTime": newest.time + 1,
        "overnightMarketChange": change,
        "overnightMarketChangePercent": round(100 * change / newest.price, 7),
    }


def printed(fields: Fields) -> str:
    """The quote as compact JSON; numbers that are not finite are printed as `NaN`."""
    return json.dumps(fields, separators=(",", ":"))


def formatted(fields: Fields, wrap: bool) -> Fields:
    """The quote unchanged, or with `wrap` every number as an object of its raw and its formatted value."""
    if not wrap:
        return fields
    return {
        key: {"raw": value, "fmt": f"{value:,}"} if type(value) in (int, float) else value
        for key, value in fields.items()
    }


def exchange_offset(stamp: float) -> tuple[int, str]:
    """New York's offset from UTC in seconds and its abbreviation, at a real time."""
    return _offset_of_hour(int(stamp) // 3600)


@lru_cache(maxsize=64)
def _offset_of_hour(hour: int) -> tuple[int, str]:
    local = datetime.fromtimestamp(3600 * hour, UTC).astimezone(_NEW_YORK)
    offset = local.utcoffset()
    return (round(offset.total_seconds()) if offset else 0), local.strftime("%Z")


def exchange_names(listing: Listing) -> tuple[str, str]:
    """Yahoo Finance's code and name of the exchange."""
    return ("NMS", "NasdaqGS") if listing.nasdaq else ("NYQ", "NYSE")


def _day_fields(day: DayRecord, digits: int) -> Fields:
    change = round(day.price - day.previous_close, digits)
    return {
        "regularMarketChangePercent": round(100 * change / day.previous_close, 7),
        "regularMarketPrice": day.price,
        "regularMarketChange": change,
        "regularMarketTime": day.time,
        "regularMarketDayHigh": day.high,
        "regularMarketDayRange": f"{day.low} - {day.high}",
        "regularMarketDayLow": day.low,
        "regularMarketVolume": day.volume,
        "regularMarketPreviousClose": day.previous_close,
        "regularMarketOpen": day.open,
    }


def _extended_fields(instrument: Instrument, state: MarketState) -> Fields:
    if state is MarketState.REGULAR:
        return {}
    prefix, trade = "post", instrument.post
    if state is MarketState.PRE:
        prefix, trade = "pre", instrument.pre
    if trade is None:
        return {}
    price, time = trade
    close = instrument.today.price
    change = round(price - close, 4)
    return {
        f"{prefix}MarketChangePercent": round(100 * change / close, 7),
        f"{prefix}MarketPrice": price,
        f"{prefix}MarketChange": change,
        f"{prefix}MarketTime": time,
    }


def _year_fields(name: str, start: float, day: DayRecord) -> Fields:
    """The year's range and averages: invented around the starting price, extended by later trades."""
    low = min(day.low, float(f"{start * (0.6 + 0.3 * fraction(name, 'low')):.5g}"))
    high = max(day.high, float(f"{start * (1.05 + 0.3 * fraction(name, 'high')):.5g}"))
    fields: Fields = {
        "fiftyTwoWeekRange": f"{low} - {high}",
        "fiftyTwoWeekLow": low,
        "fiftyTwoWeekHigh": high,
    }
    levels = {
        "fiftyTwoWeekLow": low,
        "fiftyTwoWeekHigh": high,
        "fiftyDayAverage": round(start * 0.99, 4),
        "twoHundredDayAverage": round(start * 0.95, 4),
    }
    for key, level in levels.items():
        fields[key] = level
        fields[key + "Change"] = round(day.price - level, 4)
        fields[key + "ChangePercent"] = round(day.price / level - 1, 7)
    year_ago = start * (0.75 + 0.35 * fraction(name, "year"))
    fields["fiftyTwoWeekChangePercent"] = round(100 * (day.price / year_ago - 1), 6)
    return fields
