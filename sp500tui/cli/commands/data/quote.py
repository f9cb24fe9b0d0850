"""`sp500tui quote SYMBOL…`: the latest prices, without a database."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sp500tui.cli.context import configuration_of, opened_sources
from sp500tui.cli.interruptible import interruptible
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

_MAX_RETRY_AFTER = 5.0
"""Seconds to wait when the source is throttling; if it requires a longer wait, the command fails."""
_NUMERIC_COLUMNS = frozenset({1, 3, 4, 5, 7})


def run(namespace: Namespace) -> int:
    """Print the prices. Symbols without a price are reported on stderr with the reason; the exit code is then 1."""
    from sp500tui.pipeline.stages.fx import FxRates

    configuration = configuration_of(namespace)
    settings = configuration.settings
    symbols = _parse_arguments(namespace.quote_symbols)
    fx = FxRates(settings.currency)
    with opened_sources(configuration) as sources:
        sources.yahoo.open()
        rows, missing = interruptible(_fetch_prices)(sources.yahoo, fx, symbols, settings)
    if settings.json_output:
        write_json(as_json(_record(row) for row in rows))
    elif rows:
        write_output(as_columns([_line(row) for row in rows], _NUMERIC_COLUMNS))
    for symbol, reason in missing.items():
        write_message(f"no price for {plain(symbol)}: {plain(reason)}")
    return ExitCode.INCOMPLETE if missing else ExitCode.OK


def _parse_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    try:
        return parse_symbols(part for argument in arguments for part in split_symbols(argument) or [argument])
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _fetch_prices(
    yahoo: YahooFinance, fx: FxRates, symbols: Sequence[str], settings: Settings
) -> tuple[list[ConvertedQuote], dict[str, str]]:
    """The rows in the order of the symbols, and the reason for each symbol without one."""
    quotes: dict[str, Quote] = {}
    missing: dict[str, str] = {}
    for start in range(0, len(symbols), settings.batch_size):
        batch = symbols[start : start + settings.batch_size]
        result = _fetch_with_retries(yahoo, batch, fx.stale_pairs(), settings.max_attempts)
        fx.update(result.rates)
        fx.register(quote.currency for quote in result.quotes)
        quotes |= {quote.symbol: quote for quote in result.quotes}
        missing |= result.missing
    if unknown := fx.unknown_pairs():
        fx.update(_fetch_with_retries(yahoo, (), unknown, settings.max_attempts).rates)
    rows = [fx.convert(FetchedQuote(quotes[symbol])) for symbol in symbols if symbol in quotes]
    return rows, missing


def _fetch_with_retries(
    yahoo: YahooFinance, symbols: Sequence[str], pairs: Sequence[tuple[str, str]], attempts: int
) -> FetchResult:
    """Fetch with up to `attempts` attempts.

    Raises:
        SourceError: the last attempt failed, or the source requires a longer wait than `_MAX_RETRY_AFTER`.
    """
    for attempt in range(attempts):
        try:
            return yahoo.fetch(symbols, pairs)
        except ThrottledError as error:
            if attempt + 1 == attempts or error.retry_after > _MAX_RETRY_AFTER:
                raise
            time.sleep(error.retry_after)
        except SourceError:
            if attempt + 1 == attempts:
                raise
            time.sleep(0.2 * 2**attempt)
    raise AssertionError("attempts must be at least 1")


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
        # An ASCII minus, for scripts and every locale.
        change_text(quote.change, quote.price).replace("−", "-"),
        "–" if quote.percent_change is None else f"{quote.percent_change:+,.2f} %",
        price_text(row.converted_price),
        row.converted_currency,
        "–" if quote.volume is None else f"{quote.volume:,}",
        quote.market_state,
        f"{quote.quote_time:%Y-%m-%d %H:%M:%S} UTC",
    )
