"""Items that are never delivered again become dead letters or missing symbols."""

from __future__ import annotations

from pathlib import Path

import pytest

from sp500tui.cluster.queue.dead_lettering import (
    PoisonMessage,
    dead_letter_handler,
    missing_symbol_handler,
    to_dead_letters,
)
from sp500tui.errors import DatabaseError
from sp500tui.model import ConvertedQuote, FetchedQuote, Ticker
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.stages.fetcher import MissingSymbols
from sp500tui.storage import batch_codec as rowcodec
from tests.support.pipeline.rows import bad_row, row

REASON = "5 nodes were lost while they held it"


def test_a_row_becomes_a_dead_letter_with_all_its_columns() -> None:
    (letter,) = to_dead_letters([PoisonMessage(b"", row(symbol="AAPL"), REASON)], "DKK")
    assert letter.reason == REASON
    assert letter.row["symbol"] == "AAPL"
    assert letter.row["converted_price"] is not None
    assert rowcodec.encode_records([letter.row]) == rowcodec.encode([row(symbol="AAPL")]), (
        "a replay stores it"
    )


def test_a_quote_becomes_a_dead_letter_with_its_known_fields() -> None:
    (letter,) = to_dead_letters(
        [PoisonMessage(b"", FetchedQuote(row(symbol="AAPL").quote, fetched_by="price-1"), REASON)], "DKK"
    )
    assert letter.row["symbol"] == "AAPL"
    assert (letter.row["converted_price"], letter.row["converted_currency"]) == (None, "DKK")
    assert rowcodec.encode_records([letter.row]), "a replay stores it"


def test_a_row_that_no_database_accepts_is_kept_as_text() -> None:
    (letter,) = to_dead_letters([PoisonMessage(b"", bad_row(), REASON)], "DKK")
    assert letter.row["symbol"] == bad_row().quote.symbol
    with pytest.raises(DatabaseError):
        rowcodec.encode_records([letter.row])


def test_unreadable_bytes_are_kept_without_control_characters(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "letters")
    poison: list[PoisonMessage[ConvertedQuote]] = [
        PoisonMessage(b"\x1b[2J\xff" + b"x" * 1000, None, "unreadable")
    ]
    dead_letter_handler(letters, "DKK")(poison)
    (letter,) = letters.listing()
    assert letter.row["payload"] is not None
    assert "\x1b" not in letter.row["payload"]
    assert len(letter.row["payload"]) < 1000


def test_a_ticker_is_named_missing() -> None:
    missing = MissingSymbols()
    missing_symbol_handler(missing)(
        [PoisonMessage(b"", Ticker("AAPL", 0.0), REASON), PoisonMessage(b"junk", None, "unreadable")]
    )
    assert [(each.symbol, each.reason) for each in missing.snapshot()] == [("AAPL", REASON)]
