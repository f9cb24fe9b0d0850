"""What becomes of items that no node is to get again: dead letters for prices, a line among the missing for tickers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sp500tui.cluster.poison import Poison
from sp500tui.domain import ConvertedQuote
from sp500tui.pipeline.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.items import Fetched, Ticker
from sp500tui.pipeline.pricing import MissingBook
from sp500tui.plain_text import plain
from sp500tui.storage import rows as rowcodec


def letters_of(poison: Sequence[Poison[Fetched]] | Sequence[Poison[ConvertedQuote]]) -> list[DeadLetter]:
    """A dead letter for each item, with as much of its row as is known."""
    return [DeadLetter.of(_record(found), found.reason, None) for found in poison]


def _record(found: Poison[Fetched] | Poison[ConvertedQuote]) -> dict[str, str | None]:
    item = found.item
    if item is None:
        return {"payload": plain(found.payload[:400].decode(errors="replace"))}
    fields = {name: getattr(item.quote, name, getattr(item, name, None)) for name in rowcodec.COLUMNS}
    return {name: None if value is None else str(value) for name, value in fields.items()}


def into(
    letters: DeadLetters,
) -> Callable[[Sequence[Poison[Fetched]] | Sequence[Poison[ConvertedQuote]]], None]:
    """The burial of quotes and rows."""
    return lambda poison: letters.add(letters_of(poison))


def among(missing: MissingBook) -> Callable[[Sequence[Poison[Ticker]]], None]:
    """The burial of tickers."""
    return lambda poison: missing.name(
        (found.item.symbol, found.reason) for found in poison if found.item is not None
    )
