"""Yahoo Finance's spelling of symbols and currency pairs, used in `sources/yahoo` only."""

from __future__ import annotations

import re

_SHARE_CLASS = re.compile(r"([A-Z0-9]+)\.([A-Z])")
_YAHOO_CLASS = re.compile(r"([A-Z0-9]+)-([A-Z])")
_DOLLAR_PAIR = re.compile(r"USD([A-Z]{3})=X")
_EXCHANGES = frozenset("FLTV")
"""One-letter suffixes that name an exchange (Frankfurt, London, Tokyo, TSX Venture), not a share class."""


def yahoo_symbol(listed: str) -> str:
    """Convert `BRK.B` to Yahoo's `BRK-B`; exchange suffixes as in `OCDO.L` are kept."""
    match = _SHARE_CLASS.fullmatch(listed)
    return f"{match[1]}-{match[2]}" if match and match[2] not in _EXCHANGES else listed


def parse_symbol(yahoo: str) -> str:
    """Convert Yahoo's `BRK-B` to the listed `BRK.B`."""
    match = _YAHOO_CLASS.fullmatch(yahoo)
    return f"{match[1]}.{match[2]}" if match and match[2] not in _EXCHANGES else yahoo


def answer_names(listed: str) -> tuple[str, ...]:
    """The names that a symbol may have in a response: `USDDKK=X` may be returned as `DKK=X`."""
    symbol = yahoo_symbol(listed)
    match = _DOLLAR_PAIR.fullmatch(symbol)
    return fx_names("USD", match[1]) if match else (symbol,)


def fx_symbol(base: str, target: str) -> str:
    """The symbol of the rate of one `base` in `target`: `USDDKK=X`."""
    return f"{base}{target}=X"


def fx_names(base: str, target: str) -> tuple[str, ...]:
    """The names that a pair may have in a response: Yahoo shortens dollar pairs to `DKK=X`."""
    return (fx_symbol(base, target), f"{target}=X") if base == "USD" else (fx_symbol(base, target),)
