"""Symbols as users write them, on the command line or in a file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from sp500tui.errors import ConfigurationError

_LISTED = re.compile(r"\^?[A-Z0-9&]{1,12}(\.[A-Z0-9]{1,4})?")
_AS_YAHOO_SPELLS = re.compile(
    r"""(?x)
      [A-Z0-9&]{1,12}-[A-Z0-9]{1,5}\.[A-Z]{1,4}       # share class at an exchange abroad: NOVO-B.CO, DX-Y.NYB
    | [A-Z0-9]{1,12}-[A-Z]{2,5}                       # cryptocurrency, preferred share, warrant: BTC-USD, BAC-PL
    | [A-Z0-9]{1,12}=[FX]                             # future, currency pair: ES=F, EURUSD=X
    | [A-Z]{1,6}[0-9]{6}[CP][0-9]{8}                  # option: AAPL270115C00200000
    """
)
_DASHED = re.compile(r"([A-Z0-9]{1,12})[-/]([A-Z])")
_MAX_FILE_SIZE = 4 << 20
_HEADERS = frozenset({"symbol", "symbols", "ticker", "tickers", "ticker symbol", "stock symbol"})


def split_symbols(text: str) -> list[str]:
    """Split a list at commas, semicolons and white space."""
    return [part for part in re.split(r"[,;\s]+", text) if part]


def parse_symbol(text: str) -> str:
    """The symbol in capitals, as listed or, for anything but US shares, as Yahoo Finance spells it.

    Raises:
        ValueError: with the remedy; it is malformed, or a US share in Yahoo's spelling (`BRK-B`).
    """
    symbol = text.strip().upper()
    if _LISTED.fullmatch(symbol) or _AS_YAHOO_SPELLS.fullmatch(symbol):
        return symbol
    shown = repr(text if len(text) <= 24 else text[:24] + "…")
    if dashed := _DASHED.fullmatch(symbol):
        raise ValueError(f"{shown} is Yahoo's spelling; write {dashed[1]}.{dashed[2]}")
    raise ValueError(f"{shown} is not a symbol; write it as listed, such as AAPL, BRK.B or NOVO-B.CO")


def parse_symbols(texts: Iterable[str]) -> tuple[str, ...]:
    """Every symbol once, in the order given; raises ValueError for the first malformed one."""
    return tuple(dict.fromkeys(parse_symbol(text) for text in texts))


def read_symbols_file(path: Path) -> tuple[str, ...]:
    """The symbols of a file: one per line or separated by commas; `#` starts a comment.

    Below a header, such as that of `sp500tui constituents --csv`, only the column of the symbols is read.

    Raises:
        ConfigurationError: with the file, and the line where there is one.
    """
    symbols: dict[str, None] = {}
    column: int | None = None
    has_content = False
    for number, line in enumerate(_text(path).splitlines(), start=1):
        cells = _cells(line.partition("#")[0])
        if not has_content and (column := _symbol_column(cells)) is not None:
            has_content = True
            column = column if len(cells) > 1 else None
            continue
        has_content = has_content or any(cells)
        try:
            texts = cells if column is None else cells[column : column + 1]
            symbols |= dict.fromkeys(parse_symbols(part for text in texts for part in split_symbols(text)))
        except ValueError as error:
            raise ConfigurationError(f"symbols file {path}, line {number}: {error}") from None
    if not symbols:
        raise ConfigurationError(f"symbols file {path} contains no symbol; write one per line, such as AAPL")
    return tuple(symbols)


def _cells(line: str) -> list[str]:
    """The cells of a line of CSV, separated by tabs, semicolons or commas."""
    separator = next((each for each in "\t;" if each in line), ",")
    return [
        cell.strip() for row in csv.reader([line], delimiter=separator, skipinitialspace=True) for cell in row
    ]


def _symbol_column(cells: list[str]) -> int | None:
    """Index of the symbol column in a header; None where the line is no header."""
    names = [" ".join(cell.lower().replace("_", " ").split()) for cell in cells]
    return next((index for index, name in enumerate(names) if name in _HEADERS), None)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"symbols file {path} cannot be read: {reason}; name a file with one symbol per line"
        ) from None
    if len(content) > _MAX_FILE_SIZE:
        raise ConfigurationError(
            f"symbols file {path} is larger than 4 MB; give a list of symbols, one per line"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"symbols file {path} is not text; give a list of symbols, one per line")
    return text
