"""Symbols as users write them, on the command line or in a file."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sp500tui.errors import ConfigurationError
from sp500tui.input_file import read_input
from sp500tui.logs.redaction import shown_value

_LISTED = re.compile(r"\^?[A-Z0-9&]{1,12}(\.[A-Z0-9]{1,4})?")
_AS_YAHOO_SPELLS = re.compile(
    r"""(?x)
      [A-Z0-9&]{1,12}-[A-Z0-9]{1,5}\.[A-Z]{1,4}       # share class at an exchange abroad: NOVO-B.CO, DX-Y.NYB
    | [A-Z0-9]{1,12}-[A-Z]{2,5}                       # cryptocurrency, preferred share, warrant: BTC-USD, BAC-PL
    | \^[A-Z0-9]{1,12}(-[A-Z0-9]{1,6}){1,2}           # index: ^SP500-45, ^990100-USD-STRD
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
    written = text.strip()
    symbol = written.upper()
    # The capitals of some other letters are ASCII: those of `ß` are `SS`.
    if written.isascii() and (_LISTED.fullmatch(symbol) or _AS_YAHOO_SPELLS.fullmatch(symbol)):
        return symbol
    shown = f"'{shown_value(text, 25)}'"
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
        ConfigurationError: with the file, and the line if there is one.
    """
    symbols: dict[str, None] = {}
    header: _Header | None = None
    has_content = False
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            if not has_content and (header := _header(line)) is not None:
                has_content = True
                continue
            texts = _cells(line.partition("#")[0], header)
            has_content = has_content or any(texts)
            symbols |= dict.fromkeys(parse_symbols(part for text in texts for part in split_symbols(text)))
        except (ValueError, csv.Error) as error:
            raise ConfigurationError(f"symbols file {path}, line {number}: {error}") from None
    if not symbols:
        raise ConfigurationError(f"symbols file {path} contains no symbol; write one per line, such as AAPL")
    return tuple(symbols)


@dataclass(frozen=True, slots=True)
class _Header:
    """The line of a CSV file that names its columns."""

    separator: str
    column: int | None
    """Index of the symbols; None if it is the only one."""


def _header(line: str) -> _Header | None:
    """The header on a line; None if the line is not one."""
    separator = _separator(line)
    cells = _split(line, separator)
    # A first column of row numbers may be named `#`, which elsewhere starts a comment.
    if cells[:1] != ["#"]:
        cells = _split(line.partition("#")[0], separator)
    names = [" ".join(cell.lower().replace("_", " ").split()) for cell in cells]
    column = next((index for index, name in enumerate(names) if name in _HEADERS), None)
    return None if column is None else _Header(separator, column if len(cells) > 1 else None)


def _cells(line: str, header: _Header | None) -> list[str]:
    """The cells of a line that hold symbols."""
    if header is None:
        return _split(line, _separator(line))
    cells = _split(line, header.separator)
    return cells if header.column is None else cells[header.column : header.column + 1]


def _separator(line: str) -> str:
    """The separator of the cells of a line: a tab, a semicolon or a comma."""
    return next((each for each in "\t;" if each in line), ",")


def _split(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    rows = csv.reader([line], delimiter=separator, skipinitialspace=True)
    return [cell.strip() for row in rows for cell in row]


def _text(path: Path) -> str:
    try:
        content = read_input(path, _MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"symbols file {path} cannot be read: {reason}; name a file with one symbol per line"
        ) from None
    if len(content) > _MAX_FILE_SIZE:
        raise ConfigurationError(
            f"symbols file {path} is larger than 4 MB; give a list of symbols, one per line"
        )
    # Spreadsheets save "Unicode text" as UTF-16, with a byte order mark.
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"symbols file {path} is not text; give a list of symbols, one per line")
    return text
