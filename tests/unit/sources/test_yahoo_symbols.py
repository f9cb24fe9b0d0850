"""Symbols and currency pairs as Yahoo Finance spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.config.symbols import parse_symbol as checked_symbol
from sp500tui.sources.yahoo.symbols import answer_names, fx_names, fx_symbol, parse_symbol, yahoo_symbol


@pytest.mark.parametrize(
    ("listed", "yahoo"),
    [
        ("AAPL", "AAPL"),
        ("BRK.B", "BRK-B"),
        ("BF.B", "BF-B"),
        ("OCDO.L", "OCDO.L"),
        ("7203.T", "7203.T"),
        ("NOVO-B.CO", "NOVO-B.CO"),
        ("MAERSK.CO", "MAERSK.CO"),
        ("^GSPC", "^GSPC"),
    ],
)
def test_share_classes_change_their_dot_and_exchanges_do_not(listed: str, yahoo: str) -> None:
    assert yahoo_symbol(listed) == yahoo
    assert parse_symbol(yahoo) == listed


@given(st.from_regex(r"\A[A-Z]{1,5}(\.[A-Z]{1,2})?\Z"))
def test_every_listed_symbol_round_trips(listed: str) -> None:
    assert parse_symbol(yahoo_symbol(listed)) == listed


def test_a_pair_of_the_dollar_may_come_back_shortened() -> None:
    assert fx_symbol("USD", "DKK") == "USDDKK=X"
    assert fx_names("USD", "DKK") == ("USDDKK=X", "DKK=X")
    assert fx_names("EUR", "DKK") == ("EURDKK=X",)


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("BRK.B", ("BRK-B",)),
        ("EURUSD=X", ("EURUSD=X",)),
        ("USDDKK=X", ("USDDKK=X", "DKK=X")),
        ("DKK=X", ("DKK=X",)),
    ],
)
def test_a_pair_requested_as_a_symbol_is_found_under_its_short_name(
    listed: str, names: tuple[str, ...]
) -> None:
    assert answer_names(listed) == names


@pytest.mark.parametrize(
    "symbol",
    [
        "AAPL",
        "BRK.B",
        "NOVO-B.CO",
        "BT-A.L",
        "DX-Y.NYB",
        "BAJAJ-AUTO.NS",
        "M&M.NS",
        "0700.HK",
        "000001.SS",
        "0P0000XVVF.L",
        "^GSPC",
        "^N225",
        "^STOXX50E",
        "^SP500-45",
        "^990100-USD-STRD",
        "BTC-USD",
        "1INCH-USD",
        "LUNA20314-USD",
        "BAC-PL",
        "ACHR-WT",
        "ES=F",
        "ESZ26.CME",
        "EURUSD=X",
        "USDDKK=X",
        "DKK=X",
        "AAPL270115C00200000",
    ],
)
def test_symbols_are_accepted_as_yahoo_spells_them_in_any_case(symbol: str) -> None:
    assert checked_symbol(f" {symbol.lower()} ") == symbol


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("BRK-B", "write BRK.B"),
        ("brk/b", "write BRK.B"),
        ("BF-B", "write BF.B"),
        ("BTC--USD", "is not a symbol"),
        ("-USD", "is not a symbol"),
        ("ES=", "is not a symbol"),
        ("ES=Q", "is not a symbol"),
        ("EUR/USD", "is not a symbol"),
        ("^", "is not a symbol"),
        ("NOVO-B.", "is not a symbol"),
        ("A" * 13, "is not a symbol"),
        ("AAPL?x=1", "is not a symbol"),
        ("^SP500-", "is not a symbol"),
        ("stra\u00dfe", "is not a symbol"),
        ("\u017f", "is not a symbol"),
        ("A\u0301APL", "is not a symbol"),
    ],
)
def test_an_invalid_symbol_has_a_hint(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_symbol(text)
