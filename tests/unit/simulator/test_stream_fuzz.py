"""The demo market's price stream with arbitrary messages of clients: any text, any JSON, nested to any depth."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sp500tui.simulator.yahoo.stream import _subscribe

anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
requests = st.dictionaries(st.sampled_from(["subscribe", "unsubscribe", "other"]), anything)


@given(st.text() | (anything | requests).map(json.dumps))
def test_any_input_yields_only_symbols(text: str) -> None:
    seen = {"AAPL": 3}
    _subscribe(text, seen)
    assert all(isinstance(symbol, str) and symbol == symbol.upper() for symbol in seen)
    assert seen.get("AAPL", 3) == 3


def test_a_request_nested_without_end_is_ignored() -> None:
    seen: dict[str, int] = {}
    _subscribe("[" * 100_000, seen)
    _subscribe('{"subscribe":' * 100_000, seen)
    assert seen == {}
