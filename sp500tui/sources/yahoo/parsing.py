"""Turns answers of `v7/finance/quote` into quotes and rates, or into a reason in words for every symbol."""

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
from sp500tui.sources.yahoo.json_values import entry, error_message
from sp500tui.sources.yahoo.symbols import answer_names, fx_names, fx_symbol

_log = logging.getLogger(__name__)

OMITTED = "not in Yahoo's answer"
"""The reason of a symbol that Yahoo left out; it drops some at random, so another try may bring it."""

_OVERNIGHT = "overnightMarket"
_SESSIONS: Mapping[str, tuple[str, ...]] = {
    MarketState.PRE: ("preMarket", "postMarket", "regularMarket"),
    MarketState.REGULAR: ("regularMarket",),
    MarketState.POST: ("postMarket", "regularMarket"),
    MarketState.POSTPOST: ("postMarket", "regularMarket"),
    MarketState.CLOSED: ("postMarket", "regularMarket"),
    MarketState.PREPRE: ("postMarket", "regularMarket"),
}
"""The sessions whose latest trade counts in each state; the first wins a tie.

Any other state takes the newest usable trade of all sessions in the answer.
"""
_SESSION_PRICE = re.compile(r"([a-z][A-Za-z]{0,30}Market)Price")
_NOT_IN_STATE = re.compile(r"[^A-Z0-9._-]+")
_LONGEST_STATE = 24

FIELDS = (
    "symbol",
    "quoteType",
    "currency",
    "marketState",
    "regularMarketVolume",
    *(
        session + part
        for session in ("regularMarket", "preMarket", "postMarket", _OVERNIGHT)
        for part in ("Price", "Time", "Change", "ChangePercent")
    ),
)
"""What a request names under `fields=`."""

_CURRENCY = re.compile(r"[A-Za-z]{3}")
_LARGEST = 10**15
_MAX_SCALE = -30
_LARGEST_VOLUME = 2**63
_FUTURE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FetchResult:
    """One answer, sorted: every symbol asked for is in `quotes` or in `missing`."""

    quotes: tuple[Quote, ...]
    rates: tuple[FxRate, ...]
    missing: Mapping[str, str]
    """Symbol as listed → why it has no price, in words."""
    seconds: float = 0.0
    """How long the source took for its answer, without waits for the throttle."""


class InvalidQuoteError(Exception):
    """Why one entry is no quote, in words; never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Trade:
    session: str
    price: Decimal
    time: datetime


def parse_quotes(
    answer: object, symbols: Sequence[str], fx_pairs: Sequence[tuple[str, str]], now: datetime
) -> FetchResult:
    """Sort an answer to these symbols (as listed) and pairs; `now` is when it arrived (UTC).

    Raises:
        SourceError: it is no answer of the quote service at all, or tells of an error.
    """
    found = _by_symbol(answer)
    quotes: list[Quote] = []
    missing: dict[str, str] = {}
    for symbol in dict.fromkeys(symbols):
        try:
            quotes.append(_quote(symbol, _entry_of(symbol, found), now))
        except InvalidQuoteError as reason:
            missing[symbol] = str(reason)
    rates = [rate for pair in dict.fromkeys(fx_pairs) if (rate := _rate(*pair, found, now)) is not None]
    return FetchResult(tuple(quotes), tuple(rates), missing)


def answered_symbols(answer: object) -> frozenset[str]:
    """The symbols, as Yahoo spells them, that an answer speaks of."""
    return frozenset(_by_symbol(answer))


def _by_symbol(answer: object) -> dict[str, Mapping[str, object]]:
    entries = entry(answer, "quoteResponse", "result")
    if not isinstance(entries, list) or (not entries and error_message(answer)):
        why = error_message(answer) or "an answer of an unknown shape"
        raise SourceError(f"Yahoo Finance gave no quotes: {why}")
    found: dict[str, Mapping[str, object]] = {}
    for line in entries:
        symbol = entry(line, "symbol")
        if isinstance(symbol, str) and isinstance(line, Mapping):
            found.setdefault(symbol, line)
    return found


def _entry_of(symbol: str, found: Mapping[str, Mapping[str, object]]) -> Mapping[str, object] | None:
    """The entry for a symbol asked for; Yahoo answers for the pairs of the dollar under their short names."""
    return next((found[name] for name in answer_names(symbol) if name in found), None)


def _quote(symbol: str, line: Mapping[str, object] | None, now: datetime) -> Quote:
    if line is None:
        raise InvalidQuoteError(OMITTED)
    if line.get("quoteType") == "NONE":
        raise InvalidQuoteError("unknown to Yahoo Finance, or no longer traded")
    state = market_state(line.get("marketState"))
    trade = _latest_trade(line, state, now)
    return Quote(
        symbol=symbol,
        price=trade.price,
        change=_number(line.get(trade.session + "Change")),
        percent_change=_number(line.get(trade.session + "ChangePercent")),
        currency=_currency(line.get("currency")),
        quote_time=trade.time,
        market_state=state,
        volume=_volume(line.get("regularMarketVolume")),
        fetched_at=now,
    )


def _rate(base: str, target: str, found: Mapping[str, Mapping[str, object]], now: datetime) -> FxRate | None:
    if base == target:
        return FxRate(base, target, Decimal(1), now)
    line = next((found[name] for name in fx_names(base, target) if name in found), None)
    try:
        trade = _fx_trade(line, target, now)
    except InvalidQuoteError as reason:
        _log.debug("no rate from %s: %s", fx_symbol(base, target), reason)
        return None
    return FxRate(base, target, trade.price, trade.time)


def _fx_trade(line: Mapping[str, object] | None, target: str, now: datetime) -> _Trade:
    if line is None:
        raise InvalidQuoteError(OMITTED)
    if line.get("currency", target) != target:
        raise InvalidQuoteError(f"it comes in {one_line(line['currency'], 24)}, not in {target}")
    return _latest_trade(line, MarketState.REGULAR, now)


def _latest_trade(line: Mapping[str, object], state: str, now: datetime) -> _Trade:
    """The latest trade of the sessions that count in this state.

    A session without a price has not traded and is skipped. In a known state, a malformed price or a missing
    time of one of its sessions makes the entry unusable, because an older trade must not replace the current
    one. Overnight trades, and every trade in an unknown state, are used where they are usable.
    """
    required = _SESSIONS.get(state, ())
    trades = [_trade(line, session, now) for session in required if line.get(session + "Price") is not None]
    optional = () if state == MarketState.REGULAR else (_OVERNIGHT,) if required else _all_sessions(line)
    unusable: InvalidQuoteError | None = None
    for session in optional:
        if line.get(session + "Price") is None:
            continue
        try:
            trades.append(_trade(line, session, now))
        except InvalidQuoteError as reason:
            unusable = unusable or reason
    if not trades:
        raise unusable or InvalidQuoteError("no price in Yahoo's answer")
    return max(trades, key=lambda trade: trade.time)


def _trade(line: Mapping[str, object], session: str, now: datetime) -> _Trade:
    return _Trade(session, _price(line[session + "Price"]), _time(line.get(session + "Time"), now))


def _all_sessions(line: Mapping[str, object]) -> tuple[str, ...]:
    """Every session that the entry has a price of, the known ones first."""
    known = (_OVERNIGHT, "preMarket", "postMarket", "regularMarket")
    named = (match[1] for key in line if (match := _SESSION_PRICE.fullmatch(key)))
    return tuple(dict.fromkeys((*known, *named)))


def market_state(value: object) -> str:
    """The session's name as stored: a `MarketState`, or the source's text in capitals.

    Characters that a stored state cannot hold are replaced by underscores. A value that names no session is
    `UNKNOWN`.
    """
    if not isinstance(value, str):
        return MarketState.UNKNOWN
    text = _NOT_IN_STATE.sub("_", value[: 8 * _LONGEST_STATE].strip().upper())[:_LONGEST_STATE].strip("_")
    # NULL would be read as an absent value by the database.
    return text if text not in ("", "NULL", "NONE") else MarketState.UNKNOWN


def _number(value: object) -> Decimal | None:
    """The number with the digits as printed; None for what is none, or too large or fine for a database."""
    if isinstance(value, int):
        return Decimal(value) if abs(value) < _LARGEST and not isinstance(value, bool) else None
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    return value if value.copy_abs() < _LARGEST and not _is_too_fine(value) else None


def _is_too_fine(number: Decimal) -> bool:
    """Whether a finite number has digits beyond the finest place."""
    text = str(number)
    if len(text) <= -_MAX_SCALE and "E" not in text:
        # Printed as briefly as this it cannot; taking a number apart costs more than all the other checks.
        return False
    exponent = number.as_tuple().exponent
    return not isinstance(exponent, int) or exponent < _MAX_SCALE


def _price(value: object) -> Decimal:
    number = _number(value)
    if number is None or number <= 0:
        raise InvalidQuoteError(f"its price is no amount above zero: {one_line(value, 24)}")
    return number


def _time(value: object, now: datetime) -> datetime:
    seconds = _number(value)
    if seconds is None or seconds <= 0:
        raise InvalidQuoteError("no time of the trade in Yahoo's answer")
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.max.replace(tzinfo=UTC)
    if moment > now + _FUTURE:
        raise InvalidQuoteError(f"the time of the trade lies in the future: {seconds}")
    return moment


def _currency(value: object) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise InvalidQuoteError("no currency in Yahoo's answer")
    return value


def _volume(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number < _LARGEST_VOLUME else None
