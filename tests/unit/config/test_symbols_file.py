"""Symbols, as a setting and from files of every form."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui import input_file
from sp500tui.config.loader import load
from sp500tui.config.symbols import parse_symbols, read_symbols_file, split_symbols
from sp500tui.errors import ConfigurationError
from tests.unit.config.loading import toml


class TestSymbols:
    def test_symbols_are_listed_once_in_capitals(self) -> None:
        assert load({"symbols": "aapl, BRK.B aapl;^gspc"}).settings.symbols == ("AAPL", "BRK.B", "^GSPC")

    def test_the_configuration_file_may_hold_a_list_of_symbols(self, tmp_path: Path) -> None:
        assert load({}, toml(tmp_path, 'symbols = ["aapl", "msft"]')).settings.symbols == ("AAPL", "MSFT")

    def test_a_file_holds_one_a_line_or_commas_and_comments(self, tmp_path: Path) -> None:
        file = tmp_path / "symbols.txt"
        file.write_text("\ufeff# mine\nAAPL\nmsft, BRK.B # two\n\nAAPL\n", encoding="utf-8")

        assert load({"symbols_file": str(file)}).settings.symbols == ("AAPL", "MSFT", "BRK.B")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "contains no symbol"),
            (b"# nothing\n\n", "contains no symbol"),
            (b"AAPL\nBRK-B\n", "line 2: 'BRK-B'"),
            (b"\x7fELF\x00\x01", "not text"),
            (b"\xff\xfeA\x00\x00", "not text"),
            (b"A\x00A\x00", "not text"),
            (b'"' + b"A" * 200_000, "line 1: field larger than"),
            pytest.param(b"A\n" * (3 << 20), "larger than 4 MB", id="too large"),
        ],
    )
    def test_an_invalid_symbols_file_is_refused_by_name(
        self, tmp_path: Path, content: bytes, words: str
    ) -> None:
        file = tmp_path / "symbols.txt"
        file.write_bytes(content)
        with pytest.raises(ConfigurationError) as caught:
            read_symbols_file(file)
        assert str(file) in str(caught.value)
        assert words in str(caught.value)

    @given(st.lists(st.from_regex(r"\^?[A-Z0-9]{1,6}(\.[A-Z])?", fullmatch=True)))
    def test_listing_keeps_every_symbol_once_and_in_order(self, symbols: list[str]) -> None:
        listed = parse_symbols(symbols)
        assert list(listed) == list(dict.fromkeys(symbols))
        assert parse_symbols(split_symbols(",".join(listed))) == listed


@pytest.mark.parametrize(
    "text",
    [
        "Symbol,Security\nAAPL,Apple Inc.\nMSFT,Microsoft\n",
        "symbol\nAAPL\nMSFT\n",
        "\ufeffTicker;Name\nAAPL;Apple, Inc.\nMSFT;Microsoft\n",
        "Name\tTicker Symbol\nApple\tAAPL\nMicrosoft\tMSFT\n",
        '"Symbol","Security"\r\n"AAPL","Apple, Inc."\r\n"MSFT","Microsoft"\r\n',
        "# a list\n\nSYMBOL\nAAPL, MSFT\n",
        "AAPL\nMSFT\n",
        "AAPL, MSFT",
        "AAPL MSFT",
        "AAPL;MSFT",
        # the separator is that of the header
        'Symbol,Name\nAAPL,"Apple; Inc."\nMSFT,Micro\tsoft\n',
        "Name;Symbol\nApple, Inc.;AAPL\nMicrosoft;MSFT\n",
        # a column of numbers
        "#,Company,Symbol,Weight\n1,Apple Inc.,AAPL,7.1\n2,Microsoft,MSFT,6.5\n",
        "#\tSymbol\n1\tAAPL\n2\tMSFT\n",
        # a comment that mentions symbols is no header
        "# symbols, one a line\nAAPL, MSFT\n",
        "#, that is how a comment begins\nAAPL\nMSFT\n",
    ],
)
def test_only_symbols_are_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "symbols"
    file.write_text(text, "utf-8")
    assert read_symbols_file(file) == ("AAPL", "MSFT")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_file_of_a_spreadsheet_is_read_in_its_encoding(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "symbols"
    file.write_text("Symbol\tName\r\nAAPL\tApple\r\nMSFT\tMücrosoft\r\n", encoding)
    assert read_symbols_file(file) == ("AAPL", "MSFT")


def test_one_line_may_hold_many_symbols(tmp_path: Path) -> None:
    file = tmp_path / "symbols"
    file.write_text(" ".join(f"S{number}" for number in range(100_000)))
    assert len(read_symbols_file(file)) == 100_000


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "symbols"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("w") as file:
            file.write("AAPL\n" * 50_000 + "MSFT\n")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        assert read_symbols_file(pipe) == ("AAPL", "MSFT")
    finally:
        writer.join()


def test_what_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_file, "_PIPE_WAIT", 0.01)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, words in (
        (tmp_path, "Is a directory; name a file"),
        (pipe, "nothing was written to it within"),
        (tmp_path / "none", "No such file"),
        (Path("/dev/zero"), "larger than 4 MB"),
        (Path("a\0b"), "null (byte|character)"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            read_symbols_file(path)
