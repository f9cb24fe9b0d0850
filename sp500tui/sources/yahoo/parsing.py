"""Parses responses of `v7/finance/quote` into quotes, exchange rates and reasons for missing symbols."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sp500tui.errors import SourceError
from sp500tui.logs.redaction import one_line
from sp500tui.model import FxRate, MarketState, Quote
from sp500tui.sources.yahoo.json_values import error_message, get_path
from sp500tui.sources.yahoo.symbols import answer_names, fx_names, fx_symbol

_log = logging.getLogger(__name__)

OMITTED = "not in Yahoo's answer"
"""The reason for a symbol missing in the response; Yahoo omits some at random, so a retry may succeed."""

_OVERNIGHT = "overnightMarket"
_SESSIONS: Mapping[str, tuple[str, ...]] = {
    MarketState.PRE: ("preMarket", "postMarket", "regularMarket"),
    MarketState.REGULAR: ("regularMarket",),
    MarketState.POST: ("postMarket", "regularMarket"),
    MarketState.POSTPOST: ("postMarket", "regularMarket"),
    MarketState.CLOSED: ("postMarket", "regularMarket"),
    MarketState.PREPRE: ("postMarket", "regularMarket"),
}
"""The sessions whose latest trade is used in each market state; the first one wins a tie.

Any other state takes the newest usable trade of all sessions in the answer.
"""
_SESSION_PRICE = re.compile(r"([a-z][A-Za-z]{0,30}Market)Price")
_INVALID_STATE_CHARACTERS = re.compile(r"[^A-Z0-9._-]+")
_MAX_STATE_LENGTH = 24

FIELDS = (
    "symbol",
    "quoteType",
    "currency",
    "marketState",
    "regularMarketVolume",
    "marketCap",
    *(
        session + part
        for session in ("regularMarket", "preMarket", "postMarket", _OVERNIGHT)
        for part in ("Price", "Time", "Change", "ChangePercent")
    ),
)
"""The `fields` parameter of a request."""

_CURRENCY = re.compile(r"[A-Za-z]{3}")
_MAX_NUMBER = 10**15
_MAX_SCALE = -30
_MAX_COUNT = 2**63
_MAX_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FetchResult:
    """A parsed response: every requested symbol is in `quotes` or in `missing`."""

    quotes: tuple[Quote, ...]
    rates: tuple[FxRate, ...]
    missing: Mapping[str, str]
    """Symbol as listed → why it has no price."""
    unrequested: frozenset[str] = frozenset()
    """Symbols in the response that were not requested, as Yahoo spells them."""
    seconds: float = 0.0
    """Response time of the source, without waits for the throttle."""


class InvalidQuoteError(Exception):
    """An entry without a usable quote, with the reason; caught in this module."""


@dataclass(frozen=True, slots=True)
class _Trade:
    session: str
    price: Decimal
    time: datetime


def parse_quotes(
    answer: object, symbols: Sequence[str], fx_pairs: Sequence[tuple[str, str]], now: datetime
) -> FetchResult:
    """Parse the response to a request for these symbols (as listed) and pairs; `now` is its arrival time (UTC).

    Raises:
        SourceError: it is not a response of the quote service, or it reports an error.
    """
    found = _by_symbol(answer)
    unrequested = set(found)

    def entry_of(names: Sequence[str]) -> Mapping[str, object] | None:
        unrequested.difference_update(names)
        return next((found[name] for name in names if name in found), None)

    quotes: list[Quote] = []
    missing: dict[str, str] = {}
    for symbol in dict.fromkeys(symbols):
        try:
            quotes.append(_quote(symbol, entry_of(answer_names(symbol)), now))
        except InvalidQuoteError as reason:
            missing[symbol] = str(reason)
    rates = [_rate(*pair, entry_of(fx_names(*pair)), now) for pair in dict.fromkeys(fx_pairs)]
    return FetchResult(tuple(quotes), tuple(filter(None, rates)), missing, frozenset(unrequested))


def _by_symbol(answer: object) -> dict[str, Mapping[str, object]]:
    entries = get_path(answer, "quoteResponse", "result")
    if not isinstance(entries, list) or (not entries and error_message(answer)):
        why = error_message(answer) or "an answer of an unknown shape"
        raise SourceError(f"Yahoo Finance gave no quotes: {why}")
    found: dict[str, Mapping[str, object]] = {}
    for entry in entries:
        symbol = get_path(entry, "symbol")
        if isinstance(symbol, str) and isinstance(entry, Mapping):
            found.setdefault(symbol, entry)
    return found


def _quote(symbol: str, entry: Mapping[str, object] | None, now: datetime) -> Quote:
    if entry is None:
        raise InvalidQuoteError(OMITTED)
    if entry.get("quoteType") == "NONE":
        raise InvalidQuoteError("unknown to Yahoo Finance, or no longer traded")
    state = market_state(entry.get("marketState"))
    trade = _latest_trade(entry, state, now)
    return Quote(
        symbol=symbol,
        price=trade.price,
        change=_number(entry.get(trade.session + "Change")),
        percent_change=_number(entry.get(trade.session + "ChangePercent")),
        currency=_currency(entry.get("currency")),
        quote_time=trade.time,
        market_state=state,
        volume=_count(entry.get("regularMarketVolume")),
        fetched_at=now,
        market_cap=_count(entry.get("marketCap")) or None,
    )


def _rate(base: str, target: str, entry: Mapping[str, object] | None, now: datetime) -> FxRate | None:
    if base == target:
        return FxRate(base, target, Decimal(1), now)
    try:
        trade = _fx_trade(entry, target, now)
    except InvalidQuoteError as reason:
        _log.debug("no rate from %s: %s", fx_symbol(base, target), reason)
        return None
    return FxRate(base, target, trade.price, trade.time)


def _fx_trade(entry: Mapping[str, object] | None, target: str, now: datetime) -> _Trade:
    if entry is None:
        raise InvalidQuoteError(OMITTED)
    if entry.get("currency", target) != target:
        raise InvalidQuoteError(f"it comes in {one_line(entry['currency'], 24)}, not in {target}")
    return _latest_trade(entry, MarketState.REGULAR, now)


def _latest_trade(entry: Mapping[str, object], state: str, now: datetime) -> _Trade:
    """The latest trade of the sessions that count in this market state.

    A session without a price has not traded and is skipped. In a known state, a malformed price or a missing
    time of one of its sessions makes the entry unusable, because an older trade must not replace the current
    one. Overnight trades, and every trade in an unknown state, are used if they are usable.
    """
    required = _SESSIONS.get(state, ())
    trades = [_trade(entry, session, now) for session in required if entry.get(session + "Price") is not None]
    optional = () if state == MarketState.REGULAR else (_OVERNIGHT,) if required else _all_sessions(entry)
    unusable: InvalidQuoteError | None = None
    for session in optional:
        if entry.get(session + "Price") is None:
            continue
        try:
            trades.append(_trade(entry, session, now))
        except InvalidQuoteError as reason:
            unusable = unusable or reason
    if not trades:
        raise unusable or InvalidQuoteError("no price in Yahoo's answer")
    return max(trades, key=lambda trade: trade.time)


def _trade(entry: Mapping[str, object], session: str, now: datetime) -> _Trade:
    return _Trade(session, _price(entry[session + "Price"]), _time(entry.get(session + "Time"), now))


def _all_sessions(entry: Mapping[str, object]) -> tuple[str, ...]:
    """All sessions for which the entry has a price, known ones first."""
    known = (_OVERNIGHT, "preMarket", "postMarket", "regularMarket")
    named = (match[1] for key in entry if (match := _SESSION_PRICE.fullmatch(key)))
    return tuple(dict.fromkeys((*known, *named)))


def market_state(value: object) -> str:
    """The market state as stored: a `MarketState`, or the source's text in upper case.

    Characters that a stored state cannot hold are replaced by underscores. A value without a session name becomes
    `UNKNOWN`.
    """
    if not isinstance(value, str):
        return MarketState.UNKNOWN
    text = _INVALID_STATE_CHARACTERS.sub("_", value[: 8 * _MAX_STATE_LENGTH].strip().upper())[
        :_MAX_STATE_LENGTH
    ].strip("_")
    # The database would read NULL as a missing value.
    return text if text not in ("", "NULL", "NONE") else MarketState.UNKNOWN


def _number(value: object) -> Decimal | None:
    """The number with its digits as printed; None if it is not a finite number or exceeds the database's limits."""
    if isinstance(value, int):
        return Decimal(value) if abs(value) < _MAX_NUMBER and not isinstance(value, bool) else None
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    return value if value.copy_abs() < _MAX_NUMBER and not _is_too_fine(value) else None


def _is_too_fine(number: Decimal) -> bool:
    """Whether a finite number has more decimal places than the database stores."""
    text = str(number)
    if len(text) <= -_MAX_SCALE and "E" not in text:
        # Too short to exceed the limit; `as_tuple` costs more than all other checks together.
        return False
    exponent = number.as_tuple().exponent
    return not isinstance(exponent, int) or exponent < _MAX_SCALE


def _price(value: object) -> Decimal:
    number = _number(value)
    if number is None or number <= 0:
        raise InvalidQuoteError(f"its price is not a number above zero: {one_line(value, 24)}")
    return number


def _time(value: object, now: datetime) -> datetime:
    seconds = _number(value)
    if seconds is None or seconds <= 0:
        raise InvalidQuoteError("no time of the trade in Yahoo's answer")
    try:
        time = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        time = datetime.max.replace(tzinfo=UTC)
    if time > now + _MAX_CLOCK_SKEW:
        raise InvalidQuoteError(f"the time of the trade is in the future: {seconds}")
    return time


def _currency(value: object) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise InvalidQuoteError("no currency in Yahoo's answer")
    return value


def _count(value: object) -> int | None:
    """A number of shares or dollars; None if it is negative, not a number or out of range."""
    number = _number(value)
    return int(number) if number is not None and 0 <= number < _MAX_COUNT else None
