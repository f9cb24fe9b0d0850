"""What no node is to get again is kept for a person to see."""

from __future__ import annotations

from pathlib import Path

from sp500tui.cluster.burial import among, into, letters_of
from sp500tui.cluster.poison import Poison
from sp500tui.domain import ConvertedQuote
from sp500tui.pipeline.dead_letters import DeadLetters
from sp500tui.pipeline.items import Fetched, Ticker
from sp500tui.pipeline.pricing import MissingBook
from tests.fixtures.faults_rows import row

REASON = "5 nodes were lost with it"


def test_a_row_becomes_a_letter_with_all_its_columns() -> None:
    (letter,) = letters_of([Poison(b"", row(symbol="AAPL"), REASON)])
    assert letter.reason == REASON
    assert letter.row["symbol"] == "AAPL"
    assert letter.row["converted_price"] is not None


def test_a_quote_becomes_one_with_what_is_known_of_it() -> None:
    (letter,) = letters_of([Poison(b"", Fetched(row(symbol="AAPL").quote, 0.0, "price-1"), REASON)])
    assert letter.row["symbol"] == "AAPL"
    assert letter.row["converted_price"] is None


def test_what_cannot_be_read_is_kept_as_it_is_without_control_characters(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "letters")
    poison: list[Poison[ConvertedQuote]] = [Poison(b"\x1b[2J\xff" + b"x" * 1000, None, "unreadable")]
    into(letters)(poison)
    (letter,) = letters.listing()
    assert letter.row["payload"] is not None
    assert "\x1b" not in letter.row["payload"]
    assert len(letter.row["payload"]) < 1000


def test_a_ticker_is_named_missing() -> None:
    missing = MissingBook()
    among(missing)([Poison(b"", Ticker("AAPL", 0.0), REASON), Poison(b"junk", None, "unreadable")])
    assert [(each.symbol, each.reason) for each in missing.listing()] == [("AAPL", REASON)]
