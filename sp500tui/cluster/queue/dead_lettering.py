"""What becomes of items that no node is to get again: dead letters for prices, a line among the missing for tickers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sp500tui.cluster.queue.poison import PoisonMessage
from sp500tui.errors import DatabaseError
from sp500tui.logs.redaction import plain
from sp500tui.model import ConvertedQuote, FetchedQuote, Ticker
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.stages.fetcher import MissingSymbols
from sp500tui.storage import batch_codec as rowcodec


def to_dead_letters(
    poison: Sequence[PoisonMessage[FetchedQuote]] | Sequence[PoisonMessage[ConvertedQuote]], currency: str
) -> list[DeadLetter]:
    """A dead letter for each item, that a replay can store; a quote without a price in `currency`, its second one."""
    return [DeadLetter.of(_record(found, currency), found.reason, None) for found in poison]


def _record(
    found: PoisonMessage[FetchedQuote] | PoisonMessage[ConvertedQuote], currency: str
) -> dict[str, str | None]:
    item = found.item
    if item is None:
        return {"payload": plain(found.payload[:400].decode(errors="replace"))}
    row = item if isinstance(item, ConvertedQuote) else ConvertedQuote(item.quote, None, currency, None, None)
    try:
        return rowcodec.decode(rowcodec.encode([row]))[0]
    except DatabaseError:
        fields = {name: getattr(row.quote, name, getattr(row, name, None)) for name in rowcodec.COLUMNS}
        return {name: None if value is None else str(value) for name, value in fields.items()}


def into(
    letters: DeadLetters, currency: str
) -> Callable[[Sequence[PoisonMessage[FetchedQuote]] | Sequence[PoisonMessage[ConvertedQuote]]], None]:
    """The burial of quotes and rows."""
    return lambda poison: letters.add(to_dead_letters(poison, currency))


def among(missing: MissingSymbols) -> Callable[[Sequence[PoisonMessage[Ticker]]], None]:
    """The burial of tickers."""
    return lambda poison: missing.add(
        (found.item.symbol, found.reason) for found in poison if found.item is not None
    )
