"""Items that are never delivered again: unreadable ones, and those that were leased to too many lost nodes.

Quotes and rows become dead letters, tickers are listed as missing symbols.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sp500tui.errors import DatabaseError
from sp500tui.logs.redaction import plain
from sp500tui.model import ConvertedQuote, FetchedQuote, Ticker
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.stages.fetcher import MissingSymbols
from sp500tui.storage import batch_codec

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoisonMessage(Generic[T]):
    """An item that must not be delivered again."""

    payload: bytes
    item: T | None
    """None when the payload is unreadable."""
    reason: str


PoisonedPrices = Sequence[PoisonMessage[FetchedQuote]] | Sequence[PoisonMessage[ConvertedQuote]]


def log_poison(messages: Sequence[PoisonMessage[Any]]) -> None:
    """Log one line for each message and keep nothing else."""
    for message in messages:
        excerpt = plain(message.payload[:120].decode(errors="replace"))
        _log.error("discarded: %s (%s)", excerpt, message.reason)


def dead_letter_handler(letters: DeadLetters, currency: str) -> Callable[[PoisonedPrices], None]:
    """A handler that appends quotes and rows to the dead letters."""
    return lambda messages: letters.add(to_dead_letters(messages, currency))


def missing_symbol_handler(missing: MissingSymbols) -> Callable[[Sequence[PoisonMessage[Ticker]]], None]:
    """A handler that lists tickers as missing symbols."""
    return lambda messages: missing.add(
        (message.item.symbol, message.reason) for message in messages if message.item is not None
    )


def to_dead_letters(messages: PoisonedPrices, currency: str) -> list[DeadLetter]:
    """Dead letters that a replay can store; an unconverted quote gets no price in `currency`."""
    return [DeadLetter.of(_record(message, currency), message.reason, None) for message in messages]


def _record(
    message: PoisonMessage[FetchedQuote] | PoisonMessage[ConvertedQuote], currency: str
) -> dict[str, str | None]:
    item = message.item
    if item is None:
        return {"payload": plain(message.payload[:400].decode(errors="replace"))}
    row = item if isinstance(item, ConvertedQuote) else ConvertedQuote(item.quote, None, currency, None, None)
    try:
        return batch_codec.decode(batch_codec.encode([row]))[0]
    except DatabaseError:
        values = {name: getattr(row.quote, name, getattr(row, name, None)) for name in batch_codec.COLUMNS}
        return {name: None if value is None else str(value) for name, value in values.items()}
