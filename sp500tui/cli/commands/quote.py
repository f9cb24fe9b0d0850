"""`sp500tui quote SYMBOL…`: the newest prices, without a database."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from sp500tui.cli.context import configuration_of, opened_sources
from sp500tui.cli.output import as_columns
from sp500tui.config.symbols import parse_symbols, split_symbols
from sp500tui.errors import ConfigurationError, ExitCode, SourceError, ThrottledError
from sp500tui.export import Row, as_json
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_message, write_output
from sp500tui.model import ConvertedQuote, FetchedQuote, Quote
from sp500tui.price_text import change_text, price_text

if TYPE_CHECKING:
    from sp500tui.config.settings import Settings
    from sp500tui.pipeline.stages.fx import FxRates
    from sp500tui.sources.yahoo.client import YahooFinance
    from sp500tui.sources.yahoo.parsing import FetchResult

_LONGEST_WAIT = 5.0
"""Seconds to wait for a source that asked for patience before the command gives up."""
_NUMBERS = frozenset({1, 3, 4, 5, 7})


def run(namespace: Namespace) -> int:
    """Print the prices; a symbol without one is named on stderr with the reason, and the exit code is 1."""
    from sp500tui.pipeline.stages.fx import FxRates

    configuration = configuration_of(namespace)
    settings = configuration.settings
    symbols = _asked_for(namespace.quote_symbols)
    fx = FxRates(settings.currency)
    with opened_sources(configuration) as sources:
        sources.yahoo.open()
        rows, missing = _prices(sources.yahoo, fx, symbols, settings)
    if settings.json_output:
        write_json(as_json(_record(row) for row in rows))
    elif rows:
        write_output(as_columns([_line(row) for row in rows], _NUMBERS))
    for symbol, reason in missing.items():
        write_message(f"no price for {plain(symbol)}: {plain(reason)}")
    return ExitCode.INCOMPLETE if missing else ExitCode.OK


def _asked_for(words: Sequence[str]) -> tuple[str, ...]:
    try:
        return parse_symbols(part for word in words for part in split_symbols(word) or [word])
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _prices(
    yahoo: YahooFinance, fx: FxRates, symbols: Sequence[str], settings: Settings
) -> tuple[list[ConvertedQuote], dict[str, str]]:
    """The rows in the order asked for, and the symbols without one, with the reason."""
    quotes: dict[str, Quote] = {}
    missing: dict[str, str] = {}
    for start in range(0, len(symbols), settings.batch_size):
        batch = symbols[start : start + settings.batch_size]
        result = _patiently(yahoo, batch, fx.stale_pairs(), settings.max_attempts)
        fx.update(result.rates)
        fx.register(quote.currency for quote in result.quotes)
        quotes |= {quote.symbol: quote for quote in result.quotes}
        missing |= result.missing
    if unknown := fx.unknown_pairs():
        fx.update(_patiently(yahoo, (), unknown, settings.max_attempts).rates)
    rows = [fx.convert(FetchedQuote(quotes[symbol])) for symbol in symbols if symbol in quotes]
    return rows, missing


def _patiently(
    yahoo: YahooFinance, symbols: Sequence[str], pairs: Sequence[tuple[str, str]], attempts: int
) -> FetchResult:
    """Ask up to `attempts` times; raises SourceError after the last, or at once when a long wait is asked for."""
    for attempt in range(attempts):
        try:
            return yahoo.fetch(symbols, pairs)
        except ThrottledError as error:
            if attempt + 1 == attempts or error.retry_after > _LONGEST_WAIT:
                raise
            time.sleep(error.retry_after)
        except SourceError:
            if attempt + 1 == attempts:
                raise
            time.sleep(0.2 * 2**attempt)
    raise AssertionError("a number of attempts is at least one")


def _record(row: ConvertedQuote) -> Row:
    quote = row.quote
    return {
        "symbol": quote.symbol,
        "price": quote.price,
        "change": quote.change,
        "percent_change": quote.percent_change,
        "currency": quote.currency,
        "converted_price": row.converted_price,
        "converted_currency": row.converted_currency,
        "fx_rate": row.fx_rate,
        "quote_time": quote.quote_time,
        "market_state": quote.market_state,
        "volume": quote.volume,
    }


def _line(row: ConvertedQuote) -> tuple[str, ...]:
    quote = row.quote
    return (
        quote.symbol,
        price_text(quote.price),
        quote.currency,
        change_text(quote.change, quote.price).replace(
            "−", "-"
        ),  # a plain minus, for scripts and every locale
        f"{_signed(quote.percent_change)} %" if quote.percent_change is not None else "–",
        price_text(row.converted_price),
        row.converted_currency,
        "–" if quote.volume is None else f"{quote.volume:,}",
        quote.market_state,
        f"{quote.quote_time:%Y-%m-%d %H:%M:%S} UTC",
    )


def _signed(number: Decimal | None) -> str:
    return "–" if number is None else f"{number:+,.2f}"
