"""How symbols and pairs are spelt at the boundary to Yahoo Finance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.sources.yahoo import fx_symbol, listed_symbol, yahoo_symbol
from sp500tui.sources.yahoo_symbols import fx_names


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
    assert listed_symbol(yahoo) == listed


@given(st.from_regex(r"\A[A-Z]{1,5}(\.[A-Z]{1,2})?\Z"))
def test_every_listed_symbol_comes_back(listed: str) -> None:
    assert listed_symbol(yahoo_symbol(listed)) == listed


def test_a_pair_of_the_dollar_may_come_back_shortened() -> None:
    assert fx_symbol("USD", "DKK") == "USDDKK=X"
    assert fx_names("USD", "DKK") == ("USDDKK=X", "DKK=X")
    assert fx_names("EUR", "DKK") == ("EURDKK=X",)
