"""A header in a file of symbols is recognised."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sp500tui import input_file
from sp500tui.config.symbols import read_symbols_file
from sp500tui.errors import ConfigurationError


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
    ],
)
def test_only_symbols_are_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "symbols"
    file.write_text(text, "utf-8")
    assert read_symbols_file(file) == ("AAPL", "MSFT")


@pytest.mark.parametrize(
    "text",
    [
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
def test_a_header_and_a_comment_are_told_apart_by_their_form(text: str, tmp_path: Path) -> None:
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
